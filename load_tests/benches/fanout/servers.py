"""The servers of the fan-out bench, one process each: bare sockets, and a whole hub over doubles of
its stores (`naive_server` is another).

Each publishes to its own clients and measures its own CPU seconds. Publications are held back when
the receiver is more than :data:`WINDOW` of them behind, so that a slow receiver costs idle time and
not CPU of the server.
"""

import asyncio
import gc
import mmap
import resource
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from actors.core.settings import CameraSettings, HubSettings, LimitsSettings, Settings
from hub.access.authorization import Access
from hub.access.host_names import Hosts
from hub.access.rate_limits import Limiter
from hub.access.registry_cache import CameraCache
from hub.dashboards.node import Node
from hub.fanout.fanout import Group
from hub.protocol import frames
from hub.server.uvicorn_server import HubServer
from hub.web.answer_headers import AnswerHeaders
from load_tests.benches.fanout.receiver import STAMP_DIGITS, ReceiverPlan
from policy.decision.model import Decision, DecisionInput
from policy.identity.principal import Principal
from storage.ports.event_queries import EventQuery, Key
from storage.ports.events import EventPage, EventRow
from storage.ports.live import BrokerMessage, LiveState, LiveSummary
from storage.ports.registry import CameraRecord

WINDOW = 4  # publications under way
BODY_BYTES = 450  # of a camera's state, as in the design's comparison of peers
WALL_CAMERAS = 50
SUMMARY_BYTES = 400
PACED = 40  # publications of the latency phase
PACE_S = 0.02
SETTLED_S = 0.5  # without a byte more, a publication has arrived everywhere
SITE = "bench"
VERSION = 1_000_000_000  # a fixed number of digits, so that all frames have one size


class Report(msgspec.Struct, frozen=True):
    """One measured phase: `messages` deliveries, the CPU and wall seconds they took."""

    messages: int
    cpu_s: float
    wall_s: float


class ReceiverProgress:
    """How many bytes the receiver has got."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("r+b")  # noqa: SIM115 - as long as the process
        self._shared = mmap.mmap(self._file.fileno(), 8)
        self.sent = 0

    def behind(self, limit: int) -> bool:
        """Whether more than `limit` bytes are on their way."""
        return self.sent - self.received() > limit

    def received(self) -> int:
        """Bytes the receiver has got."""
        return int.from_bytes(self._shared[:], "little")

    async def settled(self) -> int:
        """Bytes the receiver has got once no more come: the size of a peer's frames is its own
        affair, so it is measured."""
        seen, since = 0, time.monotonic()
        while not seen or time.monotonic() - since < SETTLED_S:
            if self.received() != seen:
                seen, since = self.received(), time.monotonic()
            await asyncio.sleep(0.01)
        return seen


def stamped(size: int) -> bytes:
    """A JSON object of about `size` bytes with the moment in it."""
    head = b'{"t":"%019d","fill":"' % time.monotonic_ns()
    assert len(head) > STAMP_DIGITS
    return head + b"x" * (size - len(head) - 2) + b'"}'


# (a) bare sockets


def raw(pipe: Connection, progress_path: str, clients: int, rounds: int, publications: int) -> None:
    """One prebuilt frame, non-blocking `send` in a plain loop."""
    _many_files()
    progress = ReceiverProgress(progress_path)
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:
        pipe.send(ReceiverPlan(server.getsockname()[1], clients))
        sockets = [server.accept()[0] for _ in range(clients)]
    for sock in sockets:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
    pipe.recv()

    def publish() -> int:
        frame = frames.frame(frames.TEXT, stamped(BODY_BYTES))
        progress.sent += len(frame) * clients
        for sock in sockets:
            sock.send(frame)
        return len(frame)

    for _ in range(rounds):
        began, cpu = time.perf_counter(), time.process_time()
        for _ in range(publications):
            size = publish()
            while progress.behind(WINDOW * size * clients):
                time.sleep(0.0005)
        pipe.send(
            Report(publications * clients, time.process_time() - cpu, time.perf_counter() - began)
        )
    pipe.send("paced")
    for _ in range(PACED):
        publish()
        time.sleep(PACE_S)
    pipe.send("done")
    pipe.recv()


# a hub


def camera(
    pipe: Connection,
    progress_path: str,
    clients: int,
    rounds: int,
    publications: int,
    burst: int = 1,
) -> None:
    """A hub's camera channel: a state comes from the broker, and every subscriber gets it. `burst`
    states come in one loop turn."""

    async def main() -> None:
        progress = ReceiverProgress(progress_path)
        node, server, listener = await _hub()
        counted = _count_frames(node, progress)
        hello = '{"id":1,"connect":{"token":"t"}}\n{"id":2,"subscribe":{"channel":"camera:c0"}}'
        plan = ReceiverPlan(
            listener.getsockname()[1], clients, "/connection/websocket", hello, b'"subscribe":'
        )
        version = VERSION

        async def publish() -> int:
            nonlocal version
            for _ in range(burst):
                version += 1
                node.feed.receive(
                    BrokerMessage("state", SITE, "c0", 1, version, body=stamped(BODY_BYTES))
                )
            await asyncio.sleep(0)
            return counted[-1] * burst

        await drive(
            pipe,
            plan,
            progress,
            publish,
            clients,
            rounds,
            publications // burst,
            per_publication=burst,
        )
        await _end(node, server)

    serve(main)


def idle(
    pipe: Connection, progress_path: str, clients: int, rounds: int, publications: int
) -> None:
    """A hub with clients that are connected and subscribed to nothing: memory alone."""
    _still(pipe, clients, private_bytes)


def traced(
    pipe: Connection, progress_path: str, clients: int, rounds: int, publications: int
) -> None:
    """The same, told by part: which library or package of ours holds how many bytes of each client,
    by Python's own tracing."""
    tracemalloc.start()
    _still(pipe, clients, _by_part)


def _still(pipe: Connection, clients: int, measure: Callable[[], Any]) -> None:
    async def main() -> None:
        node, server, listener = await _hub()
        empty = measure()
        hello = '{"id":1,"connect":{"token":"t"}}'
        pipe.send(
            ReceiverPlan(
                listener.getsockname()[1], clients, "/connection/websocket", hello, b'"connect":'
            )
        )
        await asyncio.to_thread(pipe.recv)
        full = measure()
        pipe.send(
            {part: (full[part] - empty.get(part, 0)) / clients for part in full}
            if isinstance(full, dict)
            else (full - empty) / clients
        )
        pipe.send("paced")
        pipe.send("done")
        await asyncio.to_thread(pipe.recv)
        await _end(node, server)

    serve(main)


def wall(
    pipe: Connection, progress_path: str, clients: int, rounds: int, publications: int
) -> None:
    """A hub's wall: all cameras of a site change in every tick. Counted are camera updates."""

    async def main() -> None:
        progress = ReceiverProgress(progress_path)
        node, server, listener = await _hub()
        counted = _count_frames(node, progress)
        hello = f'{{"id":1,"connect":{{"token":"t"}}}}\n{{"id":2,"subscribe":{{"channel":"site:{SITE}"}}}}'  # noqa: E501
        plan = ReceiverPlan(
            listener.getsockname()[1], clients, "/connection/websocket", hello, b'"subscribe":'
        )
        version = VERSION

        async def publish() -> int:
            nonlocal version
            version += 1
            entries = [
                LiveSummary(f"c{number}", 1, version, 0, stamped(SUMMARY_BYTES))
                for number in range(WALL_CAMERAS)
            ]
            node.feed.receive(BrokerMessage("summaries", SITE, entries=entries))
            topic = node.topics[f"site:{SITE}"]
            assert topic.wall is not None
            topic.show_wall(node.fanout, topic.wall.end_tick(time.monotonic()))
            await asyncio.sleep(0)
            return counted[-1]

        await drive(
            pipe,
            plan,
            progress,
            publish,
            clients,
            rounds,
            publications,
            per_publication=WALL_CAMERAS,
        )
        await _end(node, server)

    serve(main)


async def drive(
    pipe: Connection,
    plan: ReceiverPlan,
    progress: ReceiverProgress,
    publish: Callable[[], Awaitable[int]],
    clients: int,
    rounds: int,
    publications: int,
    *,
    per_publication: int = 1,
    used_cpu_s: Callable[[], float] = time.process_time,
    pid: int | None = None,
) -> None:
    """Wait for the clients, measure memory and throughput, then publish at a pace for latencies.

    `used_cpu_s` tells the processor seconds of the server, `pid` is its process; this one is the
    default of both.
    """
    empty = private_bytes(pid)
    pipe.send(plan)
    await asyncio.to_thread(pipe.recv)
    pipe.send((private_bytes(pid) - empty) / clients)
    for _ in range(rounds):
        began, cpu = time.perf_counter(), used_cpu_s()
        for _ in range(publications):
            size = await publish()
            while progress.behind(WINDOW * size * clients):
                await asyncio.sleep(0.0005)
        pipe.send(
            Report(
                publications * clients * per_publication,
                used_cpu_s() - cpu,
                time.perf_counter() - began,
            )
        )
    pipe.send("paced")
    for _ in range(PACED):
        await publish()
        await asyncio.sleep(PACE_S)
    pipe.send("done")
    await asyncio.to_thread(pipe.recv)


def _count_frames(node: Node, progress: ReceiverProgress) -> list[int]:
    """Tell `progress` what is sent; the list holds the size of the last frame."""
    size = [0]
    deliver = node.fanout.live

    def live(group: Group, frame: bytes) -> None:
        size[0] = len(frame)
        progress.sent += len(frame) * len(group.members)
        deliver(group, frame)

    node.fanout.live = live  # type: ignore[method-assign]
    return size


async def _hub() -> tuple[Node, HubServer, socket.socket]:
    records = [CameraRecord(f"c{number}", SITE, "", b"{}", 1, []) for number in range(WALL_CAMERAS)]
    hub = HubSettings(
        port=0,
        ping_s=3600.0,
        max_message_bytes=65_536,
        connections_burst=100_000,
        max_connections_per_user=100_000,
    )
    settings = Settings(hub=hub, camera=CameraSettings(wall_hz=0.001))
    cameras = CameraCache(_Records(records))
    limiter = Limiter(LimitsSettings(user_connects_burst=100_000), 1, None)
    access = Access(_Everybody(), _Everybody(), cameras, limiter)
    node = Node(
        settings, name="hub", access=access, cameras=cameras, broker=_Silence(), events=_NoEvents()
    )
    node.start()
    headers, hosts = AnswerHeaders(), Hosts("127.0.0.1")
    server = HubServer(_no_app, node.connections, hub, headers=headers, hosts=hosts)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    await server.start([listener])
    node.feed.live.expect(SITE, [record.camera for record in records], time.monotonic() + 3600)
    return node, server, listener


async def _no_app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """Dashboards never get here."""


async def _end(node: Node, server: HubServer) -> None:
    await node.stop()
    await server.stop()


def serve(main: Callable[[], Any]) -> None:
    _many_files()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def _many_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def private_bytes(pid: int | None = None) -> int:
    """Private bytes of a process, of this one without `pid`."""
    gc.collect()
    fields = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{pid or 'self'}/smaps_rollup")
        .read_text(encoding="ascii")
        .splitlines()[1:]
    )
    return sum(int(fields[name].split()[0]) * 1024 for name in ("Private_Dirty", "Private_Clean"))


def _by_part() -> dict[str, int]:
    """Bytes of living Python objects by the library, or the package of this project, whose line
    made them."""
    gc.collect()
    parts: dict[str, int] = {}
    for statistic in tracemalloc.take_snapshot().statistics("filename"):
        path = Path(statistic.traceback[0].filename)
        below = (
            path.parts[path.parts.index("site-packages") + 1 :]
            if "site-packages" in path.parts
            else (path.parent.name,)
        )
        parts[below[0]] = parts.get(below[0], 0) + statistic.size
    return parts


class _Everybody:
    """Everybody may see everything."""

    def verify(self, text: object, *, typ: object, now_s: float) -> Principal:
        return Principal("bench", "bench", "user", 0, int(now_s) + 3600, ("viewer",), ("*",))

    async def decide(self, question: DecisionInput) -> Decision:
        return Decision(True, "allowed", "bench")


class _Records:
    def __init__(self, records: list[CameraRecord]) -> None:
        self._records = {record.camera: record for record in records}

    async def camera(self, camera: str) -> CameraRecord | None:
        return self._records.get(camera)

    async def cameras(
        self, site: str | None = None, *, deleted: bool = False
    ) -> list[CameraRecord]:
        return list(self._records.values())


class _Silence:
    """A broker without a Redis."""

    async def run(self) -> AsyncIterator[BrokerMessage]:
        await asyncio.Event().wait()
        yield BrokerMessage("notice", "")

    async def watch(self, sites: Sequence[str], cameras: Sequence[tuple[str, str]]) -> None:
        return

    async def unwatch(self, sites: Sequence[str], cameras: Sequence[tuple[str, str]]) -> None:
        return

    async def watch_operations(self) -> None:
        return

    async def operations(self) -> bytes:
        return b""

    async def echo(self, name: str, body: bytes) -> None:
        return

    async def send(self, name: str, body: bytes) -> bool:
        return False

    async def state(self, site: str, camera: str) -> LiveState | None:
        return None

    async def summaries(self, site: str) -> list[LiveSummary]:
        return []

    async def history(
        self, site: str, camera: str | None, after: int, limit: int, *, begin: bool = False
    ) -> tuple[str, int, list[BrokerMessage]]:
        return "", 0, []


class _NoEvents:
    async def after(self, camera: str, epoch: str, offset: int, limit: int) -> list[EventRow]:
        return []

    async def latest(self, camera: str, limit: int) -> list[EventRow]:
        return []

    async def numbering(self, camera: str) -> tuple[str, int]:
        return "", 0

    async def page(
        self, query: EventQuery, *, newest: bool, beyond: Key | None, limit: int
    ) -> EventPage:
        return EventPage([], None)

    async def homeless(self) -> int:
        return 0

    async def oldest_snapshot_s(self) -> float:
        return 0.0

    async def export(self, cameras: Sequence[str] | None = None) -> AsyncIterator[EventRow]:
        for row in list[EventRow]():
            yield row
