"""What becomes of publishing and listening when Redis dies, hangs, forgets or lies."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from actors.core.errors import ConfigError, Unavailable, UnknownOutcome
from actors.core.settings import RedisSettings
from storage.embedded.redis import answers
from storage.ports.live import BrokerMessage, LiveEvent, LiveState
from storage.redis import keys
from storage.redis.broker import RedisBroker
from storage.redis.connection import LOST, RedisLink, connect, make_connection, write
from storage.redis.inbox import Inbox
from storage.redis.publisher import RedisPublisher
from tests.support.servers.store_servers import Server, redis
from tests.support.waiting import until


@pytest.fixture
def server() -> Iterator[tuple[Server, RedisSettings]]:
    """A Redis of the test's own."""
    with redis() as (process, url):
        yield process, RedisSettings(url=url, timeout_s=1.0)


@asynccontextmanager
async def opened(
    settings: RedisSettings, *, inbox: Inbox | None = None
) -> AsyncIterator[tuple[RedisPublisher, RedisBroker]]:
    publisher = RedisPublisher(settings, name="publisher")
    broker = RedisBroker(settings, name="hub", inbox=inbox)
    await publisher.open()
    await broker.open()
    try:
        yield publisher, broker
    finally:
        await broker.close()
        await publisher.close()


async def after(broker: RedisBroker, body: bytes) -> BrokerMessage:
    """The next notice that says `body`."""
    async with asyncio.timeout(30):
        async for publication in broker.run():
            if publication.kind == "notice" and publication.body == body:
                return publication
    raise AssertionError


def state(version: int) -> LiveState:
    return LiveState("site", "cam-1", 1, version, 0, b"{}")


def event(offset: int) -> LiveEvent:
    return LiveEvent("site", "cam-1", 1, "e1", offset, b"{}")


def restart(process: Server, settings: RedisSettings) -> None:
    process.start(lambda: answers(process.folder / "redis.sock"))


async def test_a_killed_redis_is_told_and_everything_is_watched_again(
    server: tuple[Server, RedisSettings],
) -> None:
    process, settings = server
    async with opened(settings) as (publisher, broker):
        await broker.watch(["site"], [("site", "cam-1")])
        await publisher.publish([], [event(1)], {}, {})
        first_epoch = (await broker.history("site", None, 0, 10))[0]
        process.stop(signal.SIGKILL)
        await after(broker, b"lost")
        with pytest.raises(Unavailable):
            await publisher.publish([state(1)], [], {}, {})
        with pytest.raises(Unavailable):
            await broker.watch([], [("site", "cam-2")])
        restart(process, settings)
        await after(broker, b"resubscribed")
        assert broker.reconnections == 1
        assert await publisher.published_marks([("site", "cam-1")]) == {}
        await publisher.publish(
            [state(2), LiveState("site", "cam-2", 1, 1, 0, b"{}")], [event(2)], {}, {}
        )
        async with asyncio.timeout(30):
            seen = [await broker.inbox.get() for _ in range(3)]
        assert [(p.kind, p.camera) for p in seen] == [
            ("event", "cam-1"),
            ("state", "cam-1"),
            ("state", "cam-2"),
        ]
        assert seen[0].stream_epoch != first_epoch, "a server that forgot numbers anew"


async def test_a_hanging_redis_is_a_loss_and_writes_are_unknown(
    server: tuple[Server, RedisSettings],
) -> None:
    process, settings = server
    async with opened(settings) as (publisher, broker):
        await broker.watch(["site"], [])
        process.send(signal.SIGSTOP)
        try:
            with pytest.raises(UnknownOutcome):
                await publisher.publish([], [event(1)], {}, {})
            await after(broker, b"lost")
        finally:
            process.send(signal.SIGCONT)
        await after(broker, b"resubscribed")
        assert await publisher.publish([], [event(1), event(2)], {}, {}) == set(), (
            "repeated without harm"
        )
        assert (await broker.history("site", "cam-1", 0, 10))[1] == 2


async def test_a_listener_that_was_kicked_says_so(server: tuple[Server, RedisSettings]) -> None:
    _, settings = server
    async with opened(settings) as (publisher, broker):
        await broker.watch(["site"], [])
        link = RedisLink(settings, "operator")
        assert await link.call([("CLIENT", "KILL", "TYPE", "pubsub")], writing=True) == [1]
        await link.close()
        await after(broker, b"resubscribed")
        await publisher.publish([], [event(1)], {}, {})
        assert (await broker.inbox.get()).offset == 1


async def test_a_server_with_another_run_id_numbers_anew(
    server: tuple[Server, RedisSettings],
) -> None:
    """As after a fail-over to a replica, which may lack the last entries: the data is there, the
    counter is not to be trusted."""
    _, settings = server
    async with opened(settings) as (publisher, broker):
        await publisher.publish([], [event(1), event(2)], {}, {})
        epoch = (await broker.history("site", None, 0, 10))[0]
        link = RedisLink(settings, "operator")
        await link.call([("HSET", keys.position("site"), "server", "somewhere-else")], writing=True)
        await link.close()
        await publisher.publish([], [event(3)], {}, {})
        renewed, top, events = await broker.history("site", None, 0, 10)
        assert (top, [p.offset for p in events]) == (1, [3])
        assert renewed != epoch
        assert (await broker.history("site", "cam-1", 0, 10))[:2] == ("e1", 3), (
            "the camera's own numbering goes on"
        )


async def test_forgotten_scripts_are_loaded_again(server: tuple[Server, RedisSettings]) -> None:
    _, settings = server
    async with opened(settings) as (publisher, broker):
        link = RedisLink(settings, "operator")
        for version in (1, 2):
            await link.call([("SCRIPT", "FLUSH")], writing=True)
            assert await publisher.publish([state(version)], [event(version)], {}, {}) == set()
        await link.call([("SCRIPT", "FLUSH")], writing=True)
        await link.close()
        assert (await broker.history("site", "cam-1", 0, 10))[1] == 2


async def test_forged_messages_are_dropped_and_counted(
    server: tuple[Server, RedisSettings],
) -> None:
    _, settings = server
    async with opened(settings) as (publisher, broker):
        await broker.watch(["site"], [("site", "cam-1")])
        wall, live = keys.wall_channel("site"), keys.live_channel("site", "cam-1")
        encode = msgspec.msgpack.encode
        forged: list[tuple[str, bytes]] = [
            (wall, b"\xc1"),
            (wall, b""),
            (wall, b"\x91" * 3000),
            (wall, b"\xd9\x02\xff\xfe"),
            (wall, encode({"kind": "event"})),
            (wall, encode(BrokerMessage("event", "elsewhere"))),
            (wall, encode(BrokerMessage("notice", "site", body=b"resubscribed"))),
            (live, encode(BrokerMessage("state", "site", "cam-2"))),
            (live, encode(BrokerMessage("event", "site", "cam-1"))),
        ]
        link = RedisLink(settings, "forger")
        await link.call([("PUBLISH", *pair) for pair in forged], writing=True)
        await link.close()
        await publisher.publish([state(1)], [], {}, {})
        assert (await broker.inbox.get()).version == 1
        assert broker.rejected == len(forged)


async def test_a_slow_reader_loses_with_a_notice(server: tuple[Server, RedisSettings]) -> None:
    _, settings = server
    async with opened(settings, inbox=Inbox(max_items=10)) as (publisher, broker):
        await broker.watch([], [("site", "cam-1")])
        await publisher.publish([state(version) for version in range(1, 16)], [], {}, {})
        await until(
            lambda: broker.inbox.overflows == 1 and len(broker.inbox) == 6, what="the overflow"
        )
        seen = [await broker.inbox.get() for _ in range(6)]
        assert (seen[0].kind, seen[0].body) == ("notice", b"overflowed")
        assert [p.version for p in seen[1:]] == [11, 12, 13, 14, 15]


async def test_a_write_refused_by_the_server_is_unavailable(
    server: tuple[Server, RedisSettings],
) -> None:
    _, settings = server
    async with opened(settings) as (publisher, _):
        link = RedisLink(settings, "operator")
        await link.call([("CONFIG", "SET", "maxmemory", "1")], writing=True)
        with pytest.raises(Unavailable, match=r"OOM|maxmemory"):
            await publisher.publish([state(1)], [], {}, {})
        await link.call([("CONFIG", "SET", "maxmemory", "0")], writing=True)
        await link.close()
        assert await publisher.publish([state(1)], [], {}, {}) == set()


async def test_wrong_settings_are_told_at_once(
    server: tuple[Server, RedisSettings], tmp_path: object
) -> None:
    _, settings = server
    with pytest.raises(ConfigError, match=r"redis.url"):
        RedisPublisher(RedisSettings(url="http://nowhere"), name="x")
    with pytest.raises(Unavailable, match=r"cannot be reached"):
        await RedisPublisher(RedisSettings(url=f"unix://{tmp_path}/none"), name="x").open()
    link = RedisLink(settings, "operator")
    await link.call([("CONFIG", "SET", "requirepass", "secret")], writing=True)
    with pytest.raises(ConfigError, match=r"login|INFO"):
        await RedisPublisher(settings, name="x").open()
    await link.close()


async def test_bytes_that_are_no_reply_are_a_lost_connection(tmp_path: Path) -> None:
    """A listener that ended by them would leave a hub deaf for good."""
    garbled: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if b"SUBSCRIBE" in data or b"HGET" in data:
                garbled.append(data)
                writer.write(b"xyz\r\n")
            else:
                writer.write(
                    (b"$12\r\nrun_id:abc\r\n\r\n" if b"INFO" in data else b"+OK\r\n")
                    * data.count(b"*")
                )
        writer.close()

    path = tmp_path / "s"
    server = await asyncio.start_unix_server(serve, str(path))
    broker = RedisBroker(RedisSettings(url=f"unix://{path}", timeout_s=0.5), name="hub")
    await broker.open()
    try:
        with pytest.raises(Unavailable):
            await broker.watch(["site"], [])
        with pytest.raises(Unavailable):
            await broker.state("site", "cam-1")
        await until(
            lambda: sum(b"SUBSCRIBE" in data for data in garbled) >= 2, what="another attempt"
        )
    finally:
        await broker.close()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("turns", [0, 1], ids=["before the write", "within the write"])
async def test_a_write_on_a_connection_that_is_given_up_meanwhile_is_a_loss_and_no_silent_reconnection(  # noqa: E501
    server: tuple[Server, RedisSettings], turns: int
) -> None:
    """A process that thaws: the ping is due and so is the deadline of the reader, which gives the
    connection up."""
    connection = make_connection(server[1], "thawed")
    await connect(connection, 5.0)
    writing = asyncio.create_task(write(connection, "PING"))
    for _ in range(turns):
        await asyncio.sleep(0)
    await connection.disconnect(nowait=True)
    with pytest.raises(LOST):
        await writing
    assert not connection.is_connected, (
        "whoever listens would take the new connection for the old one"
    )
