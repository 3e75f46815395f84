"""The fault proxy itself: bytes pass unchanged, and every fault happens where it was planned."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from load_tests.drivers.fault_proxy import Cut, FaultProxy, Flip, Where, fault_proxy
from tests.support.waiting import until


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[FaultProxy, list[bytes]]]:
    """A proxy before a TCP server that sends everything back; and what arrived there."""
    arrived: list[bytes] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65_536):
            arrived.append(chunk)
            writer.write(chunk)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with fault_proxy(("127.0.0.1", server.sockets[0].getsockname()[1])) as proxy:
        yield proxy, arrived
    server.close()


async def test_bytes_pass_unchanged() -> None:
    sent = secrets.token_bytes(4_000_000)
    async with echoing() as (proxy, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)

        async def feed() -> None:
            writer.write(sent)
            await writer.drain()

        _, back = await asyncio.gather(feed(), reader.readexactly(len(sent)))
        writer.close()
    assert back == sent
    assert proxy.cuts == []


async def test_a_limit_cuts_at_its_byte() -> None:
    async with echoing() as (proxy, arrived):
        for how in ("fin", "rst"):
            proxy.limit = (1000, how)
            arrived.clear()
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(b"x" * 5000)
            await until(lambda: sum(map(len, arrived)) == 1000)
            try:
                while await reader.read(65_536):
                    pass
                assert how == "fin"
            except ConnectionResetError:
                assert how == "rst"
            writer.close()
    assert proxy.cuts == ["limit", "limit"]


async def test_a_lost_direction_loses_only_itself() -> None:
    async with echoing() as (proxy, arrived):
        proxy.lost.add("hub")
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"hello")
        await until(lambda: arrived == [b"hello"])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        writer.close()


async def test_latency_is_added() -> None:
    async with echoing() as (proxy, _):
        proxy.latency_s = 0.1
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        began = time.monotonic()
        writer.write(b"hello")
        await reader.readexactly(5)
        assert time.monotonic() - began >= 0.2
        writer.close()


async def test_a_stalled_direction_loses_nothing_and_goes_on() -> None:
    async with echoing() as (proxy, arrived):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        proxy.stalled.add("edge")
        writer.write(b"hello")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        assert arrived == []
        proxy.stalled.clear()
        assert await reader.readexactly(5) == b"hello"
        writer.close()


async def test_a_stream_that_lacks_bytes_is_reset_when_the_loss_ends() -> None:
    async with echoing() as (proxy, _):
        proxy.lost.add("hub")
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"hello")
        await until(lambda: proxy.thrown_away == 5)
        proxy.lost.clear()
        writer.write(b"again")
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(10), 30.0)
        writer.close()


async def test_a_bandwidth_holds_one_side() -> None:
    async with echoing() as (proxy, _):
        proxy.bytes_per_s["hub"] = 20_000.0
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        began = time.monotonic()
        writer.write(b"x" * 4_000)
        await reader.readexactly(4_000)
        assert time.monotonic() - began >= 0.2
        writer.close()


async def test_jitter_is_seeded_and_keeps_the_order() -> None:
    async with echoing() as (proxy, arrived):
        proxy.jitter_s = 0.02
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        sent = [b"%04d" % number for number in range(40)]
        for part in sent:
            writer.write(part)
            await asyncio.sleep(0)
        assert await reader.readexactly(160) == b"".join(sent)
        writer.close()
    assert FaultProxy(("", 0), seed=3).dice.random() == FaultProxy(("", 0), seed=3).dice.random()
    assert b"".join(arrived) == b"".join(sent)


@asynccontextmanager
async def acking() -> AsyncIterator[tuple[FaultProxy, list[bytes]]]:
    """A proxy before a websocket server that answers every message with an ack; and the whole
    messages that arrived."""
    arrived: list[bytes] = []

    async def serve_one(socket: ServerConnection) -> None:
        try:
            async for message in socket:
                assert isinstance(message, bytes)
                arrived.append(message)
                await socket.send(b"ack " + message[:8])
        except ConnectionClosed:
            return

    async with (
        serve(serve_one, "127.0.0.1", 0, compression=None) as server,
        fault_proxy(("127.0.0.1", next(iter(server.sockets)).getsockname()[1])) as proxy,
    ):
        yield proxy, arrived


async def converse(socket: ClientConnection, messages: list[bytes]) -> list[bytes]:
    """Send one by one; the acks until the connection ended."""
    acks = []
    try:
        for message in messages:
            await socket.send(message)
            ack = await asyncio.wait_for(socket.recv(), 30.0)
            assert isinstance(ack, bytes)
            acks.append(ack)
    except ConnectionClosed:
        pass
    return acks


@pytest.mark.parametrize(
    ("where", "arrives", "acked"),
    [("before", 1, 1), ("header", 1, 1), ("payload", 1, 1), ("sent", 2, 1), ("acked", 2, 2)],
)
@pytest.mark.parametrize("size", [20, 300, 60_000])
async def test_a_frame_is_cut_where_it_was_planned(
    where: Where, arrives: int, acked: int, size: int
) -> None:
    messages = [b"%07d " % number + b"x" * size for number in range(3)]
    async with acking() as (proxy, arrived):
        proxy.plan.append(
            Cut(
                where,
                lambda payload: payload.startswith(b"0000001"),
                lambda payload: payload.startswith(b"ack"),
            )
        )
        async with connect(f"ws://127.0.0.1:{proxy.port}", compression=None, proxy=None) as socket:
            acks = await converse(socket, messages)
        assert proxy.cuts == [where]
        await until(lambda: len(arrived) >= arrives)
        assert arrived == messages[:arrives]
        assert len(acks) == acked
        async with connect(f"ws://127.0.0.1:{proxy.port}", compression=None, proxy=None) as socket:
            assert len(await converse(socket, messages)) == 3  # a planned cut happens once


@pytest.mark.parametrize("flip", ["header", "payload"])
async def test_one_bit_of_one_frame_is_turned_over(flip: Flip) -> None:
    messages = [b"%07d " % number + b"x" * 20 for number in range(3)]
    async with acking() as (proxy, arrived):
        proxy.flips_hit = lambda payload: payload.startswith(b"0000001")
        proxy.flips.append(flip)
        async with connect(f"ws://127.0.0.1:{proxy.port}", compression=None, proxy=None) as socket:
            acks = await converse(socket, messages)
        assert proxy.cuts == [f"flip {flip}"]
        damaged = bytes((messages[1][0] ^ 0x40,)) + messages[1][1:]
        if flip == "header":  # a reserved bit: refused by whoever reads the frame (RFC 6455, 5.2)
            assert (arrived, len(acks)) == (messages[:1], 1)
        else:
            assert arrived == [messages[0], damaged, messages[2]]
