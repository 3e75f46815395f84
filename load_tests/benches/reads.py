"""Reads of events through the store with 8, 90 and 400 days kept: by camera, site, fleet, type and
severity, and after an offset.

Every day holds as many events, so 400 days hold fifty times as many as 8. Each database is read by
the same questions in turns; the floor is a read of one row by primary key over the same connection.
`ratios.days400_vs_days8` is the worst ratio of the 99th percentiles of one kind of read. A
PostgreSQL of its own is started; databases are filled by SQL (`load_tests.benches.event_days`).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit, urlunsplit

from actors.core.settings import DataSettings, PostgresSettings, Settings
from load_tests.benches.event_days import CAMERAS, DAYS_SQL, FILL_SQL, SITES, TIPS_SQL
from load_tests.harness.private_postgres import private_postgres
from load_tests.harness.results import Measured, percentile
from storage.events.events import PostgresEventStore
from storage.migrations import migrate
from storage.ports.event_queries import EventQuery
from storage.postgres.pool import Database

DAYS = (8, 90, 400)
EVENTS_PER_DAY = 2_500  # a million over 400 days
ROUNDS = 150
WARM = 20
LIMIT = 100
ALL = tuple(f"site-{n}" for n in range(SITES))

Read = Callable[[], Awaitable[object]]


def run(seed: int) -> Measured:
    """The whole bench, about three minutes."""
    with private_postgres() as settings:
        return asyncio.run(_measure(settings.postgres.dsn, settings.data.dir, random.Random(seed)))


async def _measure(dsn: str, folder: str, chance: random.Random) -> Measured:
    admin = await Database.open(PostgresSettings(dsn=dsn), name="bench")
    opened: dict[int, Database] = {}
    try:
        reads = {}
        for days in DAYS:
            await admin.fetch(f"CREATE DATABASE days{days}", writing=True)
            opened[days] = await _filled(
                Settings(data=DataSettings(dir=folder), postgres=_named(dsn, days)), days
            )
            reads[days] = await _reads(opened[days], chance)
        took: dict[tuple[int, str], list[float]] = {
            (days, name): [] for days in DAYS for name in reads[days]
        }
        for number in range(WARM + ROUNDS):
            for name in reads[DAYS[0]]:
                for days in DAYS:
                    began = time.perf_counter()
                    await reads[days][name]()
                    if number >= WARM:
                        took[days, name].append(time.perf_counter() - began)
    finally:
        for database in [*opened.values(), admin]:
            await database.close()
    for values in took.values():
        values.sort()
    figures: dict[str, object] = {
        f"days{days}": {name: _told(took[days, name]) for name in reads[days] if name != "one_row"}
        for days in DAYS
    }
    floor: dict[str, object] = {f"days{days}": _told(took[days, "one_row"]) for days in DAYS}
    ratios = {
        f"{name}_400_vs_8": round(
            percentile(took[400, name], 0.99) / percentile(took[8, name], 0.99), 2
        )
        for name in reads[8]
        if name != "one_row"
    }
    return Measured(
        figures | {"events_per_day": EVENTS_PER_DAY},
        floor,
        {"days400_vs_days8": max(ratios.values())} | ratios,
    )


def _named(dsn: str, days: int) -> PostgresSettings:
    return PostgresSettings(
        dsn=urlunsplit(urlsplit(dsn)._replace(path=f"/days{days}")), command_timeout_s=600
    )


def _told(values: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(1000 * percentile(values, 0.50), 3),
        "p99_ms": round(1000 * percentile(values, 0.99), 3),
    }


async def _filled(settings: Settings, days: int) -> Database:
    await migrate(settings)
    database = await Database.open(settings.postgres, name="bench")
    await database.fetch("SET transaction_timeout = 0", writing=True)
    await database.fetch(DAYS_SQL.format(days=days), writing=True)
    await database.fetch(FILL_SQL, days, days * EVENTS_PER_DAY, writing=True)
    for statement in (*TIPS_SQL.split(";"), "ANALYZE events"):
        await database.fetch(statement, writing=True)
    held = (
        await database.fetch(
            "SELECT count(*) AS events, count(DISTINCT received::date) AS days FROM events"
        )
    )[0]
    if held["events"] != days * EVENTS_PER_DAY or held["days"] < days - 1:
        raise AssertionError(
            f"the database of {days} days holds {held['events']} events of {held['days']} days"
        )
    return database


async def _reads(database: Database, chance: random.Random) -> dict[str, Read]:
    """Name → one read. Offsets to read after lie within the last three days, as those of dashboards
    that come back do."""
    store = PostgresEventStore(database)
    tip = {f"cam-{n}": (await store.latest(f"cam-{n}", 1))[0].offset for n in range(CAMERAS)}

    def camera() -> str:
        return f"cam-{chance.randrange(CAMERAS)}"

    async def after() -> object:
        name = camera()
        return await store.after(
            name, "e1", tip[name] - chance.randrange(1, 3 * EVENTS_PER_DAY // CAMERAS), LIMIT
        )

    def page(query: Callable[[], EventQuery]) -> Read:
        return lambda: store.page(query(), newest=True, beyond=None, limit=LIMIT)

    return {
        "one_row": lambda: database.fetch("SELECT * FROM positions WHERE camera = $1", camera()),
        "after": after,
        "camera": lambda: store.latest(camera(), LIMIT),
        "camera_filtered": page(lambda: EventQuery(camera=camera(), labels=("car",))),
        "site": page(lambda: EventQuery(sites=(chance.choice(ALL),))),
        "fleet": page(lambda: EventQuery(sites=ALL)),
        "type": page(lambda: EventQuery(sites=ALL, types=("line.crossed",))),
        "severity": page(lambda: EventQuery(sites=ALL, severities=("critical",))),
    }
