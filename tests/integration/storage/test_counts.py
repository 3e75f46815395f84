"""Stored counts are what the events say, counted anew: whatever comes late, is stopped, or runs
twice at once."""

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from actors.core.errors import Fenced
from actors.core.messages.commits import Position
from actors.core.messages.events import Event, StoredEvent, seal
from actors.core.times import rfc3339
from storage.ports.background.counts import STEPS, CountQuery, CountRow
from storage.ports.background.jobs import NewJob
from storage.postgres.place import renew_epochs
from storage.stores import Stores, open_stores
from tests.support.servers.store_fixtures import Servers, stores
from tests.support.store_rows import row_of, running
from workers.counting import fold_counts
from workers.kinds import RunningJob

__all__ = ["stores"]

CAMERAS = ["gate", "hall", "yard"]
DAY_US = 86_400_000_000
NEWEST_US = int(time.time()) * 1_000_000  # minutes are forgotten after a month
EVERYTHING = (0, NEWEST_US * 2)
ANEW = """
SELECT (floor(extract(epoch FROM time) / $1) * $1 * 1000000)::bigint AS bucket, camera,
    CASE WHEN type = 'line.crossed' THEN 'line' ELSE 'zone' END AS place,
    CASE WHEN type = 'line.crossed' THEN line ELSE zone END AS name, coalesce(label, '') AS label,
    count(*) FILTER (WHERE type = 'zone.entered' OR convert_from(body, 'UTF8') LIKE '%"direction":"in"%'),
    count(*) FILTER (WHERE type = 'zone.exited' OR convert_from(body, 'UTF8') LIKE '%"direction":"out"%')
FROM events WHERE type IN ('line.crossed', 'zone.entered', 'zone.exited')
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
"""  # noqa: E501
Fleet = dict[str, tuple[int, Position]]


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    seed = random.randrange(2**32)
    sys.stdout.write(f"seed {seed} of {request.node.name}\n")  # pytest shows it with a failure
    return random.Random(seed)


@pytest.fixture
async def fleet(stores: Stores) -> Fleet:
    return await running(stores.registry, stores.cameras, CAMERAS)


def event_at(chance: random.Random, camera: str, position: Position, number: int) -> StoredEvent:
    """The `number`-th event after `position`: any type, late by up to three weeks."""
    offset = position.last_offset + number
    received_us = NEWEST_US - chance.randrange(6 * DAY_US)
    time_us = received_us - chance.choice((0, 1, 3_600, 20 * 86_400)) * chance.randrange(1_000_000)
    kind = chance.choice(("line.crossed", "zone.entered", "zone.exited", "track.started"))
    plain: dict[str, Any] = {"line": "entry"} if kind == "line.crossed" else {}
    if kind.startswith("zone"):
        plain = {"zone": chance.choice(("door", "hall"))}
    event = Event(
        id=f"{camera}/{position.epoch}/{offset}",
        type=kind,
        site="site",
        camera=camera,
        epoch=position.epoch,
        offset=offset,
        session=position.session,
        seq=position.last_seq + number,
        time=rfc3339(time_us),
        received=rfc3339(received_us),
        severity="info",
        label=chance.choice((None, "person", "car")),
        data={"direction": chance.choice(("in", "out"))} if kind == "line.crossed" else {},
        **plain,
    )
    return seal(event, position.chain, received_us=received_us, time_us=time_us)


async def grow(
    stores: Stores, fleet: Fleet, chance: random.Random, cameras: Sequence[str] = CAMERAS
) -> None:
    """12 to 39 more events of each of `cameras`: fewer might hold none that is counted."""
    for name in cameras:
        for _ in range(chance.randrange(12, 40)):
            generation, position = fleet[name]
            row = row_of(name, generation, position, events=[event_at(chance, name, position, 1)])
            assert await stores.cameras.commit([row]) == {name}
            fleet[name] = (generation, row.after)


async def fold(stores: Stores, *, events: int = 7, notes: int = 10**9) -> None:
    """As a worker runs it, in small slices; after so many `notes` it has lost its job."""
    await stores.jobs.enqueue([NewJob("counts.fold")])
    (job,) = await stores.jobs.claim("w-1", ["counts.fold"], limit=1, lease_s=60)
    stopped = Stopped(RunningJob(job, stores.jobs), notes)
    await fold_counts(stopped, stores.counts, cameras=2, events=events)  # type: ignore[arg-type]


class Stopped:
    """A job that is lost to another worker after some notes."""

    def __init__(self, job: RunningJob, notes: int) -> None:
        self._job, self._left = job, notes

    async def note(self, progress: dict[str, Any]) -> None:
        self._left -= 1
        if self._left < 0:
            raise Fenced("lost to another worker")
        await self._job.note(progress)


async def check(stores: Stores, *, behind: int = 0) -> list[CountRow]:
    """All steps say what the events say; the rows of days."""
    found: list[CountRow] = []
    for step, seconds in STEPS.items():
        rows = await stores.database.fetch(ANEW, seconds)
        found = await stores.counts.read(CountQuery(step, *EVERYTHING), 10_000)
        assert found == [CountRow(*row) for row in rows]
    assert await stores.counts.behind() == behind
    return found


async def test_counts_are_what_the_events_say_however_late_they_come(
    stores: Stores, fleet: Fleet, chance: random.Random
) -> None:
    for _ in range(4):
        await grow(stores, fleet, chance, chance.sample(CAMERAS, chance.randrange(1, 4)))
        await fold(stores)
        assert await check(stores)
    await fold(stores)
    await check(stores)


async def test_a_job_that_is_stopped_anywhere_counts_nothing_twice(
    stores: Stores, fleet: Fleet, chance: random.Random
) -> None:
    for notes in range(5):
        await grow(stores, fleet, chance)
        with pytest.raises(Fenced):
            await fold(stores, events=3, notes=notes)
        assert await stores.counts.behind() > 0, "there is something left to do"
    await fold(stores, events=3)
    await check(stores)


async def test_who_counts_at_the_same_time_counts_nothing_twice(
    stores: Stores, fleet: Fleet, chance: random.Random, servers: Servers
) -> None:
    others = [await open_stores(servers.settings, name=f"w{n}", connections=2) for n in range(3)]
    try:
        for _ in range(5):
            await grow(stores, fleet, chance)
            for slices in range(12):
                await asyncio.gather(
                    *(o.counts.fold("", cameras=3, events=3 + slices % 2) for o in others)
                )
        await fold(stores)
        await check(stores)
    finally:
        for opened in others:
            await opened.close()


async def test_events_of_an_older_epoch_and_of_hubs_whose_clocks_are_days_off_are_counted(
    stores: Stores, fleet: Fleet, chance: random.Random
) -> None:
    await grow(stores, fleet, chance)
    await stores.counts.fold("", cameras=3, events=2)
    await grow(stores, fleet, chance)
    async with stores.database.connection() as connection:
        await renew_epochs(connection, CAMERAS[:2])
    for name in CAMERAS[:2]:
        row = (await stores.cameras.ownership([name]))[name]
        fleet[name] = (row.generation, row.position)
    await grow(stores, fleet, chance, CAMERAS[:1])
    await fold(stores)
    await check(stores)
    found = await stores.database.fetch("SELECT count(DISTINCT epoch) FROM events")
    assert found[0][0] > len(CAMERAS)


async def test_what_retention_dropped_before_it_was_counted_holds_nothing_up(
    stores: Stores, fleet: Fleet, chance: random.Random
) -> None:
    await grow(stores, fleet, chance)
    await fold(stores)
    before = await stores.counts.read(CountQuery("day", *EVERYTHING), 10_000)
    await stores.database.fetch("DELETE FROM events", writing=True)
    await grow(stores, fleet, chance)
    await grow(stores, fleet, chance)
    await stores.database.fetch('DELETE FROM events WHERE "offset" % 2 = 0', writing=True)
    await fold(stores)
    assert await stores.counts.behind() == 0
    left = await stores.database.fetch(ANEW, STEPS["day"])
    after = await stores.counts.read(CountQuery("day", *EVERYTHING), 10_000)
    assert total(after) == total(before) + sum(row[5] + row[6] for row in left)


def total(rows: Sequence[CountRow]) -> int:
    return sum(row.came + row.went for row in rows)


async def test_fine_buckets_go_with_their_age_and_coarse_ones_stay(
    stores: Stores, fleet: Fleet, chance: random.Random
) -> None:
    await grow(stores, fleet, chance)
    await fold(stores)
    rows = await stores.database.fetch("SELECT count(*) FROM counts WHERE step = 60")
    assert await stores.counts.forget("minute", 36_500.0, 10) == 0
    gone = 0
    while went := await stores.counts.forget("minute", -36_500.0, 10):
        assert went <= 10
        gone += went
    assert gone == rows[0][0] > 0
    assert await stores.counts.read(CountQuery("minute", *EVERYTHING), 10) == []
    assert await stores.counts.read(CountQuery("hour", *EVERYTHING), 10) != []


async def test_of_a_camera_that_moved_to_another_site_its_old_counts_are_told_to_nobody(
    stores: Stores, fleet: Fleet, chance: random.Random
) -> None:
    await grow(stores, fleet, chance)
    await fold(stores)
    query = CountQuery("hour", *EVERYTHING, site="site")
    rows = await stores.counts.read(query, 10_000)
    assert {row.camera for row in rows} == set(CAMERAS)
    few = msgspec.structs.replace(query, exclude=("gate",), place="zone", name="door", label="car")
    assert await stores.counts.read(few, 10_000) == [
        row
        for row in rows
        if row.camera != "gate" and (row.place, row.name, row.label) == ("zone", "door", "car")
    ]
    await stores.registry.register("elsewhere", "other")
    await stores.database.fetch(
        "UPDATE cameras SET site = 'other' WHERE camera = 'gate'", writing=True
    )
    for site in ("site", "other", None):
        found = await stores.counts.read(msgspec.structs.replace(query, site=site), 10_000)
        assert {row.camera for row in found} == ({"hall", "yard"} if site != "other" else set())
