"""Reads of events with hundreds of days kept: locks, plans, and pages that are exactly the filtered
list while events arrive."""

import os
import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from actors.core.settings import Settings
from load_tests.benches.event_days import DAYS_SQL, FILL_SQL, TIPS_SQL
from storage.events.events import PostgresEventStore
from storage.migrations import migrate
from storage.ports.cameras import key_of
from storage.ports.event_queries import EventQuery, Key
from storage.ports.events import EventRow
from storage.postgres.pool import Database
from tests.support.servers.store_fixtures import settings_of
from tests.support.servers.store_servers import postgres

MOST_LOCKS = (
    200  # a window of 32 days: table, key and index of each; the default partition; the parent
)
SEVERITIES = ("info", "notice", "warning", "critical")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as (_, dsn):
        yield dsn


@pytest.fixture
async def settings(server: str) -> Settings:
    """Those of a fresh database, migrated."""
    connection = await asyncpg.connect(server)
    await connection.execute("DROP DATABASE IF EXISTS reads WITH (FORCE)")
    await connection.execute("CREATE DATABASE reads")
    await connection.close()
    fresh: Settings = settings_of(server.replace("/postgres?", "/reads?"), "")
    await migrate(fresh)
    return fresh


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = await Database.open(settings.postgres, name="test", size=2)
    yield opened
    await opened.close()


async def filled(settings: Settings, days: int, events: int) -> None:
    """Four sites with five cameras each, `events` in all over `days` days."""
    connection = await asyncpg.connect(settings.postgres.dsn)
    try:
        await connection.execute(DAYS_SQL.format(days=days))
        await connection.execute(FILL_SQL, days, events)
        await connection.execute(TIPS_SQL)
        await connection.execute("ANALYZE events")
    finally:
        await connection.close()


class Locked(Database):
    """Runs every statement in a transaction, and remembers the most locks one took and the plans
    that read a table from end to end."""

    most = 0
    scans: list[str]

    async def fetch(self, statement: str, *arguments: Any, writing: bool = False) -> Any:
        async with self.transaction() as connection:
            rows = await connection.fetch(statement, *arguments)
            locks = await connection.fetchval(
                "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation IS NOT "
                "NULL"
            )
            self.most = max(self.most, locks)
            if "FROM events\n" in statement or "FROM events " in statement:
                plan = await connection.fetch(f"EXPLAIN {statement}", *arguments)
                self.scans += [
                    row[0]
                    for row in plan
                    if "Seq Scan on events" in row[0] and "events_default" not in row[0]
                ]
        return rows


async def reads(database: Database, locked: Locked) -> dict[str, int]:
    """Every kind of read once: name → the most locks of one statement."""
    sites = tuple(f"site-{n}" for n in range(4))
    found: dict[str, int] = {}
    camera = "cam-7"
    tip = await PostgresEventStore(database).latest(camera, 1)
    epoch, last = tip[0].epoch, tip[0].offset
    for name, offset in (
        ("after_recent", last - 10),
        ("after_middle", last // 2),
        ("after_all", 0),
    ):
        locked.most = 0
        rows = await PostgresEventStore(locked).after(camera, epoch, offset, 100)
        assert [row.offset for row in rows] == list(
            range(offset + 1, min(offset + 100, last) + 1)
        ), name
        found[name] = locked.most
    for newest in (True, False):
        for name, query in (
            ("camera", EventQuery(camera=camera)),
            ("site", EventQuery(sites=sites[:1])),
            ("fleet", EventQuery(sites=sites)),
            ("type", EventQuery(sites=sites, types=("line.crossed",))),
            ("severity", EventQuery(sites=sites, severities=("critical",))),
        ):
            locked.most = 0
            page = await PostgresEventStore(locked).page(
                query, newest=newest, beyond=None, limit=100
            )
            assert len(page.rows) == 100, name
            found[f"{name}_{'newest' if newest else 'oldest'}"] = locked.most
    locked.most = 0
    assert len(await PostgresEventStore(locked).latest(camera, 100)) == 100
    found["latest"] = locked.most
    return found


@pytest.mark.parametrize(
    ("days", "events"), [(120, 60_000), pytest.param(400, 1_000_000, marks=pytest.mark.prove)]
)
async def test_a_read_locks_its_own_days_and_scans_no_table(
    settings: Settings, database: Database, days: int, events: int
) -> None:
    await filled(settings, days, events)
    locked = await Locked.open(settings.postgres, name="locked")
    assert isinstance(locked, Locked)
    locked.scans = []
    locks = await reads(database, locked)
    await locked.close()
    assert locked.scans == []
    assert max(locks.values()) <= MOST_LOCKS, locks
    rare = EventQuery(sites=tuple(f"site-{n}" for n in range(4)), types=("camera.offline",))
    page = await PostgresEventStore(database).page(rare, newest=True, beyond=None, limit=100)
    while not page.rows and page.more is not None:  # a page that looked for long ends early
        page = await PostgresEventStore(database).page(
            rare, newest=True, beyond=page.more, limit=100
        )
    (only,) = page.rows
    assert msgspec.json.decode(only.body)["severity"] == "critical", (
        "one event, the oldest of all, is found"
    )


class Counting(Database):
    """Counts the rows of events that statements fetch by an index. EXPLAIN with arguments would not
    do: it plans for them."""

    fetched = 0

    async def fetch(self, statement: str, *arguments: Any, writing: bool = False) -> Any:
        async with self.transaction() as connection:
            count = (
                "SELECT coalesce(sum(idx_tup_fetch), 0)::bigint FROM "
                "pg_stat_xact_user_tables WHERE relname LIKE 'events%'"
            )
            before = await connection.fetchval(count)
            rows = await connection.fetch(statement, *arguments)
            self.fetched += await connection.fetchval(count) - before
            return rows


async def test_what_is_rare_is_found_without_reading_the_rest(
    settings: Settings, database: Database
) -> None:
    events, critical = 8_000, 161
    await filled(settings, 40, events)
    counting = await Counting.open(settings.postgres, name="counting")
    assert isinstance(counting, Counting)
    everywhere = EventQuery(sites=tuple(f"site-{n}" for n in range(4)))
    rare = msgspec.structs.replace(everywhere, types=("camera.offline",))
    cases = {
        "critical": (critical, msgspec.structs.replace(everywhere, severities=("critical",))),
        "rare type": (1, rare),
        "both": (1, msgspec.structs.replace(rare, severities=("critical",))),
        "types of which there is none": (
            0,
            msgspec.structs.replace(everywhere, types=("alarm.fire", "camera.stale")),
        ),
        "with a common type": (
            1,
            msgspec.structs.replace(everywhere, types=("camera.offline", "zone.exited")),
        ),
    }
    most: dict[str, int] = {}
    for name, (wanted, query) in cases.items():
        for newest in (True, False):
            counting.fetched = 0
            assert (
                len(await listed(PostgresEventStore(counting), query, newest=newest)) == wanted
            ), name
            most[name] = max(most.get(name, 0), counting.fetched)
    await counting.close()
    assert most.pop("with a common type") >= events, "a listing that reads everything is seen to"
    assert most["critical"] <= 3 * critical, most  # pages of 100 of all sites together
    assert most["both"] <= critical, most  # by the index of either
    assert max(most["rare type"], most["types of which there is none"]) == 1, (
        most
    )  # the only event of a rare type


async def listed(store: PostgresEventStore, query: EventQuery, *, newest: bool) -> list[EventRow]:
    """All pages."""
    page = await store.page(query, newest=newest, beyond=None, limit=100)
    found = page.rows
    while page.more is not None:
        page = await store.page(query, newest=newest, beyond=page.more, limit=100)
        found += page.rows
    return found


async def test_clocks_that_differ_by_days_cost_time_and_no_event(
    settings: Settings, database: Database
) -> None:
    """Hubs stamped the events of one camera days apart, to and fro: by offset all are there and in
    order."""
    chance = random.Random(seed := int(os.environ.get("SEED", "7")))
    await filled(settings, 60, 100)
    now = datetime.now(UTC)
    rows = [
        ("odd", "e1", n, now - timedelta(days=chance.choice([0, 0, 0, 3, 50, -40, 300])))
        for n in range(1, 101)
    ]
    for camera, epoch, offset, received in rows:
        await database.fetch(
            """INSERT INTO events (camera, epoch, "offset", received, time, type, severity, site, session, seq, body, hash)
               VALUES ($1, $2, $3, $4, $4, 't', 'info', 'site-0', 's', $3, '{}', '')""",  # noqa: E501
            camera,
            epoch,
            offset,
            received,
        )
    await database.fetch("INSERT INTO sites (site) VALUES ('site-0') ON CONFLICT DO NOTHING")
    await database.fetch("INSERT INTO cameras (camera, site) VALUES ('odd', 'site-0')")
    await database.fetch(
        "INSERT INTO positions (camera, epoch, last_offset) VALUES ('odd', 'e1', 100)"
    )
    store = PostgresEventStore(database)
    for after in (0, 1, 37, 98, 99, 100):
        for limit in (1, 10, 1000):
            found = [row.offset for row in await store.after("odd", "e1", after, limit)]
            assert found == list(range(after + 1, min(100, after + limit) + 1)), (
                seed,
                after,
                limit,
            )
    assert [row.offset for row in await store.latest("odd", 1000)] == list(range(1, 101))
    assert [row.offset for row in await store.latest("odd", 3)] == [98, 99, 100]


def _matches(query: EventQuery, event: dict[str, Any], received_us: int) -> bool:
    wanted = {
        "type": query.types,
        "severity": query.severities,
        "zone": query.zones,
        "label": query.labels,
        "track": query.tracks,
    }
    named = query.camera in (None, event["camera"]) and (
        query.camera is not None or event["site"] in query.sites
    )
    return (
        named
        and event["camera"] not in query.exclude
        and query.low_us <= received_us < query.high_us
        and all(values is None or event[name] in values for name, values in wanted.items())
    )


async def test_pages_are_exactly_the_filtered_list_both_ways_while_events_arrive(
    settings: Settings, database: Database
) -> None:
    """Random events over 50 days, many of one microsecond, random filters, limits and directions;
    new ones come between the pages."""
    chance = random.Random(seed := int(os.environ.get("SEED", "11")))
    await filled(settings, 50, 10)
    await database.fetch("DELETE FROM events")
    await database.fetch("INSERT INTO sites (site) VALUES ('s0'), ('s1')")
    await database.fetch(
        "INSERT INTO cameras (camera, site) SELECT 'c' || n, 's' || n % 2 FROM "
        "generate_series(0, 5) AS n"
    )
    base = int(datetime.now(UTC).timestamp()) * 1_000_000
    known: list[tuple[Key, dict[str, Any]]] = []
    offsets: dict[str, int] = {}

    async def arrive(count: int, *, spread_us: int) -> None:
        rows = []
        for _ in range(count):
            camera = f"c{chance.randrange(6)}"
            offset = offsets[camera] = offsets.get(camera, 0) + 1
            received = base - (
                chance.randrange(spread_us) // 3_600_000_000 * 3_600_000_000
                if spread_us
                else -len(known)
            )
            event = {
                "camera": camera,
                "site": f"s{int(camera[1:]) % 2}",
                "type": chance.choice(["a", "line.crossed", "c"]),
                "severity": chance.choice(SEVERITIES),
                "zone": chance.choice([None, "z1", "z2"]),
                "label": chance.choice(["person", "car"]),
                "track": chance.choice(["1", "2", None]),
            }
            known.append(((received, camera, "e1", offset), event))
            rows.append(
                (
                    camera,
                    offset,
                    received,
                    *(
                        event[name]
                        for name in ("type", "severity", "site", "track", "label", "zone")
                    ),
                )
            )
        await database.fetch(
            """INSERT INTO events (camera, epoch, "offset", received, time, type, severity, site, session, seq,
                   track, label, zone, body, hash)
               SELECT c, 'e1', o, to_timestamp(r / 1e6), now(), t, s, si, 'x', o, tr, l, z, '{}', ''
               FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
               AS g (c, o, r, t, s, si, tr, l, z)""",  # noqa: E501
            *map(list, zip(*rows, strict=True)),
        )

    def some(values: list[str]) -> tuple[str, ...] | None:
        return (
            tuple(chance.sample(values, chance.randint(1, len(values))))
            if chance.random() < 0.5
            else None
        )

    store = PostgresEventStore(database)
    await arrive(600, spread_us=49 * 86_400_000_000)
    for _ in range(60):
        query = EventQuery(
            sites=tuple(chance.sample(["s0", "s1", "none"], chance.randint(1, 3))),
            types=some(["a", "line.crossed", "c"]),
            severities=some(list(SEVERITIES)),
            zones=some(["z1", "z2"]),
            labels=some(["person", "car"]),
            tracks=some(["1", "2"]),
            exclude=("c0",) if chance.random() < 0.3 else (),
        )
        if chance.random() < 0.3:
            query = msgspec.structs.replace(query, camera="c1", sites=(), exclude=())
        if chance.random() < 0.3:
            query = msgspec.structs.replace(
                query, low_us=base - 20 * 86_400_000_000, high_us=base - 3 * 86_400_000_000
            )
        before = [key for key, event in known if _matches(query, event, key[0])]
        newest, limit = (
            chance.random() < 0.5,
            chance.choice([1 if len(before) < 50 else 3, 7, 50, 500]),
        )
        found: list[EventRow] = []
        beyond: Key | None = None
        while True:
            page = await store.page(query, newest=newest, beyond=beyond, limit=limit)
            assert len(page.rows) <= limit
            found += page.rows
            if page.more is None:
                break
            beyond = page.more
            await arrive(1, spread_us=0)
        after = [key for key, event in known if _matches(query, event, key[0])]
        keys = [key_of(row) for row in found]
        assert keys == sorted(keys, reverse=newest), query
        assert len(set(keys)) == len(keys)
        assert set(before) <= set(keys) <= set(after), (seed, query)
        if keys:
            middle = len(keys) // 2
            back = await store.page(query, newest=not newest, beyond=keys[middle], limit=limit)
            expected = keys[:middle][::-1][:limit]
            assert [key_of(row) for row in back.rows][: len(expected)] == expected, (seed, query)
