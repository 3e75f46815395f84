"""The end of a link in a hub process (`actors.ports.Link`)."""

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from actors.core.errors import EyrieError, Unavailable
from actors.core.messages import deliveries
from actors.links.address import LinkAddress
from actors.links.frames import MAX_FRAME_BYTES, FrameReader, Kind, frame
from actors.links.greeting import NONCE_BYTES, UNIX, VERSION, HubGreeting, LinkHello
from actors.links.silence import Say, Silence
from actors.links.sockets import secure
from actors.ports import LinkUser

FULL_BYTES = 262_144  # written and not sent, beyond which a link takes no more for now
MAX_ITEMS = 65_535  # of a frame: of a msgpack array with a 16-bit length

log = logging.getLogger("eyrie.actors.links")


class LinkMaker:
    """Makes the links of one hub process, on the node `node`. `silent_s`: how long an actor that
    owes something may be silent, seconds."""

    def __init__(self, key: bytes, *, cluster: str, node: str, silent_s: float) -> None:
        self._key = key
        self._cluster = cluster
        self._node = node
        self._silent_s = silent_s
        self._number = 0
        self._context: ssl.SSLContext | None = None

    async def connect(
        self, address: LinkAddress, actor: str, hub: str, user: LinkUser
    ) -> "HubLink":
        """A link to `actor`. Raises Unavailable when there is none within `silent_s`, whatever the
        reason."""
        self._number += 1
        hello = LinkHello(
            VERSION, self._cluster, actor, hub, self._number, secrets.token_bytes(NONCE_BYTES)
        )
        link = HubLink(self._key, hello, user, self._silent_s)
        try:
            async with asyncio.timeout(self._silent_s):
                await self._open(address, link)
                await link.greeted
        except TimeoutError as error:
            link.close()
            raise Unavailable(f"{actor} gave no link within {self._silent_s:g} s") from error
        except OSError as error:
            raise Unavailable(f"{actor} takes no link: {error}") from error
        except BaseException:
            link.close()
            raise
        return link

    async def _open(self, address: LinkAddress, link: "HubLink") -> None:
        loop = asyncio.get_running_loop()
        if address.node == self._node:
            await loop.create_unix_connection(lambda: link, address.path)
        elif address.host:
            await loop.create_connection(
                lambda: link, address.host, address.port, ssl=self._tls(), server_hostname=""
            )
        else:
            raise Unavailable(f"{link.actor} takes no links of other nodes")

    def _tls(self) -> ssl.SSLContext:
        """Encryption alone: who the server is, its proof over its certificate says
        (`actors.links.greeting`)."""
        if self._context is None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._context.minimum_version = ssl.TLSVersion.TLSv1_3
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
        return self._context


class HubLink(asyncio.Protocol):
    """One link. `greeted` is done when it is open; `user` is told of everything after that."""

    def __init__(self, key: bytes, hello: LinkHello, user: LinkUser, silent_s: float) -> None:
        self.actor = hello.actor
        self.full = False
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._key = key
        self._hello = hello
        self._user = user
        self._reader = FrameReader()
        self._greeting: HubGreeting | None = None
        self._silent_s = silent_s
        self._silence = Silence(silent_s)
        self._timer: asyncio.TimerHandle | None = None
        self._transport: Any = None
        self._over = False

    def send(self, items: Sequence[bytes]) -> None:
        """Encoded items, at most `MAX_ITEMS`, in one frame."""
        if self._over or not items:
            return
        self._transport.write(
            frame(Kind.ITEMS, b"".join((b"\xdc", len(items).to_bytes(2, "big"), *items)))
        )
        self._silence.sent()
        self._watch()

    def owed(self, owed: bool) -> None:
        """Whether an answer is due: the actor must not be silent meanwhile."""
        self._silence.owed = owed
        if owed:
            self._watch()

    def close(self) -> None:
        """End at once, without a word to the user."""
        self._over = True
        self._end_timer()
        if self._transport is not None:
            self._transport.abort()

    def end(self) -> None:
        """End once everything written is out; at once where that takes longer than a silence."""
        if not self._over:
            self._over = True
            self._end_timer()
            self._transport.close()
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._silent_s, self._transport.abort)

    async def finish(self) -> None:
        """The same, and wait for it."""
        self.end()
        await asyncio.shield(self._gone)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if self._over:
            transport.abort()
            return
        try:
            secure(transport, self._silent_s)
        except EyrieError as error:
            self._fail(error.detail)
            return
        transport.set_write_buffer_limits(high=FULL_BYTES)
        tls = transport.get_extra_info("ssl_object")
        channel = UNIX if tls is None else tls.getpeercert(binary_form=True)
        self._greeting = HubGreeting(self._key, self._hello, channel=channel)
        transport.write(self._greeting.begin())

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        self._silence.heard(time.monotonic())
        try:
            for kind, payload in self._reader.feed(data):
                if self._greeting is not None:
                    self._greet(self._greeting, kind, payload)
                elif kind is Kind.ANSWERS:
                    self._user.answered(deliveries.answers_decoder.decode(payload))
                elif kind is not Kind.PONG:
                    raise Unavailable(f"an actor sends no frame of kind {kind.name}")
                if self._over:
                    return
        except EyrieError as error:
            self._fail(error.detail)
        except msgspec.MsgspecError as error:
            self._fail(f"its answers do not decode: {error}")

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        if not self._over:
            self._user.writable()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._gone.done():
            self._gone.set_result(None)
        if self._over:
            self._end_timer()
        self._fail("it closed the link" if error is None else f"the link broke: {error}")

    def _greet(self, greeting: HubGreeting, kind: Kind, payload: bytes) -> None:
        answer = greeting.receive(kind, payload)
        if answer:  # the actor has proven itself
            self._reader.limit = MAX_FRAME_BYTES
            self._transport.write(answer)
        if greeting.done:
            self._greeting = None
            if not self.greeted.done():
                self.greeted.set_result(None)

    def _fail(self, reason: str) -> None:
        if self._over:
            return
        self.close()
        if not self.greeted.done():
            self.greeted.set_exception(Unavailable(f"{self.actor} takes no link: {reason}"))
            self.greeted.exception()  # whoever does not wait any more is not told
        else:
            self._user.lost(reason)

    def _watch(self) -> None:
        if self._timer is None:
            self._silence.start(time.monotonic())
            self._tick_later()

    def _tick_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._silence.tick_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        match self._silence.tick(time.monotonic()):
            case Say.LOST:
                self._fail(f"it owes something and was silent for {self._silent_s:g} s")
            case Say.PING:
                self._transport.write(frame(Kind.PING))
                self._silence.sent()
                self._tick_later()
            case Say.WAIT:
                self._tick_later()
            case Say.NOTHING:
                pass

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
