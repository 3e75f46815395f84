"""Who may see what on this hub: tokens, decisions, and the view a decision grants. Sockets and REST
ask here alike."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import Literal, TypeGuard

import msgspec

from actors.core.errors import Expired, Forbidden, NotFound, Unauthorized, Unavailable
from hub.access import subscription_options
from hub.access.camera_policy import NO_DECISION, CameraPolicy
from hub.access.grants import Grants
from hub.access.rate_limits import Limiter, place
from hub.access.redaction import NO_RULES, View
from hub.access.refusals import refused
from hub.access.registry_cache import CameraCache
from hub.access.subscription_options import SubscriptionOptions
from hub.protocol import channels
from hub.protocol.channels import Channel
from policy.decision import inputs
from policy.decision.bounds import TRANSIENT
from policy.decision.inputs import Use
from policy.decision.model import Decider, Decision, DecisionInput, TokenVerifier
from policy.identity import sessions
from policy.identity.principal import Principal
from policy.identity.revocations import Revocations
from policy.identity.tokens import claimed_subject
from storage.ports.people import PeopleStore
from storage.ports.registry import CameraRecord

log = logging.getLogger(__name__)

NOT_THERE = "camera {} is not registered, or not yours to see"
TAGS_HOLD_S = 10.0  # a camera that gets or loses a tag is seen in walls that ask for it after that

Redact = tuple[str, ...]  # classes, sorted
LetterAction = Literal["deadletter.read", "deadletter.replay", "deadletter.discard"]
SystemAction = Literal[
    "cluster.read",
    "cluster.operate",
    "job.read",
    "job.operate",
    "sink.read",
    "sink.operate",
    "sink.change",
    "policy.read",
    "policy.change",
    "audit.read",
    "token.revoke",
    "privacy.read",
    "privacy.request",
    "privacy.approve",
    "privacy.hold",
]
CameraAction = (
    Literal["registry.read", "registry.write", "register", "alert.operate"] | LetterAction
)
# Action → the kind of thing it is done to.
SYSTEM: dict[SystemAction, inputs.SystemKind] = {
    "cluster.read": "cluster",
    "cluster.operate": "cluster",
    "job.read": "cluster",
    "job.operate": "cluster",
    "sink.read": "sink",
    "sink.operate": "sink",
    "sink.change": "sink",
    "policy.read": "policy",
    "policy.change": "policy",
    "audit.read": "audit",
    "token.revoke": "policy",
    "privacy.read": "privacy",
    "privacy.request": "privacy",
    "privacy.approve": "privacy",
    "privacy.hold": "privacy",
}


def about_system(action: str) -> TypeGuard[SystemAction]:
    """Whether an action is one that is done to the deployment itself, so that a route can ask for
    it before its handler runs."""
    return action in SYSTEM


class Access:
    """Tokens and decisions. `revocations` are those in force (:meth:`use`)."""

    def __init__(
        self,
        verifier: TokenVerifier,
        decider: Decider,
        cameras: CameraCache,
        limiter: Limiter,
        now_s: Callable[[], float] = time.time,
        grants: Grants | None = None,
        people: PeopleStore | None = None,
    ) -> None:
        """`people`: whose tickets are taken; None takes none."""
        self.revocations = Revocations()
        self.limiter = limiter
        self._people = people
        self.grants = grants if grants is not None else Grants()
        self.now_s = now_s
        self._verifier = verifier
        self._decider = decider
        self._cameras = cameras
        self._single = CameraPolicy(decider)

    def use(self, revocations: Revocations) -> None:
        """These are in force from now on, in place of those before."""
        self.revocations = revocations

    def verify(self, token: object) -> Principal:
        """The user behind a token. Raises Unauthorized or Expired."""
        principal = self._verifier.verify(token, typ="user", now_s=self.now_s())
        self.revocations.require(principal)
        return principal

    async def identify(self, token: object, address: str) -> Principal:
        """The same, with failures of `address` counted. Raises also TooMany, for one too many of
        them."""
        try:
            if sessions.is_ticket(token):
                return await self._ticket_holder(str(token))
            return self.verify(token)
        except Expired:
            await self.limiter.expired(place(address))
            raise
        except Unauthorized:
            await self.limiter.failed(place(address), claimed_subject(token))
            raise

    async def _ticket_holder(self, ticket: str) -> Principal:
        """Who shows a ticket of a session. Asked of the database every time: a session that was
        ended, or a person who was disabled, is nobody from then on."""
        if self._people is None:
            raise Unauthorized("tickets of sessions are not taken here")
        holder = await self._people.holder(
            sessions.hashed(ticket.removeprefix(sessions.TICKET_PREFIX))
        )
        if holder is None:
            raise Expired(
                "the ticket, or its session, is over", hint="Get another one, or sign in."
            )
        principal = sessions.principal_of(holder)
        if not self.revocations.holds(principal):
            raise Unauthorized("the session was ended")
        return principal

    async def identify_request(self, token: object, address: str) -> Principal:
        """The user behind a REST request of `address`, with the request counted. Raises also
        TooMany."""
        self.limiter.check("address_requests", place(address))
        principal = await self.identify(token, address)
        await self.limiter.charge(
            ("user_requests", principal.sub), ("address_requests", place(address))
        )
        return principal

    def ttl_s(self, principal: Principal) -> float:
        """Seconds until its token expires."""
        return principal.exp - self.now_s()

    async def require_connect(self, principal: Principal) -> None:
        """Raises Forbidden (Withdrawn), or Unavailable where no decision can be had."""
        try:
            await self._require(inputs.connect(principal, to="dashboard"))
        except Forbidden as denied:
            raise await self.grants.denial(principal, "connect", "", denied) from denied
        self.grants.note(principal, "connect")

    async def require(
        self,
        action: CameraAction,
        principal: Principal,
        camera: str,
        site: str,
        tags: Sequence[str] = (),
    ) -> Redact:
        """The same for an action on a camera, as it is or would become; the classes that are hidden
        from them."""
        return (
            await self._require(inputs.on_camera(action, principal, camera, site=site, tags=tags))
        ).redact

    async def require_camera(
        self, action: CameraAction, principal: Principal, camera: str, record: CameraRecord | None
    ) -> CameraRecord:
        """`record` when `principal` may do `action` to it. Whoever may not gets the answer for a
        camera that is not there.

        Raises Forbidden, and NotFound to who might do it to a camera at any site.
        """
        if record is not None:
            decision = await self._ask(
                inputs.on_camera(action, principal, camera, site=record.site, tags=record.tags)
            )
            if decision.allow:
                return record
            log.info(
                "%s of camera %s is denied to %s: %s",
                action,
                camera,
                principal.sub,
                decision.reason,
            )
        await self._require(inputs.on_camera(action, principal, camera, site=""))
        raise NotFound(NOT_THERE.format(camera))

    async def require_site(
        self, action: Literal["registry.read", "registry.write"], principal: Principal, site: str
    ) -> None:
        """The same for a whole site."""
        await self._require(inputs.on_site(action, principal, site))

    async def require_fleet(self, action: LetterAction, principal: Principal) -> Redact:
        """The same for what names no camera."""
        return (await self._require(inputs.on_fleet(action, principal))).redact

    async def require_system(self, action: SystemAction, principal: Principal) -> None:
        """The same for the deployment itself."""
        await self._require(inputs.on_system(action, principal, SYSTEM[action]))

    async def view(
        self,
        use: Use,
        principal: Principal,
        channel: Channel,
        options: SubscriptionOptions = subscription_options.NONE,
    ) -> tuple[View, float | None]:
        """The view that `principal` gets of `channel`, and until when (seconds since 1970) it holds
        without asking again.

        `options` narrows it; which cameras carry the tags it names is looked up again after
        :data:`TAGS_HOLD_S`.

        Raises Forbidden (Withdrawn), Unavailable, and NotFound (Vanished) as :meth:`require_camera`
        does.
        """
        try:
            decision = await self._decision(use, principal, channel)
        except (Forbidden, NotFound) as denied:
            raise await self.grants.denial(principal, "see", channel.name, denied) from denied
        self.grants.note(principal, "see", channel.name)
        until, exclude, rules = decision.valid_until, frozenset[str](), NO_RULES
        if channel.scope in ("site", "fleet"):
            # Deleted ones too: what is left of them is seen by nobody who might not see them
            # before.
            records = await self._cameras.ever(channel.target or None)
            ruling = await self._single.ruling(
                use, principal, channel.target, decision, records, self.now_s()
            )
            until, exclude, rules = ruling.until, ruling.exclude, ruling.rules
        view = View(
            tuple(sorted(decision.redact)),
            exclude,
            decision.max_hz,
            limit_hz=decision.max_hz,
            rules=rules,
        )
        if options == subscription_options.NONE:
            return view, until
        records = await self._cameras.ever(channel.target or None) if options.tags else []
        again = self.now_s() + TAGS_HOLD_S
        return subscription_options.narrowed(view, options, channel, records), (
            again if until is None else min(until, again)
        ) if options.tags else until

    async def require_cameras(self, principal: Principal, site: str) -> None:
        """Raises NotFound where `principal` sees no camera of a site on its wall: hidden ones are
        answered as none.

        Raises also what :meth:`view` raises.
        """
        records = await self._cameras.cameras(site)  # first: policy is asked about no fewer
        view, _ = await self.view("subscribe", principal, channels.parse(channels.site(site)))
        if all(record.camera in view.exclude for record in records):
            raise NotFound(f"site {site} has no cameras, or none that is yours to see")

    async def told(
        self,
        principal: Principal,
        channel: Channel,
        cameras: Collection[str],
        options: SubscriptionOptions = subscription_options.NONE,
    ) -> View:
        """The view of what has happened on a channel, told by events of `cameras`. Those that never
        belonged to it are left out.

        Raises what :meth:`view` raises.
        """
        strangers = frozenset[str]()
        if channel.scope in ("site", "fleet"):  # first: whoever is new is asked about then
            strangers = await self._cameras.strangers(channel.target or None, cameras)
        view, _ = await self.view("history", principal, channel, options)
        return (
            msgspec.structs.replace(view, exclude=view.exclude | strangers) if strangers else view
        )

    async def past(
        self,
        principal: Principal,
        channel: Channel,
        options: SubscriptionOptions,
        cameras: Collection[str] = (),
    ) -> View | None:
        """:meth:`told`, None for who may only look on from now: a recovery asks what history
        asks."""
        try:
            return await self.told(principal, channel, cameras, options)
        except (Forbidden, NotFound):
            return None

    async def _decision(self, use: Use, principal: Principal, channel: Channel) -> Decision:
        if channel.scope == "cluster":
            return await self._require(inputs.on_system("cluster.read", principal, "cluster"))
        record = await self._cameras.camera(channel.target) if channel.scope == "camera" else None
        if record is not None:
            question = inputs.on_channel(
                use, principal, channel.scope, channel.target, site=record.site, tags=record.tags
            )
            decision = await self._ask(question)
            if decision.allow:
                return decision
            log.info(
                "%s of camera %s is denied to %s: %s",
                use,
                channel.target,
                principal.sub,
                decision.reason,
            )
        decision = await self._require(
            inputs.on_channel(use, principal, channel.scope, channel.target)
        )
        if channel.scope == "camera":
            raise NotFound(NOT_THERE.format(channel.target))
        return decision

    async def _require(self, question: DecisionInput) -> Decision:
        decision = await self._ask(question)
        if not decision.allow:
            raise refused(question, decision)
        return decision

    async def _ask(self, question: DecisionInput) -> Decision:
        decision = await self._decider.decide(question)
        if not decision.allow and decision.reason in TRANSIENT:
            raise Unavailable(NO_DECISION)
        return decision
