"""Consumers over a real NATS server and a real PostgreSQL: each effect once, in order, nothing
passed over in silence."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from connectors.sinks.envelope import envelope
from connectors.sinks.nats_client import NatsLink, Outgoing
from connectors.sinks.stream_places import message_headers, subject_of
from consume.consumer import Consumer
from consume.errors import BrokerRefuses, Displaced, HoleFound, Refuse
from consume.examples import tally
from consume.judging import Message, StreamHole
from consume.ledger import Ledger
from consume.stream import Source
from storage.stores import Stores
from tests.support.connectors.fleet import Fleet, context_of, make, until, worker
from tests.support.servers.nats_server import NatsServer, nats_server
from tests.support.servers.store_fixtures import Servers

TABLE = "CREATE TABLE effects (n bigserial, camera text, id text)"


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


@pytest_asyncio.fixture
async def dsn(servers: Servers, stores: Stores) -> AsyncIterator[str]:
    """A database of the back end's own, beside Eyrie's."""
    admin = await asyncpg.connect(servers.settings.postgres.dsn)
    await admin.execute("DROP DATABASE IF EXISTS mine WITH (FORCE)")
    await admin.execute("CREATE DATABASE mine")
    try:
        yield other_database(servers.settings.postgres.dsn)
    finally:
        await admin.execute("DROP DATABASE mine WITH (FORCE)")
        await admin.close()


def other_database(dsn: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path="/mine"))


@contextlib.asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def publish(server: NatsServer, camera: str, *offsets: int, previous: str = "") -> list[str]:
    """Events of a camera as a relay would have published them; their ids."""
    link = await NatsLink.open(server.url)
    ids = []
    try:
        if await link.stream("EYRIE_EVENTS") is None:
            await link.make_stream("EYRIE_EVENTS", ["eyrie.v1.>"], 3_600)
        for offset in offsets:
            body = {
                **{"id": f"{camera}/e1/{offset}", "type": "zone.entered", "site": "s"},
                **{"camera": camera, "epoch": "e1", "offset": offset, "severity": "info"},
                **{"time": "2026-12-01T00:00:00Z", "received": "2026-12-01T00:00:01Z", "data": {}},
            }
            event = envelope(msgspec.json.encode(body), previous, redacted=False)
            out = Outgoing(subject_of("eyrie.v1", event), message_headers(event), event.data)
            await link.publish_batch(f"{camera}-{offset}", [out])
            previous = event.id
            ids.append(event.id)
    finally:
        await link.close()
    return ids


class Effects:
    """What a back end does: a row for each event. `failing` says which events it cannot take."""

    def __init__(self) -> None:
        self.failing: dict[str, Exception] = {}
        self.tried: list[str] = []
        self.holes: list[StreamHole] = []

    async def __call__(self, transaction: Any, message: Message) -> None:
        self.tried.append(message.id)
        sql = "INSERT INTO effects (camera, id) VALUES ($1, $2)"
        await transaction.execute(sql, message.camera, message.id)
        if message.id in self.failing:
            raise self.failing[message.id]

    async def note(self, _transaction: Any, hole: StreamHole) -> None:
        self.holes.append(hole)


async def consume(server: NatsServer, connection: Any, effects: Effects, **given: Any) -> None:
    """Up to the present end of the stream."""
    ledger = Ledger(connection, "mine")
    await ledger.prepare()
    consumer = Consumer(Source(server.url), ledger, effects, **given)
    await consumer.run(until_idle=True)


async def done(connection: Any) -> list[str]:
    return [row[0] for row in await connection.fetch("SELECT id FROM effects ORDER BY n")]


async def test_each_effect_is_there_once_wherever_a_consumer_dies(
    server: NatsServer, dsn: str
) -> None:
    ids = await publish(server, "c1", 1, 2, 3, 7, 8)
    async with connected(dsn) as connection:
        await connection.execute(TABLE)
        for victim in ids:  # a back end that is killed behind its effect, before its commit
            effects = Effects()
            effects.failing[victim] = OSError("killed")
            with pytest.raises(OSError, match="killed"):
                await consume(server, connection, effects)
        effects = Effects()
        await consume(server, connection, effects)
        assert await done(connection) == ids
        assert effects.tried == ids[-1:]
        await consume(server, connection, effects)
        assert effects.tried == ids[-1:]


async def test_of_two_consumers_of_one_name_only_one_gets_anywhere(
    server: NatsServer, dsn: str
) -> None:
    ids = await publish(server, "c1", *range(1, 41))
    async with connected(dsn) as connection, connected(dsn) as other:
        await connection.execute(TABLE)
        ended = await asyncio.gather(
            consume(server, connection, Effects()),
            consume(server, other, Effects()),
            return_exceptions=True,
        )
        assert await done(connection) == ids
        assert [type(end) for end in ended if end is not None] in ([], [Displaced])
        late = Ledger(connection, "mine")  # one that was paused while the other went on
        with pytest.raises(Displaced):
            async with late.turn(1):
                pass


async def test_a_hole_stops_a_consumer_that_nobody_told_what_to_do_then(
    server: NatsServer, dsn: str
) -> None:
    ids = await publish(server, "c1", 1, 2)
    behind = await publish(server, "c1", 5, previous="c1/e1/4")
    others = await publish(server, "c2", 1)
    async with connected(dsn) as connection:
        await connection.execute(TABLE)
        with pytest.raises(HoleFound, match="between c1/e1/2 and c1/e1/5"):
            await consume(server, connection, Effects())
        assert await done(connection) == ids
        effects = Effects()
        await consume(server, connection, effects, on_hole=effects.note)
        assert [(hole.after, hole.before, hole.declared) for hole in effects.holes] == [
            ("c1/e1/2", "c1/e1/5", False)
        ]
        assert await done(connection) == ids + behind + others
        (row,) = await connection.fetch("SELECT after, before FROM eyrie_consumer_holes")
        assert tuple(row) == ("c1/e1/2", "c1/e1/5")


async def test_what_cannot_be_dealt_with_is_a_dead_letter_and_its_neighbours_go_on(
    server: NatsServer, dsn: str
) -> None:
    ids = await publish(server, "c1", 1, 2, 3, 4)
    effects = Effects()
    effects.failing = {ids[1]: Refuse("no such customer"), ids[2]: ValueError("odd")}
    async with connected(dsn) as connection:
        await connection.execute(TABLE)
        await consume(server, connection, effects, tries=2)
        assert await done(connection) == [ids[0], ids[3]]
        assert effects.tried == [ids[0], ids[1], ids[2], ids[2], ids[3]]
        rows = await connection.fetch(
            "SELECT id, error FROM eyrie_consumer_dead_letters ORDER BY id"
        )
        assert [tuple(row) for row in rows] == [
            (ids[1], "Refuse: no such customer"),
            (ids[2], "ValueError: odd"),
        ]


async def test_a_broker_that_loses_its_tail_costs_no_effect_and_makes_none_twice(
    server: NatsServer, stores: Stores, dsn: str
) -> None:
    fleet = Fleet(stores)
    await fleet.add("c1")
    await fleet.add("c2")
    await make(stores, "js", {"type": "jetstream"})

    async def passed_on() -> bool:
        return (await stores.sinks.lag("js")).cameras == 0

    async with connected(dsn) as connection:
        await connection.execute(TABLE)
        async with worker(stores, context_of(stores, nats_url=server.url)):
            for camera in ("c1", "c2"):
                await fleet.commit(camera, 30)
            await until(passed_on)
        await consume(server, connection, Effects())
        server.kill()
        server.cut(5_000)
        server.start()
        await fleet.commit("c2", 3)
        await fleet.commit("c1", 3)
        async with worker(stores, context_of(stores, nats_url=server.url)):
            await until(passed_on)
        await consume(server, connection, Effects())
        found = await done(connection)
        by_camera = {c: [id for id in found if id.startswith(f"{c}/")] for c in ("c1", "c2")}
        assert by_camera == fleet.ids
        assert await connection.fetchval("SELECT count(*) FROM eyrie_consumer_holes") == 0


async def test_the_example_counts_every_event_once(server: NatsServer, dsn: str) -> None:
    ids = await publish(server, "c1", 1, 2)
    source = Source(server.url)
    await tally.run(dsn, source, "tally", until_idle=True)
    await publish(server, "c1", 3, previous=ids[-1])
    for _ in range(2):
        await tally.run(dsn, source, "tally", until_idle=True)
    async with connected(dsn) as connection:
        (row,) = await connection.fetch("SELECT camera, type, events FROM tally")
        assert tuple(row) == ("c1", "eyrie.zone.entered.v1", 3)


async def test_a_stream_that_is_not_there_is_told(server: NatsServer, dsn: str) -> None:
    async with connected(dsn) as connection:
        with pytest.raises(BrokerRefuses, match="stream not found"):
            await consume(server, connection, Effects())
