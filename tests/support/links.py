"""Links over real sockets in one process: what stands behind them, who makes them, and a peer that
speaks byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from actors.core.messages.deliveries import Answer
from actors.links.address import LinkAddress
from actors.links.client import HubLink, LinkMaker
from actors.links.frames import MAX_FRAME_BYTES, FrameReader, Kind
from actors.links.greeting import NONCE_BYTES, VERSION, HubGreeting, LinkHello, derive_key
from actors.links.server import BOUNDS, LinkBounds, LinkServer, Send

CLUSTER = "eyrie"
ACTOR = "cam.1"
KEY = derive_key(b"t" * 64, CLUSTER)
STRANGERS_KEY = derive_key(b"s" * 64, CLUSTER)


class Behind:
    """What was taken from which hub, and where answers go."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.hubs: dict[str, Send] = {}

    def linked(self, hub: str, send: Send) -> None:
        self.hubs[hub] = send

    def unlinked(self, hub: str, send: Send) -> None:
        assert self.hubs.pop(hub) == send

    def take(self, items: bytes) -> None:
        self.taken.append(items)


class User:
    """What a hub is told by its link."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.losses: list[str] = []
        self.writable_times = 0

    def answered(self, answers: Sequence[Answer]) -> None:
        self.answers += answers

    def writable(self) -> None:
        self.writable_times += 1

    def lost(self, reason: str) -> None:
        self.losses.append(reason)


class LinkRig:
    """A server, and means to reach it."""

    def __init__(self, server: LinkServer, behind: Behind, path: str) -> None:
        self.server = server
        self.behind = behind
        self.address = LinkAddress(node="here", path=path)
        self.maker = maker()
        self.raw: list[RawHub] = []  # closed with the rig, also where a test fails

    async def link(self, hub: str = "hub-0.ab") -> tuple[HubLink, User]:
        """A good link."""
        user = User()
        return await self.maker.connect(self.address, ACTOR, hub, user), user

    async def still_takes(self) -> None:
        """A good hub is served, whatever others did. Raises where it is not."""
        before = len(self.behind.taken)
        link, user = await self.link("hub-good.1")
        link.send([b"\x01"])
        await link.finish()
        async with asyncio.timeout(10):
            while len(self.behind.taken) == before:
                await asyncio.sleep(0.001)
        assert user.losses == []


def maker(key: bytes = KEY, *, silent_s: float = 5.0, node: str = "here") -> LinkMaker:
    """Of a hub process on `node`."""
    return LinkMaker(key, cluster=CLUSTER, node=node, silent_s=silent_s)


@asynccontextmanager
async def link_rig(folder: Path, bounds: LinkBounds = BOUNDS) -> AsyncIterator[LinkRig]:
    """A server on a Unix socket in `folder`."""
    behind = Behind()
    server = LinkServer(behind, KEY, cluster=CLUSTER, name=ACTOR, silent_s=5.0, bounds=bounds)
    rig = LinkRig(server, behind, await server.listen_here(folder))
    try:
        yield rig
    finally:
        for peer in rig.raw:
            peer.writer.close()
        await server.stop()


class RawHub:
    """A peer of an actor that writes whatever it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._frames = FrameReader(MAX_FRAME_BYTES)

    @classmethod
    async def come(cls, rig: LinkRig) -> "RawHub":
        made = cls(*await asyncio.open_unix_connection(rig.address.path))
        rig.raw.append(made)
        return made

    async def hear(self) -> list[tuple[Kind, bytes]]:
        """The next frames; none when the other end closed."""
        async with asyncio.timeout(10):
            while data := await self._read():
                if found := self._frames.feed(data):
                    return found
        return []

    async def _read(self) -> bytes:
        try:
            return await self.reader.read(65_536)
        except ConnectionError:
            return b""

    async def greet(self, key: bytes = KEY, hub: str = "hub-raw.1", number: int = 1) -> None:
        """The whole greeting."""
        greeting = HubGreeting(key, self.hello(hub, number))
        self.writer.write(greeting.begin())
        while not greeting.done:
            for kind, payload in await self.hear():
                self.writer.write(greeting.receive(kind, payload))

    @staticmethod
    def hello(hub: str = "hub-raw.1", number: int = 1) -> LinkHello:
        return LinkHello(VERSION, CLUSTER, ACTOR, hub, number, b"n" * NONCE_BYTES)

    async def closed(self) -> list[tuple[Kind, bytes]]:
        """Everything until the other end closes."""
        found = []
        while more := await self.hear():
            found += more
        self.writer.close()
        return found
