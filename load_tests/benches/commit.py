"""The fenced commit (design section 6): camera advances per second for 1, 50 and 400 cameras in one
statement, through the store.

The floor is a plain, unfenced UPDATE of the same rows by primary key, over the same connection:
what the fence, the order of locks and the answer cost is the difference. A third figure has an
event in every twentieth row. A PostgreSQL of its own is started, as durable as the product's;
slices alternate and the median counts.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from actors.core.messages.commits import CommitRow, Position
from actors.core.messages.events import Event, StoredEvent, seal
from actors.core.settings import Settings
from actors.core.times import rfc3339
from load_tests.harness.private_postgres import private_postgres
from load_tests.harness.results import Measured, spread
from storage.migrations import migrate
from storage.postgres.cameras import PostgresCameraStore
from storage.postgres.pool import Database
from storage.postgres.registry import PostgresRegistry

SIZES = (1, 50, 400)  # cameras in one commit
SLICES = 5
SLICE_S = 0.8
SNAPSHOT_BYTES = 1024
EVENT_EVERY = 20  # rows
OWNER = "bench"
SESSION = "bench"

PLAIN = """UPDATE positions p SET last_seq = g.to_seq, epoch = g.to_epoch, last_offset = g.to_offset, chain = g.chain, snapshot = g.snapshot
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bytea[], $6::bytea[])
    AS g (camera, to_seq, to_epoch, to_offset, chain, snapshot)
WHERE p.camera = g.camera"""  # noqa: E501

Commit = Callable[[Sequence[CommitRow]], Awaitable[object]]


def run(seed: int) -> Measured:
    """The whole bench, about 45 seconds. `seed` is taken for uniformity: nothing in it is
    random."""
    with private_postgres() as settings:
        return asyncio.run(_measure(settings, seed))


async def _measure(settings: Settings, seed: int) -> Measured:
    await migrate(settings)
    database = await Database.open(settings.postgres, name="bench")
    try:
        store = PostgresCameraStore(database)
        fleet = await _Fleet.open(PostgresRegistry(database), store)

        async def plain(rows: Sequence[CommitRow]) -> object:
            given = [
                (
                    r.camera,
                    r.after.last_seq,
                    r.after.epoch,
                    r.after.last_offset,
                    r.after.chain,
                    r.snapshot,
                )
                for r in rows
            ]
            return await database.fetch(
                PLAIN, *(list(column) for column in zip(*given, strict=True)), writing=True
            )

        figures: dict[str, object] = {
            "seed": seed,
            "snapshot_bytes": SNAPSHOT_BYTES,
            "event_every_rows": EVENT_EVERY,
        }
        floor: dict[str, object] = {}
        ratios: dict[str, float] = {}
        for size in SIZES:
            fenced, unfenced, whole = list[float](), list[float](), list[float]()
            for _ in range(SLICES):
                fenced.append(await fleet.slice(store.commit, size))
                unfenced.append(await fleet.slice(plain, size))
                whole.append(await fleet.slice(store.commit, size, events=True))
            figures[f"advances_per_s_{size}"] = spread(fenced)
            figures[f"advances_with_events_per_s_{size}"] = spread(whole)
            floor[f"advances_per_s_{size}"] = spread(unfenced)
            ratios[f"commit_vs_plain_{size}"] = spread(
                [a / b for a, b in zip(fenced, unfenced, strict=True)]
            ).median
        return Measured(figures, floor, ratios)
    finally:
        await database.close()


class _Fleet:
    """The cameras and where each stands."""

    def __init__(self, generations: dict[str, int], positions: dict[str, Position]) -> None:
        self._names = sorted(positions)
        self._generations = generations
        self._positions = positions
        self._at = 0
        self._snapshot = bytes(range(256)) * (SNAPSHOT_BYTES // 256)

    @classmethod
    async def open(cls, registry: PostgresRegistry, store: PostgresCameraStore) -> "_Fleet":
        """As many cameras as the largest commit takes, their sessions open."""
        names = [f"camera-{number:03d}" for number in range(max(SIZES))]
        for name in names:
            await registry.register(name, "bench")
            await store.assign(name, OWNER, previous=None)
        for activation in await store.activate(OWNER, names):
            await store.open_session(activation.camera, OWNER, activation.generation, SESSION)
        held = await store.ownership(names)
        return cls(
            {n: row.generation for n, row in held.items()},
            {n: row.position for n, row in held.items()},
        )

    async def slice(self, commit: Commit, size: int, *, events: bool = False) -> float:
        """Advances per second of commits of `size` cameras, in turn through all of them."""
        advances = 0
        began = time.perf_counter()
        while (now := time.perf_counter()) - began < SLICE_S:
            rows = [self._row(number, events=events) for number in range(self._at, self._at + size)]
            self._at += size
            await commit(rows)
            for row in rows:
                self._positions[row.camera] = row.after
            advances += size
        return advances / (now - began)

    def _row(self, number: int, *, events: bool) -> CommitRow:
        name = self._names[number % len(self._names)]
        before = self._positions[name]
        happened = [_event(name, before)] if events and number % EVENT_EVERY == 0 else []
        after = msgspec.structs.replace(
            before,
            last_seq=before.last_seq + 5,
            last_offset=before.last_offset + len(happened),
            chain=happened[-1].hash if happened else before.chain,
        )
        return CommitRow(
            name, OWNER, self._generations[name], before, after, self._snapshot, happened
        )


def _event(camera: str, before: Position) -> StoredEvent:
    now_us = time.time_ns() // 1000
    moment, offset = rfc3339(now_us), before.last_offset + 1
    event = Event(
        id=f"{camera}/{before.epoch}/{offset}",
        type="zone.entered",
        site="bench",
        camera=camera,
        epoch=before.epoch,
        offset=offset,
        session=before.session,
        seq=before.last_seq + 1,
        time=moment,
        received=moment,
        severity="info",
        track="t1",
        label="person",
        zone="door",
    )
    return seal(event, before.chain, received_us=now_us, time_us=now_us)
