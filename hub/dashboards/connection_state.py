"""The state machine of one dashboard connection: commands in, actions out (pure; hubs.md 2.4-2.7
names the rules' sources).

The shell (`hub.dashboards.connection`) carries the actions out and reports what became of the slow
ones. It hands over one command at a time and waits for the outcome of an :data:`Inquiry` before the
next, so answers leave in the order of the commands. `now` is monotonic seconds.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, Literal

import msgspec

from actors.core.errors import NotFound
from hub.dashboards.actions import (
    Action,
    Authorize,
    Expel,
    Fail,
    Join,
    Leave,
    Operate,
    ReadHistory,
    Renew,
    SendPing,
    SendReply,
    Shut,
)
from hub.protocol import channels, disconnects, errors
from hub.protocol.channels import Channel
from hub.protocol.disconnects import CloseCode
from hub.protocol.messages import (
    ChannelRequest,
    Command,
    ConnectResult,
    Empty,
    HistoryRequest,
    PublishRequest,
    RefreshRequest,
    RefreshResult,
    RpcRequest,
    SubRefreshRequest,
    SubRefreshResult,
    SubscribeRequest,
    SubscribeResult,
)

NEVER = float("inf")
REJECT_UNRECOVERED = 2  # SubscribeRequest.flag


class ConnectionLimits(msgspec.Struct, frozen=True):
    """Bounds of one connection. Times are seconds; `commands_per_s` with a burst of
    `commands_burst`."""

    first_message_s: float = 5.0
    ping_s: float = 25.0
    pong_s: float = 8.0
    expired_grace_s: float = 25.0
    max_subscriptions: int = 128
    commands_per_s: float = 50.0
    commands_burst: float = 512.0
    version: str = "eyrie"
    node: str = ""
    token_needed: bool = True


class ConnectionPhase(Enum):
    """Where the connection stands."""

    NEW = "new"
    CONNECTING = "connecting"
    LIVE = "live"
    CLOSED = "closed"


class ConnectionState:
    """One connection. `spread` in 0..1 places the first ping between half and a whole period, so a
    mass reconnect does not ping as one."""

    __slots__ = (
        "_bucket",
        "_bucket_at",
        "_expires_at",
        "_parse",
        "_ping_at",
        "_pong_by",
        "_spread",
        "_sub_expiries",
        "channels",
        "client",
        "deadline",
        "limits",
        "may_ask",
        "phase",
        "secret",
    )

    def __init__(
        self,
        client: str,
        limits: ConnectionLimits,
        now: float,
        *,
        spread: float = 0.0,
        parse: Callable[[str], Channel] = channels.parse,
    ) -> None:
        self._parse = parse
        self.client = client
        # what the client proves itself by where its commands come on connections of their own
        self.secret = client
        self.limits = limits
        self.phase = ConnectionPhase.NEW
        self.channels: dict[str, Channel] = {}
        self.deadline = now + limits.first_message_s
        self._spread = spread
        self._ping_at = NEVER
        self._pong_by = NEVER
        self._expires_at = NEVER
        self._sub_expiries: dict[str, float] | None = (
            None  # channel → when its subscription ends, where one has an end
        )
        self._bucket = limits.commands_burst
        self._bucket_at = now
        self.may_ask: Callable[[float], bool] = (
            _may  # whether the user, on all connections of this hub, may send one more command
        )

    # commands

    def receive(self, command: Command, now: float) -> list[Action]:
        """What `command` asks for. At most one :data:`Inquiry`, and always last."""
        if self.phase is ConnectionPhase.CLOSED:
            return []
        method = command.method
        if method is None:
            return self._pong(command)
        if command.id == 0 and method != "send":
            return self._shut(disconnects.BAD_REQUEST)
        if self.phase is not ConnectionPhase.LIVE:
            return self._connect(command)
        if method == "connect":
            return self._shut(disconnects.BAD_REQUEST)
        if not self._admit(now):
            return (
                self._shut(disconnects.TOO_MANY_REQUESTS)
                if command.id == 0
                else [Fail(command.id, errors.TOO_MANY_REQUESTS)]
            )
        if method == "send":
            return []  # nobody wants them (Centrifugo closes with 3508 where nobody does)
        handler = _HANDLERS[method]
        return handler(self, command.id, getattr(command, method))

    def _admit(self, now: float) -> bool:
        limits = self.limits
        self._bucket = (
            min(
                limits.commands_burst,
                self._bucket + (now - self._bucket_at) * limits.commands_per_s,
            )
            - 1
        )
        self._bucket_at = now
        if self._bucket < 0:
            self._bucket = 0
            return False
        return self.may_ask(now)

    def _pong(self, command: Command) -> list[Action]:
        if command.id != 0 or self._pong_by == NEVER:
            return self._shut(disconnects.BAD_REQUEST)
        self._pong_by = NEVER
        self._set_deadline()
        return []

    def _connect(self, command: Command) -> list[Action]:
        if self.phase is not ConnectionPhase.NEW or command.connect is None:
            return self._shut(disconnects.BAD_REQUEST)
        if not command.connect.token and self.limits.token_needed:
            return self._shut(disconnects.BAD_REQUEST)
        self.phase = ConnectionPhase.CONNECTING
        return [Authorize(command.id, command.connect)]

    def _subscribe(self, command_id: int, request: SubscribeRequest) -> list[Action]:
        if not request.channel:
            return self._shut(disconnects.BAD_REQUEST)
        try:
            channel = self._parse(request.channel)
        except NotFound:
            too_long = len(request.channel) > channels.MAX_NAME
            return [Fail(command_id, errors.BAD_REQUEST if too_long else errors.UNKNOWN_CHANNEL)]
        if request.type != 0:
            return [Fail(command_id, errors.NOT_AVAILABLE)]
        if bytes(request.tf):
            return [
                Fail(command_id, errors.BAD_REQUEST)
            ]  # as Centrifugo where it is off: unfiltered is not what was asked for
        if request.channel in self.channels:
            return [Fail(command_id, errors.ALREADY_SUBSCRIBED)]
        if channel.lane == "personal" or request.channel.startswith("#"):
            return [Fail(command_id, errors.PERMISSION_DENIED)]
        if len(self.channels) >= self.limits.max_subscriptions:
            return [Fail(command_id, errors.LIMIT_EXCEEDED)]
        return [Join(command_id, channel, request)]

    def _unsubscribe(self, command_id: int, request: ChannelRequest) -> list[Action]:
        if not request.channel:
            return self._shut(disconnects.BAD_REQUEST)
        done: list[Action] = [SendReply(command_id, "unsubscribe", Empty())]
        return [Leave(request.channel), *done] if self.removed(request.channel) else done

    def _history(self, command_id: int, request: HistoryRequest) -> list[Action]:
        try:
            channel = self.channels.get(request.channel) or self._parse(request.channel)
        except NotFound:
            return [Fail(command_id, errors.UNKNOWN_CHANNEL)]
        if request.channel not in self.channels and not channel.namespace.open:
            return [Fail(command_id, errors.PERMISSION_DENIED)]
        if not channel.namespace.history:
            return [Fail(command_id, errors.NOT_AVAILABLE)]
        return [ReadHistory(command_id, channel, request)]

    def _publish(self, command_id: int, request: PublishRequest) -> list[Action]:
        refused = self._off(command_id, request.channel, "publish")
        return refused or [Operate(command_id, "publish", request.channel, data=request.data)]

    def _presence(self, command_id: int, request: ChannelRequest) -> list[Action]:
        return self._off(command_id, request.channel, "presence") or [
            Operate(command_id, "presence", request.channel)
        ]

    def _presence_stats(self, command_id: int, request: ChannelRequest) -> list[Action]:
        return self._off(command_id, request.channel, "presence") or [
            Operate(command_id, "presence_stats", request.channel)
        ]

    def _off(
        self, command_id: int, name: str, feature: Literal["publish", "presence"]
    ) -> list[Action]:
        """The refusal where a namespace lets clients not do this, or the client is not
        subscribed."""
        try:
            channel = self._parse(name)
        except NotFound:
            return [Fail(command_id, errors.UNKNOWN_CHANNEL)]
        if not getattr(channel.namespace, feature):
            return [Fail(command_id, errors.NOT_AVAILABLE)]
        return (
            []
            if name in self.channels or channel.namespace.open
            else [Fail(command_id, errors.PERMISSION_DENIED)]
        )

    def _ping(self, command_id: int, _request: object) -> list[Action]:
        return [SendReply(command_id, "ping", Empty())]

    def _rpc(self, command_id: int, _request: RpcRequest) -> list[Action]:
        return [Fail(command_id, errors.NOT_AVAILABLE)]  # as Centrifugo without an RPC proxy

    def _refresh(self, command_id: int, request: RefreshRequest) -> list[Action]:
        return (
            [Renew(command_id, request.token)]
            if request.token
            else self._shut(disconnects.BAD_REQUEST)
        )

    def _sub_refresh(self, command_id: int, request: SubRefreshRequest) -> list[Action]:
        known = self.channels.get(request.channel)
        if known is not None and known.namespace.refresh:
            return [Operate(command_id, "sub_refresh", request.channel, token=request.token)]
        return [
            Fail(
                command_id, errors.NOT_AVAILABLE if known is not None else errors.PERMISSION_DENIED
            )
        ]

    # outcomes of inquiries

    def connected(
        self,
        command_id: int,
        ttl_s: float,
        now: float,
        subs: dict[str, SubscribeResult] | None = None,
    ) -> list[Action]:
        """The token holds for `ttl_s` more seconds; `subs` are the server-side subscriptions."""
        if self.phase is not ConnectionPhase.CONNECTING:
            return []
        self.phase = ConnectionPhase.LIVE
        self._expires_at = now + ttl_s + self.limits.expired_grace_s
        self._ping_at = now + self.limits.ping_s * (0.5 + self._spread / 2)
        self._set_deadline()
        for name in subs or {}:
            self.channels[name] = self._parse(name)
        result = ConnectResult(
            client=self.client,
            version=self.limits.version,
            expires=ttl_s != NEVER,
            ttl=_whole(ttl_s),
            subs=subs or {},
            ping=max(1, round(self.limits.ping_s)),
            pong=True,
            session=self.secret,
            node=self.limits.node,
        )
        return [SendReply(command_id, "connect", result)]

    def renewed(self, command_id: int, ttl_s: float, now: float) -> list[Action]:
        """A newer token holds for `ttl_s` more seconds."""
        if self.phase is not ConnectionPhase.LIVE:
            return []
        self._expires_at = now + ttl_s + self.limits.expired_grace_s
        self._set_deadline()
        result = RefreshResult(
            client=self.client,
            version=self.limits.version,
            expires=ttl_s != NEVER,
            ttl=_whole(ttl_s),
        )
        return [SendReply(command_id, "refresh", result)]

    def joined(self, join: Join, result: SubscribeResult, now: float) -> list[Action]:
        """The subscription stands, for `result.ttl` more seconds where `result.expires`."""
        if self.phase is not ConnectionPhase.LIVE:
            return [Leave(join.channel.name)]
        if (
            result.was_recovering
            and not result.recovered
            and join.request.flag & REJECT_UNRECOVERED
        ):
            return [Leave(join.channel.name), Fail(join.id, errors.UNRECOVERABLE_POSITION)]
        self.channels[join.channel.name] = join.channel
        self._expires(join.channel.name, result.expires, result.ttl, now)
        return [SendReply(join.id, "subscribe", result)]

    def sub_renewed(
        self, command_id: int, channel: str, result: SubRefreshResult, now: float
    ) -> list[Action]:
        """A newer token of a subscription, which may have ended meanwhile."""
        if channel not in self.channels:
            return [Fail(command_id, errors.PERMISSION_DENIED)]
        self._expires(channel, result.expires, result.ttl, now)
        return [SendReply(command_id, "sub_refresh", result)]

    def removed(self, channel: str) -> bool:
        """The server ended a subscription; whether there was one."""
        if self._sub_expiries:
            self._sub_expiries.pop(channel, None)
        return self.channels.pop(channel, None) is not None

    def _expires(self, channel: str, expires: bool, ttl_s: int, now: float) -> None:
        expiries = self._sub_expiries if self._sub_expiries is not None else {}
        expiries.pop(channel, None)
        if expires:
            expiries[channel] = now + ttl_s + self.limits.expired_grace_s
        self._sub_expiries = expiries or None
        self._set_deadline()

    # time

    def due(self, now: float) -> list[Action]:
        """What is due at `now`; call it once `deadline` has passed."""
        if self.phase is ConnectionPhase.CLOSED or now < self.deadline:
            return []
        if self.phase is not ConnectionPhase.LIVE:
            return self._shut(disconnects.STALE)
        if now >= self._pong_by:
            return self._shut(disconnects.NO_PONG)
        if now >= self._expires_at:
            return self._shut(disconnects.EXPIRED)
        expired = [name for name, end in (self._sub_expiries or {}).items() if now >= end]
        for name in expired:
            self._expires(name, False, 0, now)
        actions: list[Action] = [Expel(name) for name in expired]
        if now >= self._ping_at:
            actions.append(SendPing())
            self._ping_at = now + self.limits.ping_s
            self._pong_by = now + self.limits.pong_s
        self._set_deadline()
        return actions

    def closed(self) -> list[Channel]:
        """The connection is gone; the channels it was on."""
        self.phase = ConnectionPhase.CLOSED
        self.deadline = NEVER
        left = list(self.channels.values())
        self.channels = {}
        return left

    def _set_deadline(self) -> None:
        self.deadline = min(
            self._ping_at, self._pong_by, self._expires_at, *(self._sub_expiries or {}).values()
        )

    def _shut(self, close: CloseCode) -> list[Action]:
        self.phase = ConnectionPhase.CLOSED
        self.deadline = NEVER
        return [Shut(close)]


def _may(_now: float) -> bool:
    """The default: the commands of a user are not counted."""
    return True


def _whole(ttl_s: float) -> int:
    """A time to live as the protocol tells it: whole seconds, 0 for ever."""
    return 0 if ttl_s == NEVER else max(1, int(ttl_s))


_HANDLERS: dict[str, Callable[[ConnectionState, int, Any], list[Action]]] = {
    "subscribe": ConnectionState._subscribe,
    "unsubscribe": ConnectionState._unsubscribe,
    "publish": ConnectionState._publish,
    "presence": ConnectionState._presence,
    "presence_stats": ConnectionState._presence_stats,
    "history": ConnectionState._history,
    "ping": ConnectionState._ping,
    "rpc": ConnectionState._rpc,
    "refresh": ConnectionState._refresh,
    "sub_refresh": ConnectionState._sub_refresh,
}
