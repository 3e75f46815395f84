"""One dashboard connection: the shell that carries out what its session decides.

There is no task per connection: commands that need no waiting are answered inside the call that
received them, and one short-lived task exists only while an inquiry (a policy decision, a read from
a store) is under way.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from actors.core.errors import BadInput, EyrieError, Unavailable
from hub.access.subscription_options import NONE, SubscriptionOptions
from hub.dashboards.actions import (
    Action,
    Authorize,
    Expel,
    Fail,
    Inquiry,
    Join,
    Leave,
    Operate,
    ReadHistory,
    Renew,
    SendPing,
    SendReply,
    Shut,
)
from hub.dashboards.connection_state import ConnectionLimits, ConnectionPhase, ConnectionState
from hub.fanout.fanout import Client, Fanout, Group
from hub.protocol import disconnects, errors
from hub.protocol.channels import Channel
from hub.protocol.disconnects import CloseCode
from hub.protocol.messages import Codec, Command
from policy.identity.principal import Principal


class ConnectionStats(msgspec.Struct):
    """Counts since the start, for metrics. `recoveries`: (lane, outcome) → how often."""

    accepted: int = 0
    refused: int = 0
    recoveries: dict[tuple[str, str], int] = {}
    closes: dict[int, int] = {}
    errors: dict[int, int] = {}

    def refuse(self, code: int) -> None:
        """A command was answered with this error."""
        self.errors[code] = self.errors.get(code, 0) + 1

    def closed(self, code: int) -> None:
        """A connection was closed by this side."""
        self.closes[code] = self.closes.get(code, 0) + 1

    def recovered(self, lane: str, outcome: str) -> None:
        """A recovery was asked for."""
        key = (lane, outcome)
        self.recoveries[key] = self.recoveries.get(key, 0) + 1


log = logging.getLogger(__name__)

MAX_INBOX = 512  # commands waiting behind an inquiry; reading stops from half of it on
MAX_FIRST_BYTES = 16_384  # of a message before the connection is authorized: one token, with room


class ClientSocket(Protocol):
    """The socket under a connection (`hub.server.websocket_protocol`)."""

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport."""

    def close(self, close: CloseCode) -> None:
        """Send a close frame and end the connection within a bounded time."""

    def pause_reading(self) -> None:
        """Take no more input for now."""

    def resume_reading(self) -> None:
        """Take input again."""


class Commands(Protocol):
    """What becomes of the commands that need waiting (`hub.dashboards.commands`); an extension puts
    its own before them. Each answers with actions and raises EyrieErrors."""

    async def authorize(self, dashboard: "Dashboard", action: Authorize) -> list[Action]:
        """Verify, decide, and say what to answer."""

    async def renew(self, dashboard: "Dashboard", action: Renew) -> list[Action]:
        """A newer token."""

    async def join(self, dashboard: "Dashboard", action: Join) -> list[Action]:
        """Subscribe."""

    async def history(self, dashboard: "Dashboard", action: ReadHistory) -> list[Action]:
        """Read a stream."""

    async def operate(self, dashboard: "Dashboard", action: Operate) -> list[Action]:
        """Publish, presence, sub_refresh."""

    def leave(self, dashboard: "Dashboard", channel: str) -> None:
        """A subscription has ended."""

    def ended(self, dashboard: "Dashboard") -> None:
        """The connection has ended, and all of its subscriptions."""


@dataclass(frozen=True, slots=True)
class ConnectionServices:
    """What all connections of a hub share. `schedule` has `tick` called at a session's deadline. At
    most `queue_bytes` are held for a slow client; an inquiry may take `timeout_s`."""

    commands: Commands
    fanout: Fanout
    stats: ConnectionStats
    limits: ConnectionLimits
    parse: Callable[[str], Channel]
    schedule: Callable[["Dashboard"], None]
    queue_bytes: int
    timeout_s: float


class Dashboard(Client):
    """A connection and its session."""

    __slots__ = (
        "_ended",
        "address",
        "codec",
        "groups",
        "inbox",
        "link",
        "options",
        "principal",
        "reading",
        "scheduled",
        "services",
        "session",
        "task",
    )

    def __init__(
        self,
        services: ConnectionServices,
        link: ClientSocket,
        codec: Codec,
        session_id: str,
        ended: Callable[["Dashboard", CloseCode | None], None],
        *,
        spread: float,
        address: str = "",
    ) -> None:
        """`ended` is told of the end, with its close code where it was this side's."""
        super().__init__(link.write, services.queue_bytes)
        self.services = services
        self._ended = ended
        self.link = link
        self.codec = codec
        self.session = ConnectionState(
            session_id, services.limits, time.monotonic(), spread=spread, parse=services.parse
        )
        self.principal: Principal | None = None
        self.groups: dict[str, Group] = {}
        self.options: dict[str, SubscriptionOptions] | None = (
            None  # by channel, where a subscription asks for less than it may have
        )
        self.inbox: deque[Command] | None = None
        self.task: asyncio.Task[None] | None = None
        self.reading = True
        self.scheduled = float("inf")
        self.address = address
        services.schedule(self)

    def asked(self, channel: str) -> SubscriptionOptions:
        """What its subscription to `channel` asks for."""
        return NONE if self.options is None else self.options.get(channel, NONE)

    # from the socket

    def on_message(self, payload: bytes) -> None:
        """One whole message of the client."""
        if self.closing:
            return
        if self.session.phase is not ConnectionPhase.LIVE and len(payload) > MAX_FIRST_BYTES:
            self.drop(disconnects.BAD_REQUEST)
            return
        try:
            commands = self.codec.decode(payload)
        except BadInput as error:
            log.info(
                "dashboard %s sent something undecodable: %s",
                self.session.client,
                error.detail[:200],
            )
            self.drop(disconnects.BAD_REQUEST)
            return
        if self.task is None:
            self._work(deque(commands))
            return
        if self.inbox is None:
            self.inbox = deque()
        for command in commands:
            if command.method is None:  # a pong must not wait behind a slow inquiry
                self._perform(self.session.receive(command, time.monotonic()))
            else:
                self.inbox.append(command)
        if len(self.inbox) > MAX_INBOX:
            self.drop(disconnects.TOO_MANY_REQUESTS)
        elif len(self.inbox) > MAX_INBOX // 2 and self.reading:
            self.reading = False
            self.link.pause_reading()

    def on_lost(self) -> None:
        """The socket is gone."""
        self.closing = True
        self.session.closed()
        if self.task is not None:
            self.task.cancel()
        self._ended(self, None)

    def on_blocked(self) -> None:
        """The transport is above its mark."""
        self.services.fanout.block(self)

    def on_drained(self) -> None:
        """The transport has room again."""
        self.services.fanout.unblock(self)

    # from the hub

    def tick(self, now: float) -> None:
        """A deadline may have passed."""
        if self.closing:
            return
        self._perform(self.session.due(now))
        self.services.schedule(self)

    def send(self, payload: bytes) -> None:
        """Send one message in order."""
        self.services.fanout.send(self, self.codec.frame((payload,)))

    def unsubscribe(self, channel: str, close: CloseCode) -> None:
        """End one subscription from this side."""
        if self.session.removed(channel):
            self.services.commands.leave(self, channel)
            self.send(self.codec.unsubscribe(channel, close.code, close.reason))

    def drop(self, close: CloseCode) -> None:
        if self.closing:
            return
        self.services.fanout.flush_client(self)
        self.closing = True
        self.session.closed()
        self._ended(self, close)
        self.link.close(close)

    # carrying out

    def _work(self, commands: deque[Command]) -> None:
        while commands and not self.closing:
            actions = self.session.receive(commands.popleft(), time.monotonic())
            if actions and isinstance(actions[-1], Inquiry):
                self._perform(actions[:-1])
                if commands:
                    self.inbox = commands
                self.task = asyncio.get_running_loop().create_task(self._inquire(actions[-1]))
                self.task.add_done_callback(self._inquired)
                return
            self._perform(actions)

    async def _inquire(self, inquiry: Inquiry) -> None:
        try:
            try:
                async with asyncio.timeout(self.services.timeout_s):
                    actions = await self._ask(inquiry)
            except TimeoutError:
                actions = self._refused(inquiry, Unavailable("no answer in time"))
            except EyrieError as error:
                actions = self._refused(inquiry, error)
            self._perform(actions)
        finally:
            self.task = None
        if not self.closing:
            self.services.schedule(self)
        inbox, self.inbox = self.inbox, None
        if not self.reading:
            self.reading = True
            self.link.resume_reading()
        if inbox:
            self._work(inbox)

    def _inquired(self, task: "asyncio.Task[None]") -> None:
        """An error nobody foresaw: without an answer the client would wait for ever, so it is told
        to come again."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("dashboard %s: an inquiry failed", self.session.client, exc_info=error)
            self.drop(disconnects.INTERNAL_ERROR)

    async def _ask(self, inquiry: Inquiry) -> list[Action]:
        if isinstance(inquiry, Join):
            return await self.services.commands.join(self, inquiry)
        if isinstance(inquiry, Authorize):
            return await self.services.commands.authorize(self, inquiry)
        if isinstance(inquiry, Renew):
            return await self.services.commands.renew(self, inquiry)
        if isinstance(inquiry, Operate):
            return await self.services.commands.operate(self, inquiry)
        return await self.services.commands.history(self, inquiry)

    def _refused(self, inquiry: Inquiry, error: EyrieError) -> list[Action]:
        log.info(
            "dashboard %s: %s refused: %s",
            self.session.client,
            type(inquiry).__name__.lower(),
            error.detail,
        )
        return [Fail(inquiry.id, errors.of(error))]

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            if self.closing:
                return
            if isinstance(action, SendReply):
                self.send(self.codec.reply(action.id, action.method, action.result))
            elif isinstance(action, Fail):
                self.services.stats.refuse(action.error.code)
                self.send(self.codec.error(action.id, action.error))
            elif isinstance(action, SendPing):
                self.send(self.codec.ping)
            elif isinstance(action, Leave):
                self.services.commands.leave(self, action.channel)
            elif isinstance(action, Expel):
                self.unsubscribe(action.channel, disconnects.UNSUBSCRIBED_EXPIRED)
            elif isinstance(action, Shut):
                self.drop(action.close)
