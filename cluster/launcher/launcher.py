"""The launcher behind `eyrie up`: starts the servers, the driver and the simulated site, keeps them
running, stops them in order.

Order up: PostgreSQL, Redis, NATS, Ray head (its start overlaps theirs), migrations, driver
(supervisor, policy, hubs), simulated site. Order down: simulated site, driver (edges told, last
commits), Ray, NATS, Redis, PostgreSQL. What runs as a child of ours dies with us.
"""

import contextlib
import errno
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from actors.core.errors import StartError
from actors.core.log_format import counted
from actors.core.settings import Settings
from actors.core.sink_settings import NatsSettings
from cluster.audit_checkpoint import CheckpointWriter
from cluster.launcher.node_metrics import MetricsServer
from cluster.launcher.restarts import Restarts
from cluster.launcher.setup import apply_registry_file, prepare_stores, resolve
from cluster.launcher.stopped_hubs import StoppedHubs
from cluster.ray.head import RayHead
from cluster.ray.process import environment
from storage.embedded.data_dir import DataDir, of
from storage.embedded.nats import EmbeddedNats
from storage.embedded.postgres import EmbeddedPostgres
from storage.embedded.redis import EmbeddedRedis
from storage.embedded.server import ServerProcess
from storage.process.settings_files import write_resolved

DRIVER_READY_S = 120.0  # seconds supervisor, policy and hub may take on a busy machine
DRIVER_STOP_S = 40.0
CAMERA_SLOTS = 4096  # cameras a node of ours offers to host
FREE_PORTS = range(20_000, 32_768)
MAX_TRIES = 50  # ports looked at when any will do
CHECK_S = 0.2  # between looks at the children


class Reporter(Protocol):
    """How the launcher tells what it does."""

    def step(self, text: str) -> contextlib.AbstractContextManager[None]:
        """Something that takes a moment."""

    def note(self, text: str) -> None:
        """Something that happened."""


class Launcher:
    """`start`, then `watch` until told to stop, then `stop`. `settings` as loaded; `resolved` is
    what processes get."""

    def __init__(
        self, settings: Settings, reporter: Reporter, *, simulate: bool, slots: int = CAMERA_SLOTS
    ) -> None:
        self._settings = settings
        self._report = reporter
        self._slots = slots
        self._simulate = simulate and settings.simulate.cameras > 0
        self.data: DataDir = of(settings)
        self.metrics = MetricsServer(self.data, settings)
        self._checkpoint = CheckpointWriter(reporter.note)
        self._stopped_hubs = StoppedHubs(reporter.note)
        self.resolved = settings
        self.ready: dict[str, Any] = {}
        self._postgres: EmbeddedPostgres | None = None
        self._redis: EmbeddedRedis | None = None
        self._nats: EmbeddedNats | None = None
        self._ray: RayHead | None = None
        self._driver = ServerProcess("driver", self.data)
        self._site = ServerProcess("simulate", self.data)
        self._driver_lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._restarts = Restarts(self.data, reporter.note)

    def start(self) -> None:
        """Bring everything up; `ready` has the hubs then. Call with the data directory locked.
        Raises StartError, Unavailable."""
        settings, data = self._settings, self.data
        left = data.end_leftovers()
        if left:
            names = ", ".join(record.name for record in left)
            self._report.note(
                f"ended {counted(len(left), 'process', 'processes')} that an earlier Eyrie had "
                f"left: {names}"
            )
        # In a cluster that others run, hubs outlive a launcher: they probe the port themselves
        # (`hub.server.listeners`).
        outlived = settings.ray.address and settings.hub.port
        port = settings.hub.port if outlived else free_port(settings.hub.host, settings.hub.port)
        settings = self._settings = msgspec.structs.replace(
            settings, hub=msgspec.structs.replace(settings.hub, port=port)
        )
        self.metrics.start()
        if not settings.ray.address:
            self._ray = RayHead(data, cameras=self._slots, settings=settings.ray)
            self._ray.spawn()
        if not settings.postgres.dsn:
            with self._report.step("PostgreSQL"):
                self._postgres = EmbeddedPostgres(
                    data, max_connections=settings.postgres.max_connections
                )
                self._postgres.start()
        if not settings.redis.url:
            with self._report.step("Redis"):
                self._redis = EmbeddedRedis(data)
                self._redis.start()
        if settings.nats.embedded and not settings.nats.url and self._postgres is not None:
            with self._report.step("NATS"):
                self._nats = EmbeddedNats(data)
                self._nats.start()
        self._write_settings(address=settings.ray.address)
        with self._report.step("database schema, Redis"):
            applied = prepare_stores(self.resolved)
        if applied:
            self._report.note(f"applied {counted(len(applied), 'migration')}")
        self._checkpoint.start(self.resolved)
        if self.resolved.registry.scenes_file:
            with self._report.step("registry file"):
                changes = apply_registry_file(self.resolved)
            self._report.note(
                f"{counted(len(changes), 'change')} from {self.resolved.registry.scenes_file}"
            )
        if self._ray is not None:
            with self._report.step("Ray"):
                self._ray.wait()
            self._write_settings(address=self._ray.address)
        with self._report.step("supervisor, policy actor and hub"):
            self._start_driver()
        self._stopped_hubs.start()

    def start_site(self) -> None:
        """Begin to stream the simulated site."""
        if not self._simulate:
            return
        host, port = self.hub_address()
        scheme = "wss" if self.resolved.hub.tls_cert_file else "ws"
        self._site.spawn(
            [
                sys.executable,
                "-m",
                "cluster.cli.main",
                "simulate",
                "--data-dir",
                self.data.path,
                "--url",
                f"{scheme}://{host}:{port}/v1/edge",
            ],
            environment=self._environment(),
            death_signal=signal.SIGTERM,
        )

    def hub_address(self) -> tuple[str, int]:
        """Where the first hub listens."""
        hubs = self.ready.get("hubs") or []
        if not hubs:
            raise StartError("no hub is running", hint=self.data.look_into())
        return str(hubs[0]["host"]), int(hubs[0]["port"])

    def watch(self, stopped: Callable[[], bool]) -> None:
        """Keep the children running until `stopped`; one that does not start is waited for. Raises
        ConfigError, NeverStarts."""
        while not stopped():
            time.sleep(CHECK_S)
            if self._postgres is not None and not self._postgres.alive():
                self._restarts.again("PostgreSQL", self._postgres.start)
            if self._redis is not None and not self._redis.alive():
                self._restarts.again("Redis", self._redis.start)
            if self._nats is not None and not self._nats.alive():
                self._restarts.again("NATS", self._nats.start)
            if self._ray is not None and not self._ray.alive():
                self._restarts.again("the Ray head", self._restart_ray)
            elif not self._driver.alive() and not stopped():
                self._restarts.again("the driver", self._start_driver)
            if self._simulate and not self._site.alive() and not stopped():
                self._restarts.again("the simulated site", self.start_site)

    def stop(self) -> bool:
        """Stop everything in order; True when all that was stepped is durable."""
        durable = True
        if self._site.alive():
            with self._report.step("stopping the simulated site"):
                self._site.stop(signal.SIGTERM)
        if self._driver.alive():
            with self._report.step("last commits, hubs and actors"):
                self._driver.stop(signal.SIGTERM, DRIVER_STOP_S)
                durable = any(line.get("durable") is True for line in self._drained())
        self._checkpoint.stop()
        for name, server in (
            ("Ray", self._ray),
            ("NATS", self._nats),
            ("Redis", self._redis),
            ("PostgreSQL", self._postgres),
        ):
            if server is not None:
                with self._report.step(f"stopping {name}"):
                    server.stop()
        self._stopped_hubs.stop()
        self.metrics.stop()
        with contextlib.suppress(FileNotFoundError):
            self.data.settings_file.unlink()
        return durable

    def _write_settings(self, *, address: str) -> None:
        self.resolved = resolve(
            self._settings,
            self.data,
            dsn=self._postgres.dsn if self._postgres else "",
            url=self._redis.url if self._redis else "",
            address=address,
            ray_token=str(self._ray.token_file) if self._ray else "",
            nats=self._nats_settings(),
        )
        write_resolved(self.data.settings_file, self.resolved)

    def _nats_settings(self) -> NatsSettings:
        given = self._settings.nats
        if self._nats is None:
            return given
        url, token = self._nats.url, str(self._nats.token_file)
        return msgspec.structs.replace(given, url=url, token_file=token)

    def _environment(self) -> dict[str, str]:
        token = self.resolved.ray.token_file
        return environment(Path(token)) if token else dict(os.environ)

    def _start_driver(self) -> None:
        process = self._driver.spawn(
            [sys.executable, "-m", "cluster.launcher.driver", self.data.settings_file],
            environment=self._environment(),
            stdout=subprocess.PIPE,
        )
        self._driver_lines = queue.Queue()
        threading.Thread(
            target=_read_lines, args=(process, self._driver_lines), name="driver-lines", daemon=True
        ).start()
        deadline = time.monotonic() + DRIVER_READY_S
        while True:
            try:
                line = self._driver_lines.get(timeout=CHECK_S)
            except queue.Empty as error:
                if not self._driver.alive():
                    raise StartError(
                        f"the driver ended:\n{self._driver.log_tail()}", hint=self.data.look_into()
                    ) from error
                if time.monotonic() > deadline:
                    raise StartError(
                        "supervisor, policy actor and hub were not ready in time",
                        hint=self.data.look_into(),
                    ) from error
                continue
            if "error" in line:
                raise StartError(
                    str(line["error"]), hint=str(line.get("hint") or self.data.look_into())
                )
            if "ready" in line:
                self.ready = line["ready"]
                if self._ray is not None:
                    self._ray.note_processes()
                return

    def _restart_ray(self) -> None:
        assert self._ray is not None
        self._driver.stop(signal.SIGKILL)
        self._ray.stop()
        self._ray.spawn()
        self._ray.wait()
        self._write_settings(address=self._ray.address)
        self._start_driver()

    def _drained(self) -> list[dict[str, Any]]:
        lines = []
        with contextlib.suppress(queue.Empty):
            while True:
                lines.append(self._driver_lines.get(timeout=0.5))
        return lines


def free_port(host: str, port: int) -> int:
    """`port`, or for 0 one that is free (all hubs of a node share it). Raises StartError when
    another program has it.

    The one for 0 lies outside the system's ephemeral range and Ray's worker range, or another
    process could take it before a hub does.
    """
    tries = [port] if port else random.sample(FREE_PORTS, MAX_TRIES)
    for number in tries:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, number))
            except OSError as error:
                if error.errno == errno.EADDRINUSE and number != tries[-1]:
                    continue
                raise StartError(
                    f"{host}:{number} cannot be listened on: {error.strerror}",
                    hint="Another program has the port: end it, or choose another port with "
                    "--port or EYRIE_HUB_PORT.",
                ) from error
            return number
    raise StartError(f"no free port was found on {host}")


def _read_lines(process: "subprocess.Popen[bytes]", lines: "queue.Queue[dict[str, Any]]") -> None:
    assert process.stdout is not None
    with process.stdout:
        for raw in process.stdout:
            try:
                lines.put(msgspec.json.decode(raw, type=dict[str, Any]))
            except msgspec.DecodeError:
                lines.put({"text": raw.decode(errors="replace").rstrip()})
