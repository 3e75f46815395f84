"""What a sink costs: events per second of processor time of a relay into NATS JetStream, next to a
bare publisher of the same client that sends the same messages in the same batches.

The relay is the product's: it looks for what is due, reads events, asks policy's answer, makes
envelopes, publishes atomic batches and moves cursors. PostgreSQL and NATS are of the bench's own,
as durable as the product's; only this process's time counts, and slices of both alternate. Policy
answers at once, as from its cache. Then events come at half of what the relay managed, and the time
from each commit to the broker's ack is taken.
"""

import asyncio
import contextlib
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence

from actors.core.errors import StartError
from actors.core.messages.commits import CommitRow, Position
from actors.core.messages.events import Event, StoredEvent, seal
from actors.core.settings import Settings
from actors.core.times import rfc3339
from connectors.sinks import sealed
from connectors.sinks.context import SinkContext
from connectors.sinks.http_client import HttpClient
from connectors.sinks.jetstream import BATCH
from connectors.sinks.kinds import kinds_of
from connectors.sinks.nats_client import NatsLink, Outgoing
from connectors.sinks.planning import SinkRuling, shown
from connectors.sinks.sealed import Secrets
from connectors.sinks.spec import Filter
from connectors.sinks.stream_places import message_headers, subject_of
from load_tests.harness.private_postgres import private_postgres
from load_tests.harness.results import Measured, spread
from policy.decision.model import Decision, DecisionInput
from storage.embedded.data_dir import of
from storage.embedded.nats import EmbeddedNats
from storage.events.sinks import PostgresSinkStore
from storage.migrations import migrate
from storage.ports.background.sinks import SinkRow
from storage.ports.events import EventRow
from storage.postgres.background.connectors import PostgresBreakerStore, PostgresConnectorStore
from storage.postgres.cameras import PostgresCameraStore
from storage.postgres.pool import Database
from storage.postgres.registry import PostgresRegistry
from workers.connecting import ConnectorRunner

CAMERAS = 50
SLICES = 5
EACH = 80  # events of a camera in a slice
LAG_S = 8.0
TICK_S = 0.05  # between two commits at half load
LOOK_S = 0.001  # between two looks at how far the relay is
WITHIN_S = 120.0
OWNER = SESSION = "bench"
SINK, STREAM = "bench", "EYRIE_EVENTS"
KEY = bytes(32)


def run(seed: int) -> Measured:
    """The whole bench, about 40 seconds. `seed` is for uniformity: nothing in it is random."""
    with private_postgres() as settings:
        broker = EmbeddedNats(of(settings))
        broker.start()
        try:
            token = broker.token_file.read_text("ascii").strip()
            return asyncio.run(_measure(settings, seed, broker.url, token))
        finally:
            broker.stop()


async def _measure(settings: Settings, seed: int, url: str, token: str) -> Measured:
    await migrate(settings)
    database = await Database.open(settings.postgres, name="bench", size=3)
    try:
        fleet = await _EventFleet.open(PostgresRegistry(database), PostgresCameraStore(database))
        relay = await _Relay.open(database, url, token)
        own, wall, plain = list[float](), list[float](), list[float]()
        for number in range(SLICES):
            events = await fleet.commit(EACH)
            plain.append(await _publisher(url, token, number, events))
            cpu, real = await relay.drain(len(events))
            own.append(cpu)
            wall.append(real)
        half = spread(wall).median / 2
        lags = await relay.lags(fleet, half)
    finally:
        await database.close()
    ratios = [ours / theirs for ours, theirs in zip(own, plain, strict=True)]
    return Measured(
        {
            "seed": seed,
            "cameras": CAMERAS,
            "events": CAMERAS * EACH,
            "event_bytes": len(events[0].body),
            "relay_events_per_cpu_s": spread([round(value) for value in own]),
            "relay_events_per_s": spread([round(value) for value in wall]),
            "half_load_events_per_s": round(half),
            "lag_p50_ms": round(lags[len(lags) // 2] * 1_000, 1),
            "lag_p99_ms": round(lags[len(lags) * 99 // 100] * 1_000, 1),
        },
        {"publisher_events_per_cpu_s": spread([round(value) for value in plain])},
        {"relay_vs_publisher": round(spread(ratios).median, 3)},
    )


async def _publisher(url: str, token: str, number: int, events: Sequence[EventRow]) -> float:
    """Events per processor second, into a stream of its own; its messages are made before."""
    prefix, stream = f"plain{number}", f"PLAIN{number}"
    messages: list[Outgoing] = []
    for one in events:
        event = shown(one, "", Filter(), SinkRuling(True))
        assert event is not None
        messages.append(Outgoing(subject_of(prefix, event), message_headers(event), event.data))
    link = await NatsLink.open(url, token)
    try:
        await link.make_stream(stream, [f"{prefix}.>"], 3_600)
        began = time.process_time()
        for start in range(0, len(messages), BATCH):
            await link.publish_batch(f"{number}-{start}", messages[start : start + BATCH])
        return len(messages) / (time.process_time() - began)
    finally:
        await link.close()


class _Allowing:
    """`policy.decision.model.Decider`: an operator, for whom nothing is hidden."""

    async def decide(self, question: DecisionInput) -> Decision:
        return Decision(True, "allowed", "bench")


class _Relay:
    """One sink, run as a worker runs it."""

    def __init__(self, context: SinkContext, connectors: PostgresConnectorStore) -> None:
        self._context = context
        self._connectors = connectors

    @classmethod
    async def open(cls, database: Database, url: str, token: str) -> "_Relay":
        store = PostgresSinkStore(database)
        spec = {"to": {"type": "jetstream", "stream": STREAM}, "view": {"sites": ["*"]}}
        secrets = sealed.seal(KEY, SINK, Secrets())
        await store.make(SinkRow(SINK, "jetstream", spec, secrets=secrets), from_now=True)
        context = SinkContext(
            store,
            PostgresBreakerStore(database),
            _Allowing(),
            KEY,
            HttpClient(()),
            nats_url=url,
            nats_token=token,
        )
        return cls(context, PostgresConnectorStore(database))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        runner = ConnectorRunner("bench", self._connectors, kinds_of(self._context))
        await runner.round()
        try:
            yield
        finally:
            await runner.stop()

    async def drain(self, events: int) -> tuple[float, float]:
        """(events per processor second, per second), from its start to the last ack."""
        until = self._context.counts.sent + events
        cpu, began = time.process_time(), time.perf_counter()
        async with self.running():
            await self._reach(until)
        return events / (time.process_time() - cpu), events / (time.perf_counter() - began)

    async def lags(self, fleet: "_EventFleet", rate: float) -> list[float]:
        """Seconds from commit to ack, of every event at `rate` events a second, sorted."""
        first = self._context.counts.sent
        committed: list[tuple[float, int]] = []  # when, and how many there were then
        acked: list[tuple[int, float]] = []
        total = 0

        async def look() -> None:
            while True:
                if not acked or self._context.counts.sent > acked[-1][0]:
                    acked.append((self._context.counts.sent, time.perf_counter()))
                await asyncio.sleep(LOOK_S)

        async with self.running(), asyncio.TaskGroup() as group:
            looking = group.create_task(look())
            began = time.perf_counter()
            while (now := time.perf_counter() - began) < LAG_S:
                due = int(rate * now) - total
                if due > 0:
                    await fleet.some(due)
                    total += due
                    committed.append((time.perf_counter(), total))
                await asyncio.sleep(TICK_S)
            await self._reach(first + total)
            await asyncio.sleep(LOOK_S * 5)  # the last one is seen
            looking.cancel()
        counts = [count for count, _ in acked]
        lags, before = list[float](), 0
        for when, count in committed:
            at = acked[bisect_left(counts, first + count)][1]
            lags += [max(0.0, at - when)] * (count - before)
            before = count
        return sorted(lags)

    async def _reach(self, sent: int) -> None:
        try:
            async with asyncio.timeout(WITHIN_S):
                while self._context.counts.sent < sent:
                    await asyncio.sleep(0.005)
        except TimeoutError as error:
            raise StartError(f"the relay sent not all within {WITHIN_S:g} s") from error


class _EventFleet:
    """Cameras with events alone."""

    def __init__(self, store: PostgresCameraStore, places: dict[str, tuple[int, Position]]) -> None:
        self._store = store
        self._places = places
        self._turn = 0

    @classmethod
    async def open(cls, registry: PostgresRegistry, store: PostgresCameraStore) -> "_EventFleet":
        names = [f"camera-{number:03d}" for number in range(CAMERAS)]
        for name in names:
            await registry.register(name, "bench")
            await store.assign(name, OWNER, previous=None)
        for activation in await store.activate(OWNER, names):
            await store.open_session(activation.camera, OWNER, activation.generation, SESSION)
        held = await store.ownership(names)
        return cls(store, {name: (row.generation, row.position) for name, row in held.items()})

    async def commit(self, each: int) -> list[EventRow]:
        """So many of every camera; all of them."""
        return await self._commit(dict.fromkeys(self._places, each))

    async def some(self, count: int) -> None:
        """So many, spread over the cameras by turns."""
        names = list(self._places)
        wanted: dict[str, int] = {}
        for _ in range(count):
            name = names[self._turn % len(names)]
            wanted[name] = wanted.get(name, 0) + 1
            self._turn += 1
        await self._commit(wanted)

    async def _commit(self, wanted: dict[str, int]) -> list[EventRow]:
        rows = [self._row(name, count) for name, count in wanted.items()]
        await self._store.commit(rows)
        for row in rows:
            self._places[row.camera] = (row.generation, row.after)
        return [
            EventRow(row.camera, row.after.epoch, offset, event.body, event.hash, 0)
            for row in rows
            for offset, event in enumerate(row.events, row.before.last_offset + 1)
        ]

    def _row(self, name: str, count: int) -> CommitRow:
        generation, before = self._places[name]
        events: list[StoredEvent] = []
        chain = before.chain
        for number in range(1, count + 1):
            events.append(_event(name, before, number, chain))
            chain = events[-1].hash
        after = Position(
            session=before.session,
            last_seq=before.last_seq + count,
            epoch=before.epoch,
            last_offset=before.last_offset + count,
            chain=chain,
        )
        return CommitRow(name, OWNER, generation, before, after, b"", events)


def _event(camera: str, before: Position, number: int, chain: bytes) -> StoredEvent:
    now_us = time.time_ns() // 1000
    moment, offset = rfc3339(now_us), before.last_offset + number
    event = Event(
        id=f"{camera}/{before.epoch}/{offset}",
        type="zone.entered",
        site="bench",
        camera=camera,
        epoch=before.epoch,
        offset=offset,
        session=before.session,
        seq=before.last_seq + number,
        time=moment,
        received=moment,
        severity="info",
        track="t1",
        label="person",
        zone="door",
    )
    return seal(event, chain, received_us=now_us, time_us=now_us)
