"""The launcher behind `eyrie up --address`: this machine as a node of a cluster whose head runs
elsewhere.

It reads the cluster's settings from the head, writes them for the processes that Ray will start
here, joins, and joins again when the head was away. Stopping drains the node first: what runs here
is moved, in the order that every drain has.
"""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from actors.core.errors import EyrieError, StartError
from actors.core.log_format import counted
from actors.core.settings import Settings
from cluster.launcher import joining
from cluster.launcher.launcher import CAMERA_SLOTS, CHECK_S, Reporter
from cluster.launcher.node_metrics import MetricsServer
from cluster.launcher.restarts import Pauses
from cluster.launcher.stopped_hubs import StoppedHubs
from cluster.ray.node import RayNode
from cluster.ray.process import environment
from hub.server.tls import server_context
from storage.embedded.data_dir import DataDir, of
from storage.ports.cluster import Operation, RequestedOperation
from storage.process.settings_files import write_resolved
from storage.stores import open_stores

REACH_S = 5.0  # seconds that a connection to the head may take
FETCH_S = 30.0  # seconds the head may take to tell its settings
BETWEEN_TRIES_S = (
    1.0,
    2.0,
    4.0,
    8.0,
)  # seconds between two tries to join, the last one again and again
DRAIN_S = 60.0  # seconds that moving everything away may take
RAY = "Ray"
LOOK_S = 0.2  # seconds between two looks at how far a drain is


class NodeLauncher:
    """`start`, then `watch` until told to stop, then `stop`. `settings` as loaded here: only its
    data directory and `[ray]` count."""

    def __init__(
        self,
        settings: Settings,
        reporter: Reporter,
        *,
        address: str,
        host: str | None = None,
        port: int | None = None,
        slots: int = CAMERA_SLOTS,
    ) -> None:
        """`address`: of the head. `host`, `port`: where hubs of this node listen, if not as the
        cluster's settings say."""
        self._report = reporter
        self._address = address
        self._hub = {"host": host, "port": port}
        self._slots = slots
        self.data: DataDir = of(settings)
        token = settings.ray.token_file or str(self.data.keys / "ray.token")
        self._ray = msgspec.structs.replace(settings.ray, token_file=token)
        self._node: RayNode | None = None
        self._pauses = Pauses()
        self._stopped_hubs = StoppedHubs(reporter.note)
        self.metrics = MetricsServer(self.data, settings)
        self.resolved = settings

    @property
    def node_id(self) -> str:
        """Ray's name of this node."""
        return "" if self._node is None else self._node.node_id

    def start(self) -> None:
        """Join. Call with the data directory locked. Raises StartError, Unavailable."""
        left = self.data.end_leftovers()
        if left:
            names = ", ".join(record.name for record in left)
            self._report.note(
                f"ended {counted(len(left), 'process', 'processes')} that an earlier Eyrie had "
                f"left: {names}"
            )
        if not Path(self._ray.token_file).exists():
            raise StartError(
                f"the cluster's token is not at {self._ray.token_file}",
                hint=f"Copy the folder keys/ of the head's data directory to {self.data.keys}.",
            )
        self.metrics.start()
        with self._report.step("settings of the cluster"):
            self._read_settings()
        with self._report.step("Ray"):
            self._join()
        self._stopped_hubs.start()

    def watch(self, stopped: Callable[[], bool]) -> bool:
        """Stay joined until `stopped`, or until the cluster lets this node go (False then)."""
        while not stopped():
            time.sleep(CHECK_S)
            assert self._node is not None
            if self._node.released() and self._cordoned():
                self._report.note("the cluster has drained this node and let it go")
                return False
            if self._node.released() or not self._node.alive():
                self._report.note("this node's Ray ended, or its head did; joining again")
                self._rejoin(stopped)
        return True

    def stop(self, *, drain: bool = True) -> bool:
        """Leave, after everything of this node was moved away (`drain`). True when nothing was left
        on it."""
        empty = False
        if self._node is not None and drain and self._node.alive() and self.node_id:
            with self._report.step("moving what runs here to other nodes"):
                empty = self._drain(self.node_id)
        if self._node is not None:
            with self._report.step("stopping Ray"):
                self._node.stop()
        self._stopped_hubs.stop()
        self.metrics.stop()
        with contextlib.suppress(FileNotFoundError):
            self.data.settings_file.unlink()
        return empty

    def _read_settings(self) -> None:
        reach(self._address)
        try:
            asked = subprocess.run(
                [sys.executable, "-m", "cluster.ray.settings", self._address],
                env=environment(Path(self._ray.token_file)),
                capture_output=True,
                timeout=FETCH_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise StartError(
                f"the Ray head at {self._address} did not tell the cluster's settings within "
                f"{FETCH_S:g} s",
                hint="Is it a Ray head?",
            ) from error
        if asked.returncode:
            lines = asked.stderr.decode(errors="replace").strip().splitlines()
            raise StartError(
                f"the Ray head at {self._address} does not tell the cluster's settings: "
                f"{' '.join(lines[-2:])[:500]}",
                hint="Is the address the one that `eyrie up` printed there, and keys/ the head's?",
            )
        told = msgspec.json.decode(asked.stdout, type=Settings)
        here = joining.localized(
            told,
            str(self.data.path),
            address=self._address,
            host=self._hub["host"],  # type: ignore[arg-type]
            port=self._hub["port"],  # type: ignore[arg-type]
        )
        ray = msgspec.structs.replace(
            here.ray,
            token_file=self._ray.token_file,
            host=self._ray.host,
            port_min=self._ray.port_min,
            port_max=self._ray.port_max,
        )
        self.resolved = msgspec.structs.replace(here, ray=ray)
        joining.check(self.resolved, lambda path: Path(path).exists())
        server_context(
            self.resolved.hub
        )  # the head says whether plain text is meant; what no hub would start with is told now
        write_resolved(self.data.settings_file, self.resolved)

    def _join(self) -> None:
        self._node = RayNode(
            self.data,
            address=self._address,
            settings=self.resolved.ray,
            cameras=self._slots,
            settings_file=self.data.settings_file,
        )
        self._node.spawn()
        self._node.wait()

    def _rejoin(self, stopped: Callable[[], bool]) -> None:
        """Until it works: a head that is away is waited for, and a Ray that ends here again and
        again gets pauses that grow."""
        began, tries = time.monotonic(), 0
        assert self._node is not None
        self._node.stop()
        if pause := self._pauses.ended(RAY, began):
            self._report.note(
                f"this node's Ray ended {self._pauses.ends(RAY)} times in a row, it waits "
                f"{pause:g} s. {self.data.look_into()}"
            )
            self._pause(pause, stopped)
        while not stopped():
            try:
                self._read_settings()
                self._join()
            except EyrieError as error:
                self._node.stop()
                if tries == 0:
                    self._report.note(f"the cluster cannot be joined now, trying on: {error}")
                self._pause(BETWEEN_TRIES_S[min(tries, len(BETWEEN_TRIES_S) - 1)], stopped)
                tries += 1
                continue
            self._pauses.started(RAY, time.monotonic())
            self._report.note(f"joined again after {time.monotonic() - began:.1f} s")
            return

    @staticmethod
    def _pause(seconds: float, stopped: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not stopped():
            time.sleep(CHECK_S)

    def _cordoned(self) -> bool:
        """Whether somebody ordered this node to be left: a raylet ends in order also when its head
        was replaced."""
        try:
            return asyncio.run(cordoned(self.resolved, self.node_id))
        except EyrieError as error:
            self._report.note(f"it cannot be read whether this node was drained: {error}")
            return False

    def _drain(self, node: str) -> bool:
        try:
            ended = asyncio.run(drain(self.resolved, node))
        except (EyrieError, TimeoutError) as error:
            self._report.note(
                f"it was not drained: {error or 'it took too long'}; its cameras start elsewhere "
                "without their last second"
            )
            return False
        if ended.state != "done":
            self._report.note(f"it was not drained: {ended.detail or ended.state}")
        return ended.state == "done"


def reach(address: str) -> None:
    """Raises StartError when nobody listens at `address` (``host:port``): Ray itself would try for
    a minute."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S).close()
    except (OSError, ValueError) as error:
        raise StartError(
            f"nobody answers at {address}: {error}",
            hint="Give the address that `eyrie up` printed on the head, as HOST:PORT.",
        ) from error


async def cordoned(settings: Settings, node: str) -> bool:
    """Whether `node` gets nothing new, as PostgreSQL has it. Raises Unavailable."""
    stores = await open_stores(settings, name="node")
    try:
        return any(cordon.node == node for cordon in (await stores.cluster.orders()).cordons)
    finally:
        await stores.close()


async def drain(settings: Settings, node: str) -> Operation:
    """Ask for a drain of `node` and wait for its end. Raises Unavailable, TimeoutError."""
    stores = await open_stores(settings, name="node")
    try:
        asked = RequestedOperation(
            f"leave-{node[:16]}",
            "drain",
            node,
            {},
            who=f"node:{node[:16]}",
            key=f"leave-{node[:16]}",
        )
        operation, _ = await stores.cluster.ask(asked)
        async with asyncio.timeout(DRAIN_S):
            while not operation.over:
                await asyncio.sleep(LOOK_S)
                operation = await stores.cluster.operation(operation.id) or operation
        return operation
    finally:
        await stores.close()
