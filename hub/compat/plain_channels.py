"""Plain channels of one hub (`hub.compat.profile`): subscribe with recovery, publish, presence,
joins and leaves.

The subscribe race is closed as everywhere here: buffer what comes, read history, merge, answer,
release. What arrives out of its turn ends the subscriptions of the channel with 2500 (3010 for
those the server made), and the clients recover.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

import msgspec

from actors.core.errors import BadInput, Expired, EyrieError, NotFound, Unauthorized
from actors.core.task_set import TaskSet
from hub.compat import envelopes
from hub.compat.envelopes import (
    ORDERS,
    ConnectionOrder,
    Envelope,
    HistoryPage,
    Member,
    on_one_line,
    opened,
    order,
    publication_of,
)
from hub.compat.profile import NamespaceOptions, Profile
from hub.compat.tokens import LooseClaims, LooseVerifier, ServerSub
from hub.dashboards.actions import Action, Fail, Join, Operate, ReadHistory, SendReply, Shut
from hub.dashboards.connection import Dashboard
from hub.fanout import recovery
from hub.fanout.joining import Joining
from hub.fanout.recovery import Item
from hub.protocol import disconnects, errors
from hub.protocol.disconnects import CloseCode
from hub.protocol.messages import (
    ClientInfo,
    Empty,
    HistoryRequest,
    InfoPush,
    PresenceResult,
    PresenceStatsResult,
    Raw,
    SubRefreshResult,
    SubscribeRequest,
    SubscribeResult,
)
from policy.identity.principal import Principal
from storage.redis.plain_channels import RedisChannels

log = logging.getLogger(__name__)

RENEW_S = 25.0  # presence entries hold for 60
MAX_READ = 300  # publications in one answer
NEVER = 2**40  # seconds since 1970


class _Topic:
    """One channel on this hub: its members and the offset each of them has, and the buffers of
    subscribes under way."""

    __slots__ = ("epoch", "joining", "members", "offset")

    def __init__(self) -> None:
        self.epoch = ""
        self.offset = 0
        self.members: dict[Dashboard, int] = {}
        self.joining: Joining[tuple[str, Item]] = Joining()


class PlainChannels:
    """See the module. `arrived` and `lost` are for the store's listener."""

    def __init__(self, profile: Profile, store: RedisChannels) -> None:
        self.profile = profile
        self.topics: dict[str, _Topic] = {}
        self._store = store
        self._verifier = LooseVerifier(profile.secret)
        self._users: dict[Dashboard, Member] = {}
        self._tasks = TaskSet(log)

    # connections

    def principal(self, token: str) -> tuple[Principal, LooseClaims, float] | None:
        """Who a loose token names, as policy sees it, what it says, and for how many seconds; None
        when it is none. Raises Expired.

        Where the profile is insecure a token that was good at the connect is good for ever, as with
        Centrifugo.
        """
        if not token:
            return (
                (_principal("", 0), LooseClaims(), float("inf")) if self.profile.insecure else None
            )
        try:
            claims = self._verifier.verify(token, time.time())
        except Expired:
            raise
        except Unauthorized:
            return None
        if claims.channel:
            return None
        ttl_s = (
            claims.exp - time.time() if claims.exp and not self.profile.insecure else float("inf")
        )
        return _principal(claims.sub, claims.exp), claims, ttl_s

    async def entered(
        self, dashboard: Dashboard, claims: LooseClaims, asked: dict[str, SubscribeRequest]
    ) -> dict[str, SubscribeResult]:
        """A connection is authorized: its server-side subscriptions. Raises Unavailable; NotFound
        for one that is not plain."""
        given = claims.given
        for name in given:
            if self.profile.parse(name).lane != "plain":
                raise NotFound(f"{name[:80]!r} is no plain channel")
        if self.profile.personal and claims.sub:
            given = {f"#{claims.sub}": ServerSub()} | given
        places = {
            name: on_one_line(bytes(sub.info)) for name, sub in given.items() if bytes(sub.info)
        }
        said = on_one_line(bytes(claims.info)) if bytes(claims.info) else b""
        self._users[dashboard] = Member(claims.sub, said, places, frozenset(given))
        await self._store.watch(ORDERS)
        started = {
            name: await self._start(dashboard, name, asked.get(name, SubscribeRequest()))
            for name in given
        }
        for name, sub in given.items():
            if bytes(sub.data):
                started[name].data = Raw(on_one_line(bytes(sub.data)))
        return started

    def knows(self, dashboard: Dashboard) -> bool:
        """Whether the connection came in by a loose token: then the profile alone says what it may,
        and no policy."""
        return dashboard in self._users

    def left(self, dashboard: Dashboard) -> None:
        """A connection has ended."""
        for name in [name for name, topic in self.topics.items() if dashboard in topic.members]:
            self.leave(dashboard, name)
        self._users.pop(dashboard, None)

    # what clients ask

    async def join(self, dashboard: Dashboard, action: Join) -> list[Action]:
        """A subscription with its token. Raises Unavailable."""
        if self.profile.insecure and not action.request.token:
            return dashboard.session.joined(
                action,
                await self._start(dashboard, action.channel.name, action.request),
                time.monotonic(),
            )
        claims = self._claims(action.request.token)
        if isinstance(claims, errors.ReplyError):
            return [Fail(action.id, claims)]
        member = self._users.get(dashboard)
        if member is None or claims.channel != action.channel.name or claims.sub != member.user:
            return [Shut(disconnects.INVALID_TOKEN)]
        if bytes(claims.info):
            member.places[action.channel.name] = on_one_line(bytes(claims.info))
        result = await self._start(dashboard, action.channel.name, action.request)
        if claims.exp:
            result.expires, result.ttl = True, max(1, int(claims.exp - time.time()))
        return dashboard.session.joined(action, result, time.monotonic())

    def _claims(self, token: str) -> "LooseClaims | errors.ReplyError":
        try:
            claims = self._verifier.verify(token, time.time())
        except Expired:
            return errors.TOKEN_EXPIRED
        except Unauthorized:
            return errors.PERMISSION_DENIED
        return claims if claims.channel else errors.PERMISSION_DENIED

    async def history(self, dashboard: Dashboard, action: ReadHistory) -> list[Action]:
        """Read a channel. Raises Unavailable."""
        found = await self.read(action.channel.name, action.request)
        if found is None:
            return [Fail(action.id, errors.UNRECOVERABLE_POSITION)]
        if _unfit(dashboard, found.envelopes):
            return [Shut(disconnects.INAPPROPRIATE_PROTOCOL)]
        return [SendReply(action.id, "history", found.result())]

    async def operate(self, dashboard: Dashboard, action: Operate) -> list[Action]:
        """Publish, presence, sub_refresh. Raises Unavailable."""
        name, member = action.channel, self._users.get(dashboard, Member())
        if action.method == "publish":
            try:
                await self.publish(
                    name,
                    bytes(action.data),
                    member,
                    dashboard.session.client,
                    may_be_binary=dashboard.codec.binary,
                )
            except BadInput as error:
                return [Fail(action.id, errors.of(error))]
            return [SendReply(action.id, "publish", Empty())]
        if action.method == "sub_refresh":
            claims = self._claims(action.token) if action.token else errors.BAD_REQUEST
            if isinstance(claims, errors.ReplyError) and claims != errors.PERMISSION_DENIED:
                return [Fail(action.id, claims)]
            if (
                isinstance(claims, errors.ReplyError)
                or claims.channel != name
                or claims.sub != member.user
            ):
                return [Shut(disconnects.INVALID_TOKEN)]
            result = SubRefreshResult(
                bool(claims.exp), max(1, int(claims.exp - time.time())) if claims.exp else 0
            )
            return dashboard.session.sub_renewed(action.id, name, result, time.monotonic())
        present = await self.present(name)
        return [
            SendReply(
                action.id,
                action.method,
                PresenceResult(present) if action.method == "presence" else stats(present),
            )
        ]

    # what the server API asks as well

    async def publish(
        self,
        name: str,
        data: bytes,
        member: Member | None = None,
        client: str = "",
        *,
        may_be_binary: bool = False,
    ) -> tuple[str, int]:
        """Publish JSON, or any bytes where they `may_be_binary`; (epoch, offset). Raises BadInput,
        Unavailable."""
        options = self.profile.options(name)
        envelope = msgspec.msgpack.encode(
            publication_of(member or Member(), client, name, data, may_be_binary=may_be_binary)
        )
        return await self._store.publish(
            name, envelope, size=options.history_size, ttl_s=options.history_ttl_s
        )

    async def read(self, name: str, asked: HistoryRequest) -> HistoryPage | None:
        """A page of history; None when `since` is of another epoch. Raises Unavailable."""
        limit = MAX_READ if asked.limit < 0 else min(asked.limit, MAX_READ)
        since = asked.since.offset if asked.since is not None else None
        after, before = (since or 0, None) if not asked.reverse else (0, since or None)
        epoch, top, found = await self._store.history(
            name, after=after, before=before, limit=limit, newest_first=asked.reverse
        )
        if asked.since is not None and asked.since.epoch not in ("", epoch):
            return None
        return HistoryPage(
            epoch, top, [kept.offset for kept in found], [opened(kept.envelope) for kept in found]
        )

    async def present(self, name: str) -> dict[str, ClientInfo]:
        """Who is on a channel, on any hub. Raises Unavailable."""
        return {
            client: envelopes.found(client, kept)
            for client, kept in (await self._store.present(name)).items()
        }

    async def order(self, wanted: ConnectionOrder) -> None:
        """Have every hub obey. Raises Unavailable or UnknownOutcome."""
        await self._store.publish(ORDERS, msgspec.msgpack.encode(wanted), size=0, ttl_s=1)

    async def forget_history(self, name: str) -> None:
        """Empty a channel's history; its numbering goes on. Raises Unavailable."""
        await self._store.forget(name)

    def count(self) -> tuple[int, int, int]:
        """(connections, users, channels) on this hub."""
        return (
            len(self._users),
            len({member.user for member in self._users.values()}),
            len(self.topics),
        )

    def _obey(self, wanted: ConnectionOrder) -> None:
        for dashboard in [
            found for found, member in self._users.items() if member.user == wanted.user
        ]:
            if wanted.client not in ("", dashboard.session.client):
                continue
            if wanted.kind == "unsubscribe":
                dashboard.unsubscribe(wanted.channel, disconnects.UNSUBSCRIBED_BY_SERVER)
            else:
                dashboard.drop(CloseCode(wanted.code, wanted.reason))

    # subscribing

    async def _start(
        self, dashboard: Dashboard, name: str, asked: SubscribeRequest
    ) -> SubscribeResult:
        options = self.profile.options(name)
        topic = self.topics.setdefault(name, _Topic())
        try:
            with topic.joining.buffer() as buffer:
                await self._store.watch(name)
                start = await self._position(name, asked, options, buffer)
        finally:
            self._forget_idle(name)
        topic = self.topics.setdefault(name, topic)
        if not dashboard.closing:
            topic.members[dashboard] = start.position
        if topic.epoch != start.epoch:
            topic.epoch, topic.offset = start.epoch, start.position
        topic.offset = max(topic.offset, start.position)
        self._later(self._appeared(dashboard, name, options))
        came = [opened(item.body) for item in start.publications]
        if _unfit(dashboard, came):
            dashboard.drop(disconnects.INAPPROPRIATE_PROTOCOL)
            came = []
        pairs = zip(came, start.publications, strict=False)
        shown = [envelope.publication(item.offset) for envelope, item in pairs]
        positioned = options.history_size > 0
        return SubscribeResult(
            recoverable=positioned,
            positioned=positioned,
            epoch=start.epoch,
            offset=start.offset,
            publications=shown,
            recovered=start.recovered,
            was_recovering=asked.recover,
        )

    async def _position(
        self,
        name: str,
        asked: SubscribeRequest,
        options: NamespaceOptions,
        buffer: list[tuple[str, Item]],
    ) -> recovery.Start:
        if not options.history_size:
            return recovery.Start(False, "", 0, 0)
        limit = recovery.MAX_RECOVERED + 1 if asked.recover else 0
        epoch, top, found = await self._store.history(name, after=asked.offset, limit=limit)
        fresh = [item for item_epoch, item in buffer if item_epoch == epoch]
        top = max([top, *(item.offset for item in fresh)])
        if not asked.recover:
            return recovery.fresh(epoch, top)
        merged = recovery.merge(
            [Item(kept.offset, kept.envelope) for kept in found], fresh, asked.offset
        )
        return recovery.recover(asked.epoch, asked.offset, epoch, top, merged or [])

    async def _appeared(self, dashboard: Dashboard, name: str, options: NamespaceOptions) -> None:
        member, client = self._users.get(dashboard, Member()), dashboard.session.client
        if options.presence and self._is_member(dashboard, name):
            await self._store.appear(name, {client: member.present(name)})
        if options.join_leave:
            await self._announce(name, member.envelope("join", client, name))

    def _is_member(self, dashboard: Dashboard, name: str) -> bool:
        topic = self.topics.get(name)
        return topic is not None and dashboard in topic.members

    def leave(self, dashboard: Dashboard, name: str) -> None:
        """A subscription has ended."""
        topic = self.topics.get(name)
        if topic is None or topic.members.pop(dashboard, None) is None:
            return
        self._forget_idle(name)
        self._later(
            self._vanished(self._users.get(dashboard, Member()), dashboard.session.client, name)
        )

    async def _vanished(self, member: Member, client: str, name: str) -> None:
        options = self.profile.options(name)
        if options.presence:
            await self._store.vanish(name, client)
        if options.join_leave:
            await self._announce(name, member.envelope("leave", client, name))
        if name not in self.topics:
            await self._store.unwatch(name)

    def _forget_idle(self, name: str) -> None:
        topic = self.topics.get(name)
        if topic is not None and not topic.members and not topic.joining:
            del self.topics[name]

    async def _announce(self, name: str, envelope: Envelope) -> None:
        await self._store.publish(name, msgspec.msgpack.encode(envelope), size=0, ttl_s=1)

    # what arrives

    def arrived(self, name: str, offset: int, epoch: str, body: bytes) -> None:
        """Something was published in a channel that this hub listens to."""
        if name == ORDERS:
            self._obey(order(body))
            return
        topic = self.topics.get(name)
        if topic is None:
            return
        if not offset:
            self._pass_on(name, topic, body, 0)
            return
        topic.joining.publish((epoch, Item(offset, body)))
        if not topic.members or (
            epoch == topic.epoch and offset <= topic.offset and max(topic.members.values()) < offset
        ):
            return
        if epoch != topic.epoch or offset > topic.offset + 1:
            self._evict(name, topic)
            return
        topic.offset = max(topic.offset, offset)
        self._pass_on(name, topic, body, offset)

    def lost(self) -> None:
        """The listener has lost its connection: everybody recovers."""
        for name, topic in list(self.topics.items()):
            self._evict(name, topic)

    def _evict(self, name: str, topic: _Topic) -> None:
        for dashboard in list(topic.members):
            if name in self._users.get(dashboard, Member()).given:
                dashboard.drop(disconnects.INSUFFICIENT_STATE)
            else:
                dashboard.unsubscribe(name, disconnects.UNSUBSCRIBED_INSUFFICIENT_STATE)

    def _pass_on(self, name: str, topic: _Topic, body: bytes, offset: int) -> None:
        envelope = opened(body)
        message: msgspec.Struct = (
            envelope.publication(offset)
            if envelope.kind == "pub"
            else InfoPush(envelope.info or ClientInfo("", ""))
        )
        payloads: dict[str, bytes] = {}
        for dashboard, position in list(topic.members.items()):
            if offset and position >= offset:
                continue
            if _unfit(dashboard, [envelope]):
                dashboard.drop(disconnects.INAPPROPRIATE_PROTOCOL)
                continue
            if offset:
                topic.members[dashboard] = offset
            codec = dashboard.codec
            if codec.name not in payloads:
                payloads[codec.name] = codec.push(name, envelope.kind, message)
            dashboard.send(payloads[codec.name])

    # time

    async def run(self) -> None:
        """Renew who is present again and again, until cancelled."""
        while True:
            self._renew()
            await asyncio.sleep(RENEW_S)

    def _renew(self) -> None:
        for name, topic in self.topics.items():
            if topic.members and self.profile.options(name).presence:
                there = {
                    known.session.client: self._users.get(known, Member()).present(name)
                    for known in topic.members
                }
                self._later(self._store.appear(name, there))

    async def close(self) -> None:
        """Wait for what is under way; the store bounds it."""
        await self._tasks.join()

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.spawn(_or_log(work), "plain-channel")


async def _or_log(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except EyrieError as error:
        log.info("presence or a join could not be told: %s", error)


def _principal(user: str, expires: float) -> Principal:
    return Principal(
        user or "anonymous", "compatibility", "user", 0, int(expires or NEVER), (), (), None, ()
    )


def _unfit(dashboard: Dashboard, envelopes: list[Envelope]) -> bool:
    """Whether a client of JSON cannot have these."""
    return not dashboard.codec.binary and any(envelope.binary for envelope in envelopes)


def stats(present: dict[str, ClientInfo]) -> PresenceStatsResult:
    """Counts of who is there."""
    return PresenceStatsResult(len(present), len({info.user for info in present.values()}))
