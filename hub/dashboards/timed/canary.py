"""The canary proves delivery: once a second something is published through Redis and must come back
over a websocket of this hub's private port. Its age is part of readiness, so a hub that looks well
and delivers nothing is found out.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.typing import Origin

from actors.core.errors import EyrieError
from hub.dashboards.connection import Dashboard
from hub.protocol.messages import JSON
from hub.protocol.paths import DASHBOARD_PATH
from storage.ports.live import Broker

log = logging.getLogger(__name__)

PERIOD_S = 1.0
LATE_S = 5.0  # an older canary means: not ready
ANSWER_S = 2.0  # for the connection
CHANNEL = "canary"


class CanaryConnection:
    """The hub's side of its canary: it is known by `key`, a secret of one life of the hub, may do
    nothing, and gets what the hub sends to itself."""

    def __init__(self) -> None:
        self.key = secrets.token_hex(16)
        self._dashboard: Dashboard | None = None

    def is_origin(self, origins: Sequence[str]) -> bool:
        """Whether a handshake with these `Origin` headers is the canary's."""
        return len(origins) == 1 and secrets.compare_digest(
            origins[0].encode(), origin(self.key).encode()
        )

    def is_token(self, token: str) -> bool:
        """Whether this is its token."""
        return secrets.compare_digest(token.encode(), self.key.encode())

    def enter(self, dashboard: Dashboard) -> None:
        """It has connected; the newest connection counts."""
        self._dashboard = dashboard

    def deliver(self, body: bytes) -> None:
        """Its message came back from Redis."""
        if self._dashboard is not None and not self._dashboard.closing:
            self._dashboard.send(JSON.publication(CHANNEL, body))


class CanaryMessage(msgspec.Struct):
    """What the canary says: when, monotonic seconds of this process."""

    sent: float


class _Push(msgspec.Struct):
    pub: "_Publication | None" = None


class _Publication(msgspec.Struct):
    data: CanaryMessage


class _Message(msgspec.Struct):
    push: _Push | None = None


_messages = msgspec.json.Decoder(_Message)


class Canary:
    """See the module. `age` is seconds since the newest message that came back was sent, `trip_s`
    how long it took. `key` is that of :class:`CanaryConnection`, `name` the hub's."""

    def __init__(self, key: str, broker: Broker, name: str) -> None:
        self.trip_s = 0.0
        self._key = key
        self._broker = broker
        self._name = name
        self._heard = time.monotonic()

    @property
    def age(self) -> float:
        """See the class."""
        return time.monotonic() - self._heard

    def late(self) -> str | None:
        """Why this hub is not ready, None while the messages come back."""
        age = self.age
        return (
            None
            if age <= LATE_S
            else f"the canary is {age:.0f} s old: what Redis publishes does not reach this hub's "
            "sockets"
        )

    async def run(self, port: int) -> None:
        """Publish and listen through the private port, until cancelled."""
        while True:
            try:
                async with connect(
                    f"ws://127.0.0.1:{port}{DASHBOARD_PATH}",
                    origin=origin(self._key),
                    compression=None,
                    proxy=None,
                    open_timeout=ANSWER_S,
                    ping_interval=None,
                    close_timeout=ANSWER_S,
                ) as socket:
                    await socket.send(
                        msgspec.json.encode({"id": 1, "connect": {"token": self._key}}).decode()
                    )
                    async with asyncio.TaskGroup() as both:
                        both.create_task(self._listen(socket))
                        both.create_task(self._publish(socket))
            except (OSError, TimeoutError, WebSocketException, InvalidHandshake) as error:
                log.info("the canary has no socket: %s", error)
            except ExceptionGroup as group:
                if group.split((OSError, WebSocketException))[1] is not None:
                    raise
            await asyncio.sleep(PERIOD_S)

    async def _publish(self, socket: ClientConnection) -> None:
        while True:
            try:
                await self._broker.echo(
                    self._name, msgspec.json.encode(CanaryMessage(time.monotonic()))
                )
            except EyrieError as error:
                log.info("the canary cannot publish: %s", error)
            await asyncio.sleep(PERIOD_S)

    async def _listen(self, socket: ClientConnection) -> None:
        while True:
            frame = await socket.recv()
            for line in (frame if isinstance(frame, str) else frame.decode()).split("\n"):
                if line == "{}":
                    await socket.send("{}")
                    continue
                message = _messages.decode(line)
                if message.push is not None and message.push.pub is not None:
                    self.trip_s = time.monotonic() - message.push.pub.data.sent
                    self._heard = max(self._heard, message.push.pub.data.sent)


def origin(key: str) -> Origin:
    """The origin by which a hub knows its canary: limits of dashboards are not for it."""
    return Origin(f"canary://{key}")
