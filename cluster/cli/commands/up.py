"""``eyrie up``: everything, from nothing, until Ctrl-C."""

import argparse
import asyncio
import contextlib
import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import EyrieError
from actors.core.settings import AuthSettings, Settings, build
from cluster.cli import console
from cluster.cli.commands.people import sign_in
from cluster.cli.hub_options import pinned
from cluster.cli.options import add_settings_options, loaded, whole
from cluster.launcher import machine
from cluster.launcher.first_publication import first_publication
from cluster.launcher.launcher import CAMERA_SLOTS, Launcher
from cluster.launcher.node_launcher import NodeLauncher
from hub.server.tls import server_context
from policy.identity.tokens import issue
from storage.embedded.data_dir import DataDir, start_time
from storage.log_follower import LogFollower
from storage.process import disk_room

FIRST_PUBLICATION_S = 60.0
LOOK_S = 0.3  # between two looks at the log

EXAMPLES = """examples:
  eyrie up                          embedded servers, a hub on http://127.0.0.1:8000/, a simulated site of 8 cameras
  eyrie up --port 9000 --cameras 16
  eyrie up --no-simulate            wait for your own edge devices
  EYRIE_POSTGRES_DSN=postgresql://eyrie@db/eyrie EYRIE_REDIS_URL=redis://cache eyrie up
  EYRIE_RAY_HOST=10.0.0.1 EYRIE_RAY_PORT=6380 eyrie up      the same as the head of a cluster (with the two servers above)
  eyrie up --address 10.0.0.1:6380                          on another machine: join it as a node

Ctrl-C stops everything in order; what was acked is there at the next start. On a joined node it moves away what runs there, then leaves.
"""  # noqa: E501


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "up",
        help="start Eyrie, until Ctrl-C",
        description="Start PostgreSQL, Redis, Ray, supervisor, policy and hub.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings_options(parser)
    parser.add_argument("--host", default=None, help="address to listen on (default 127.0.0.1)")
    parser.add_argument(
        "--port", type=whole, default=None, help="port to listen on (default 8000; 0: any free one)"
    )
    parser.add_argument(
        "--address",
        default="",
        metavar="HOST:PORT",
        help="join the cluster whose Ray head is there, as a further node",
    )
    parser.add_argument(
        "--slots",
        type=whole,
        default=CAMERA_SLOTS,
        metavar="N",
        help=f"cameras this machine may host (default {CAMERA_SLOTS})",
    )
    parser.add_argument(
        "--cameras",
        type=whole,
        default=None,
        metavar="N",
        help="cameras of the simulated site (default 8)",
    )
    parser.add_argument("--no-simulate", action="store_true", help="start no simulated site")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object when ready, one when stopped"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal; 0 when all was stopped in order."""
    settings = _settings(arguments)
    reporter = _Reporter()
    if arguments.address:
        return _run_node(arguments, settings, reporter)
    server_context(settings.hub)  # what no hub would start with is told before anything else starts
    launcher = Launcher(
        settings, reporter, simulate=not arguments.no_simulate, slots=arguments.slots
    )
    signals = _Signals()
    wanted = disk_room.needs(launcher.data.path, database=not settings.postgres.dsn)
    _check(settings, launcher.data, node=False)
    launcher.data.prepare()
    with disk_room.told_when_full(wanted), launcher.data.locked():
        try:
            launcher.start()
            launcher.start_site()
            _tell(
                launcher,
                settings,
                arguments,
                simulated=not arguments.no_simulate and settings.simulate.cameras > 0,
            )
            with reporter.following(launcher.data.logs / "eyrie.log"):
                launcher.watch(signals.stopped.is_set)
        except (EyrieError, OSError, KeyboardInterrupt):
            launcher.stop()
            raise
        console.note("")
        durable = launcher.stop()
    if arguments.json:
        console.emit({"stopped": True, "durable": durable})
    console.note(
        "stopped; everything acked is on disk"
        if durable
        else "stopped; the last observations were not acked and will be sent again"
    )
    return console.OK if durable else console.FAILED


def _run_node(arguments: argparse.Namespace, settings: Settings, reporter: "_Reporter") -> int:
    launcher = NodeLauncher(
        settings,
        reporter,
        address=arguments.address,
        host=arguments.host,
        port=arguments.port,
        slots=arguments.slots,
    )
    signals = _Signals()
    wanted = disk_room.needs(launcher.data.path, database=False)
    _check(settings, launcher.data, node=True)
    launcher.data.prepare()
    with disk_room.told_when_full(wanted), launcher.data.locked():
        try:
            launcher.start()
            if arguments.json:
                ready = {
                    "node": launcher.node_id,
                    "address": arguments.address,
                    "data_dir": str(launcher.data.path),
                }
                console.emit({"ready": True, **ready, "metrics": launcher.metrics.url})
            console.note(
                f"joined {arguments.address} as node {launcher.node_id}; Ctrl-C moves away what "
                "runs here, then leaves"
            )
            with reporter.following(launcher.data.logs / "eyrie.log"):
                asked = launcher.watch(signals.stopped.is_set)
        except (EyrieError, OSError, KeyboardInterrupt):
            launcher.stop(drain=False)
            raise
        console.note("")
        empty = launcher.stop(drain=asked) or not asked
    if arguments.json:
        console.emit({"stopped": True, "empty": empty})
    console.note(
        "left the cluster"
        if empty
        else "left the cluster; what ran here starts elsewhere, and edges send again what was "
        "not acked"
    )
    return console.OK if empty else console.FAILED


def _check(settings: Settings, data: DataDir, *, node: bool) -> None:
    """What `eyrie doctor` checks. Raises StartError for what fails; what is only tight is told."""
    for warning in machine.prepare(settings, data, node=node):
        console.note(f"  ! {warning.found}. {warning.next_step}")


def _settings(arguments: argparse.Namespace) -> Settings:
    settings = loaded(arguments).settings
    hub = {
        name: value
        for name, value in (("host", arguments.host), ("port", arguments.port))
        if value is not None
    }
    simulate = {} if arguments.cameras is None else {"cameras": arguments.cameras}
    changed = {**msgspec.to_builtins(settings)}
    changed["hub"] = {**changed["hub"], **hub}
    changed["simulate"] = {**changed["simulate"], **simulate}
    if (
        arguments.port == 0
    ):  # one of several instances on this machine: the cluster API takes a free port too
        changed["cluster"] = {**changed["cluster"], "api_port": 0}
    return build(changed)


def _tell(
    launcher: Launcher, settings: Settings, arguments: argparse.Namespace, *, simulated: bool
) -> None:
    host, port = launcher.hub_address()
    secure = "s" if launcher.resolved.hub.tls_cert_file else ""
    took = None
    if simulated:
        url = f"ws{secure}://{host}:{port}/connection/websocket"
        token = _token(launcher)
        tls = pinned(launcher.resolved.hub.tls_cert_file)
        hint = launcher.data.look_into()
        asyncio.run(
            first_publication(
                url, token, settings.simulate.site, FIRST_PUBLICATION_S, tls, hint=hint
            )
        )
        took = _age_s()
    url = f"http{secure}://{host}:{port}/"
    if arguments.json:
        ready = {"url": url, "first_publication_s": took, "data_dir": str(launcher.data.path)}
        console.emit(
            {
                "ready": True,
                **ready,
                "ray_address": launcher.resolved.ray.address,
                "metrics": launcher.metrics.url,
            }
        )
        return
    console.say()
    _tell_console(launcher, url)
    console.say(f"data      {launcher.data.path}")
    console.say(f"metrics   {launcher.metrics.url}")
    console.say(f"events    {kept(launcher.resolved.events.keep_days)}")
    if settings.ray.host:
        console.say(
            f"join      eyrie up --address {launcher.resolved.ray.address}    (after copying "
            f"{launcher.data.keys} there)"
        )
    if took is not None:
        console.say(f"first live publication on a subscriber after {took:.1f} s")
    console.say("Ctrl-C stops everything.")


def _provided(auth: AuthSettings) -> bool:
    """Whether tokens come from an identity provider, and none can be made here."""
    return bool(auth.jwks_file or auth.jwks_url) and not auth.signing_key_file


def _tell_console(launcher: Launcher, url: str) -> None:
    """The console, with a link that signs in where nobody but who sits there reads it; elsewhere
    how to get one."""
    auth, again = launcher.resolved.auth, sign_in.command(launcher.data)
    if _provided(auth):
        console.say(
            f"console   {url}    (sign in with a token of your identity provider)",
            style="bold green",
        )
    elif sign_in.on_terminal():
        console.say(
            f"console   {sign_in.link_of(launcher.resolved, url, _token(launcher))}",
            style="bold green",
        )
        console.say(
            f"          signs one browser in, once, within {sign_in.MINUTES} minutes; for "
            f"another: {again}"
        )
    else:
        console.say(f"console   {url}", style="bold green")
        console.say(
            f"sign in   {again}    (on a terminal, or with --file FILE: a link that works once)"
        )


def _token(launcher: Launcher) -> str:
    return issue(
        launcher.resolved.auth,
        sub="operator",
        typ="user",
        jti=secrets.token_hex(12),
        now_s=time.time(),
        roles=["admin"],
        sites=["*"],
        scopes=["pii:read"],
    )


def _age_s() -> float:
    """Seconds since this process was started, interpreter start included."""
    ticks = start_time(os.getpid()) or 0
    up = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    return round(up - ticks / os.sysconf("SC_CLK_TCK"), 2)


class _Signals:
    """The first Ctrl-C or SIGTERM asks to stop; a second one no longer waits for the last
    commits."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._heard)

    def _heard(self, _number: int, _frame: Any) -> None:
        if self.stopped.is_set():
            raise KeyboardInterrupt
        self.stopped.set()


class _Reporter:
    """Progress on standard error: a spinner per step on a terminal, a line per step elsewhere."""

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Tell how long `text` took."""
        begun = time.monotonic()
        with console.spinner(text):
            yield
        console.note(f"  ✓ {text} ({time.monotonic() - begun:.1f} s)")

    def note(self, text: str) -> None:
        """Tell `text`."""
        console.note(f"  · {text}")

    @contextlib.contextmanager
    def following(self, log: Path) -> Iterator[None]:
        """Show warnings and errors of all processes as they are logged."""
        over = threading.Event()
        thread = threading.Thread(
            target=_follow, args=(log, over), name="log-follower", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=2.0)


def _follow(path: Path, over: threading.Event) -> None:
    with contextlib.closing(LogFollower(path)) as follower:
        while not over.wait(LOOK_S):
            lines, lost = follower.lines()
            if lost:
                console.note(
                    f"  · {path.name} was filled faster than it is read here: some lines are not "
                    "shown"
                )
            for line in lines:
                if any(
                    f" {level} " in line[:24] or f'"level": "{level}"' in line
                    for level in ("warning", "error", "critical")
                ):
                    console.note(line.rstrip())


def kept(days: int) -> str:
    """How long events stay, for people."""
    return (
        f"kept for {days} days, then dropped (events.keep_days)"
        if days
        else "kept for ever (events.keep_days = 0)"
    )
