"""What a request over a link costs, in processor time of both ends: one observation to an actor
process and its ack back.

The floor: a bare asyncio protocol in another process that sends back the same frames, on the same
kind of socket and loop. And a Ray call to an actor of the same shape, in a private Eyrie
(`load_tests.benches.on_ray.ray_call`). Rounds of link and floor alternate.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from actors.core.messages import deliveries
from actors.core.messages.deliveries import Acked, Answer, Data
from actors.links.address import LinkAddress
from actors.links.client import LinkMaker
from actors.links.frames import Kind, frame
from actors.links.greeting import derive_key
from actors.links.server import LinkServer, Send
from cluster.ray.process import environment
from load_tests.harness.child_process import BenchChild
from load_tests.harness.results import Measured, spread
from load_tests.harness.stack import python_path, stack
from load_tests.harness.synthetic_scene import walk

KEY = derive_key(b"bench" * 10, "bench")
OBJECTS = 5
ROUNDS = 5
REQUESTS = 10_000  # of a round
RAY_CALLS = 2_000
RAY_S = 120.0
SILENT_S = 30.0


def run(
    seed: int, *, requests: int = REQUESTS, rounds: int = ROUNDS, ray_calls: int = RAY_CALLS
) -> Measured:
    """`ray_calls` 0: not measured. Microseconds are processor time of both processes."""
    item = deliveries.encoder.encode(
        Data("bench", "bench/1", "s", 1, 0, "msgpack", walk(seed, OBJECTS, 1))
    )
    links: list[float] = []
    echoes: list[float] = []
    with tempfile.TemporaryDirectory(prefix="eyrie-link-") as name, contextlib.ExitStack() as ends:
        folder = Path(name)
        link = ends.enter_context(BenchChild(serve_link, str(folder)))
        echo = ends.enter_context(BenchChild(serve_echo, str(folder / "echo.sock")))
        path, pid = link.hear()
        echo_path, echo_pid = echo.hear()
        for _ in range(rounds):
            links.append(_on_loop(lambda: _over_link(path, pid, item, requests)))
            echoes.append(_on_loop(lambda: _over_echo(echo_path, echo_pid, item, requests)))
    figures: dict[str, object] = {"item_bytes": len(item), "link_us": spread(links)}
    ratios = {"link_vs_echo": round(spread(echoes).median / spread(links).median, 3)}
    if ray_calls:
        called = _over_ray(seed, ray_calls)
        figures["ray_call_us"] = called
        ratios["link_vs_ray"] = round(called / spread(links).median, 1)
    return Measured(figures, {"echo_us": spread(echoes)}, ratios)


def processor_s(pid: int) -> float:
    """Processor time of a process so far: its clock by number (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def _on_loop(work: Callable[[], Awaitable[float]]) -> float:
    async def run_it() -> float:
        return await work()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run_it())


@contextlib.contextmanager
def _spent(pid: int, requests: int) -> Iterator[Callable[[], float]]:
    """Microseconds of processor time for one request, of this process and `pid`."""
    began = time.process_time() + processor_s(pid)
    yield lambda: 1e6 * (time.process_time() + processor_s(pid) - began) / requests


class _Requests:
    """Sends the next request when the last is answered. A `LinkUser`."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.over = asyncio.get_running_loop().create_future()
        self.again: Callable[[], None] = lambda: None

    def answered(self, answers: Sequence[Answer]) -> None:
        self.next()

    def next(self) -> None:
        self._left -= 1
        if self._left:
            self.again()
        else:
            self.over.set_result(None)

    def writable(self) -> None:
        """It was never full."""

    def lost(self, reason: str) -> None:
        self.over.set_exception(ConnectionError(reason))


async def _over_link(path: str, pid: int, item: bytes, requests: int) -> float:
    user = _Requests(requests)
    maker = LinkMaker(KEY, cluster="bench", node="bench", silent_s=SILENT_S)
    hub = f"hub-{time.monotonic_ns()}"
    link = await maker.connect(LinkAddress(node="bench", path=path), "bench", hub, user)
    link.owed(True)
    items = [item]
    user.again = lambda: link.send(items)
    with _spent(pid, requests) as spent:
        user.again()
        await user.over
        cost = spent()
    link.close()
    return cost


class _Echo(asyncio.Protocol):
    def __init__(self, received: Callable[[bytes], None] | None = None) -> None:
        self.transport: Any = None
        self._received = received

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self._received is None:
            self.transport.write(data)
        else:
            self._received(data)


async def _over_echo(path: str, pid: int, item: bytes, requests: int) -> float:
    sent = frame(Kind.ITEMS, b"\xdc\x00\x01" + item)
    user = _Requests(requests)
    _transport, echo = await asyncio.get_running_loop().create_unix_connection(
        lambda: _Echo(lambda data: user.next()), path
    )
    user.again = lambda: echo.transport.write(sent)
    with _spent(pid, requests) as spent:
        user.again()
        await user.over
        cost = spent()
    echo.transport.abort()
    return cost


class _Answering:
    """What is behind the link: an ack for each delivery, encoded before."""

    def __init__(self) -> None:
        self._ack = deliveries.encoder.encode([Acked("bench", "bench/1", 1, 100)])
        self._send: Send = lambda answers: None

    def linked(self, hub: str, send: Send) -> None:
        self._send = send

    def unlinked(self, hub: str, send: Send) -> None:
        """Another follows."""

    def take(self, items: bytes) -> None:
        self._send(self._ack)


def serve_link(pipe: Connection, folder: str) -> None:
    """The process of an actor: says (path, pid), and ends when told."""
    server = LinkServer(_Answering(), KEY, cluster="bench", name="bench", silent_s=SILENT_S)

    async def begin() -> tuple[str, int]:
        return await server.listen_here(Path(folder)), os.getpid()

    _serve(pipe, begin)


def serve_echo(pipe: Connection, path: str) -> None:
    """The floor's process."""
    held: list[asyncio.AbstractServer] = []  # a server that nobody holds may be collected

    async def begin() -> tuple[str, int]:
        held.append(await asyncio.get_running_loop().create_unix_server(_Echo, path))
        return path, os.getpid()

    _serve(pipe, begin)


def _serve(pipe: Connection, begin: Callable[[], Awaitable[tuple[str, int]]]) -> None:
    async def until_told() -> None:
        pipe.send(await begin())
        await asyncio.to_thread(pipe.recv)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_told())


def _over_ray(seed: int, calls: int) -> float:
    with stack({"EYRIE_LOG_LEVEL": "warning"}) as running:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "load_tests.benches.on_ray.ray_call",
                str(running.data.settings_file),
                str(seed),
                str(calls),
            ],
            stdout=subprocess.PIPE,
            env={**environment(Path(running.settings.ray.token_file)), "PYTHONPATH": python_path()},
            timeout=RAY_S,
            check=True,
        )
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=float)
