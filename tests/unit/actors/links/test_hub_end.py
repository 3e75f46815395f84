"""The hub's end of a link: what it carries, when it is lost, and whom it does not believe."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actors.core.errors import Unavailable
from actors.core.messages import deliveries
from actors.core.messages.deliveries import Acked
from actors.links.address import LinkAddress
from actors.links.frames import FrameReader, Kind, frame
from actors.links.greeting import NONCE_BYTES, ActorGreeting
from actors.links.keys import server_tls
from actors.links.server import ActorLink
from tests.support.links import (
    ACTOR,
    CLUSTER,
    KEY,
    STRANGERS_KEY,
    LinkRig,
    User,
    link_rig,
    maker,
)
from tests.support.waiting import until

ACK = Acked("cam", "hub-0.ab/1", 7, 100)
ANSWERS = frame(Kind.ANSWERS, deliveries.encoder.encode([ACK]))
Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[LinkRig]:
    async with link_rig(tmp_path / "links") as made:
        yield made


@asynccontextmanager
async def actor(path: Path, play: Play, key: bytes = KEY) -> AsyncIterator[LinkAddress]:
    """An actor that greets properly, then plays its part."""

    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        greeting = ActorGreeting(key, cluster=CLUSTER, actor=ACTOR, nonce=b"a" * NONCE_BYTES)
        frames = FrameReader()
        with contextlib.suppress(ConnectionError):
            while not greeting.done and (data := await reader.read(65_536)):
                for kind, payload in frames.feed(data):
                    writer.write(greeting.receive(kind, payload))
            await play(reader, writer)
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield LinkAddress(node="here", path=str(path))
    finally:
        server.close()
        async with asyncio.timeout(10):
            await asyncio.gather(*(task for task in tasks if task is not None))


async def test_items_go_one_way_in_order_and_answers_the_other(rig: LinkRig) -> None:
    link, user = await rig.link()
    for number in range(100):
        link.send([bytes((number,))])
    await until(lambda: len(rig.behind.taken) == 100)
    assert rig.behind.taken == [b"\xdc\x00\x01" + bytes((number,)) for number in range(100)]
    rig.behind.hubs["hub-0.ab"](deliveries.encoder.encode([ACK]))
    await until(lambda: user.answers)
    assert user.answers == [ACK]
    link.close()


async def test_a_full_link_says_so_and_takes_more_when_it_was_read(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def later(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await go.wait()
        while await reader.read(1_000_000):
            pass

    async with actor(tmp_path / "a.sock", later) as address:
        user = User()
        link = await maker().connect(address, ACTOR, "hub-0.ab", user)
        while not link.full:
            link.send([b"x" * 90_000])
        assert user.writable_times == 0
        go.set()
        await until(lambda: user.writable_times == 1)
        assert not link.full
        await link.finish()
        assert user.losses == []


@pytest.mark.parametrize("cut", [0, 1, 4, 5, len(ANSWERS) - 1])
async def test_a_link_cut_anywhere_is_lost_once_and_half_an_answer_is_none(
    tmp_path: Path, cut: int
) -> None:
    async def cutting(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ANSWERS + ANSWERS[:cut])
        writer.close()

    async with actor(tmp_path / "a.sock", cutting) as address:
        user = User()
        link = await maker().connect(address, ACTOR, "hub-0.ab", user)
        await until(lambda: user.losses)
        link.send([b"x"])
        link.close()
        assert user.answers == [ACK]
        assert user.losses == ["it closed the link"]


@pytest.mark.parametrize(
    "garbage",
    [b"\xff\xff\xff\xff\x07", b"HTTP/1.1 400 Bad", frame(Kind.ITEMS), frame(Kind.ANSWERS, b"?")],
    ids=["4GB", "http", "items", "no-answers"],
)
async def test_garbage_of_an_actor_loses_the_link(tmp_path: Path, garbage: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(garbage)
        await reader.read()

    async with actor(tmp_path / "a.sock", talk) as address:
        user = User()
        link = await maker().connect(address, ACTOR, "hub-0.ab", user)
        link.send([b"\x01"])
        await until(lambda: user.losses)
        assert len(user.losses) == 1
        assert user.answers == []


async def test_a_half_open_link_is_lost_when_something_is_owed_and_not_before(
    tmp_path: Path,
) -> None:
    silent = asyncio.Event()

    async def nothing(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await silent.wait()

    async with actor(tmp_path / "a.sock", nothing) as address:
        user = User()
        link = await maker(silent_s=0.1).connect(address, ACTOR, "hub-0.ab", user)
        link.owed(False)
        loop = asyncio.get_running_loop()
        rest = loop.time() + 0.15
        await until(lambda: loop.time() > rest)
        assert user.losses == []
        link.owed(True)
        await until(lambda: user.losses)
        assert user.losses == ["it owes something and was silent for 0.1 s"]
        silent.set()


async def test_an_actor_that_only_pongs_is_kept(rig: LinkRig) -> None:
    user = User()
    link = await maker(silent_s=1.0).connect(rig.address, ACTOR, "hub-0.ab", user)
    link.owed(True)
    loop = asyncio.get_running_loop()
    rest = loop.time() + 1.5
    await until(lambda: loop.time() > rest)
    assert user.losses == []
    link.close()


async def test_no_link_to_whoever_cannot_prove_the_cluster_s_token(tmp_path: Path) -> None:
    told: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        told.append(await reader.read())

    async with actor(tmp_path / "a.sock", listen, STRANGERS_KEY) as address:
        with pytest.raises(Unavailable, match="no proof"):
            await maker().connect(address, ACTOR, "hub-0.ab", User())
    assert b"".join(told) == b""


async def test_no_link_where_nobody_listens_answers_or_is_reached(
    rig: LinkRig, tmp_path: Path
) -> None:
    nowhere = LinkAddress(node="here", path=str(tmp_path / "none.sock"))
    with pytest.raises(Unavailable, match="takes no link"):
        await maker().connect(nowhere, ACTOR, "hub-0.ab", User())
    with pytest.raises(Unavailable, match="links of other nodes"):
        await maker(node="there").connect(rig.address, ACTOR, "hub-0.ab", User())
    with pytest.raises(Unavailable, match=r"this is cam\.1, not"):
        await rig.maker.connect(rig.address, "cam.2", "hub-0.ab", User())
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf.sock"))
        deaf.listen()
        address = LinkAddress(node="here", path=str(tmp_path / "deaf.sock"))
        with pytest.raises(Unavailable, match=r"within 0\.1 s"):
            await maker(silent_s=0.1).connect(address, ACTOR, "hub-0.ab", User())


async def test_links_of_other_nodes_are_tls_and_proven_over_the_certificate(
    rig: LinkRig, tmp_path: Path
) -> None:
    context, der = server_tls(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    port = await rig.server.listen_beyond("127.0.0.1", range(port, port + 20), context, der)
    address = LinkAddress(node="here", path="", host="127.0.0.1", port=port)
    user = User()
    link = await maker(node="there").connect(address, ACTOR, "hub-0.ab", user)
    link.send([b"\x01"])
    await until(lambda: rig.behind.taken == [b"\xdc\x00\x01\x01"])
    rig.behind.hubs["hub-0.ab"](deliveries.encoder.encode([ACK]))
    await until(lambda: user.answers == [ACK])
    await link.finish()
    with pytest.raises(Unavailable):
        await maker(STRANGERS_KEY, node="there").connect(address, ACTOR, "hub-0.ab", User())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)  # without TLS
    writer.write(frame(Kind.HELLO, b"x" * 100))
    async with asyncio.timeout(10):
        assert (await _rest(reader))[:1] in (b"", b"\x15")  # nothing, or an alert of TLS
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    await rig.still_takes()


async def test_somebody_between_two_nodes_gets_no_link(rig: LinkRig, tmp_path: Path) -> None:
    """One with a certificate of its own who passes everything on, byte by byte."""
    ended = asyncio.Event()
    context, der = server_tls(tmp_path)
    theirs, _der = server_tls(tmp_path)
    ours = await asyncio.get_running_loop().create_server(
        lambda: ActorLink(rig.server, der), "127.0.0.1", 0, ssl=context
    )
    actor_port = ours.sockets[0].getsockname()[1]

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outwards = ssl.create_default_context()
        outwards.check_hostname, outwards.verify_mode = False, ssl.CERT_NONE
        far = await asyncio.open_connection("127.0.0.1", actor_port, ssl=outwards)
        await asyncio.gather(_pass_on(reader, far[1]), _pass_on(far[0], writer))
        ended.set()

    middle = await asyncio.start_server(between, "127.0.0.1", 0, ssl=theirs)
    port = middle.sockets[0].getsockname()[1]
    address = LinkAddress(node="here", path="", host="127.0.0.1", port=port)
    with pytest.raises(Unavailable, match="no proof"):
        await maker(node="there").connect(address, ACTOR, "hub-0.ab", User())
    assert rig.behind.hubs == {}
    await ended.wait()
    middle.close()
    ours.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
    except (ConnectionError, ssl.SSLError):
        pass
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""
