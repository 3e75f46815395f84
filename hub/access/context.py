"""What the parts of one hub share: made once by the hub's process, handed to every route."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from actors.core.settings import Settings
from actors.ports import Directory
from hub.access.grants import Grants
from hub.access.rate_limits import Limiter
from policy.decision.model import Decider, TokenVerifier
from policy.identity.principal import Principal
from policy.identity.revocations import Revocations
from storage.ports.alerts import AlertStore
from storage.ports.audit_log import AuditLog
from storage.ports.background.counts import CountStore
from storage.ports.background.sinks import SinkList
from storage.ports.cameras import CameraStore
from storage.ports.dead_letters import DeadLetterStore
from storage.ports.events import EventStore
from storage.ports.people import PeopleStore
from storage.ports.policy import DecisionStore, PolicyStore, RevisionStore, ShadowStore
from storage.ports.privacy import PrivacyStore
from storage.ports.processes import ActorStore, HubStore
from storage.ports.rate_limits import Buckets, SignInStore
from storage.ports.registry import Registry


class HubStores(Protocol):
    """The stores a hub reads and writes."""

    @property
    def cameras(self) -> CameraStore:
        """`storage.ports.cameras.CameraStore`."""

    @property
    def events(self) -> EventStore:
        """`storage.ports.events.EventStore`."""

    @property
    def counts(self) -> CountStore:
        """`storage.ports.background.counts.CountStore`."""

    @property
    def alerts(self) -> AlertStore:
        """`storage.ports.alerts.AlertStore`."""

    @property
    def registry(self) -> Registry:
        """`storage.ports.registry.Registry`."""

    @property
    def dead_letters(self) -> DeadLetterStore:
        """`storage.ports.dead_letters.DeadLetterStore`."""

    @property
    def actors(self) -> ActorStore:
        """`storage.ports.processes.ActorStore`."""

    @property
    def hubs(self) -> HubStore:
        """`storage.ports.processes.HubStore`."""

    @property
    def policy(self) -> PolicyStore:
        """`storage.ports.policy.PolicyStore`."""

    @property
    def revisions(self) -> RevisionStore:
        """`storage.ports.policy.RevisionStore`."""

    @property
    def decisions(self) -> DecisionStore:
        """`storage.ports.policy.DecisionStore`."""

    @property
    def shadows(self) -> ShadowStore:
        """`storage.ports.policy.ShadowStore`."""

    @property
    def audit_log(self) -> AuditLog:
        """`storage.ports.audit_log.AuditLog`."""

    @property
    def privacy(self) -> PrivacyStore:
        """`storage.ports.privacy.PrivacyStore`."""

    @property
    def sinks(self) -> SinkList:
        """`storage.ports.background.sinks.SinkList`."""

    async def close(self) -> None:
        """Close the connections."""


@dataclass(slots=True)
class HubContext:
    """`hub_name` is unique per incarnation of a hub. `revocations` are those polled last, replaced
    whole. Without `buckets` the hub keeps the limits by itself."""

    settings: Settings
    stores: HubStores
    verifier: TokenVerifier
    decider: Decider
    directory: Directory
    hub_name: str
    revocations: Revocations = field(default_factory=Revocations)
    now_s: Callable[[], float] = time.time
    buckets: Buckets | None = None
    grants: Grants = field(default_factory=Grants)
    sign_ins: SignInStore | None = None
    people: PeopleStore | None = None
    limiter: Limiter = field(init=False)

    def __post_init__(self) -> None:
        self.limiter = Limiter(self.settings.limits, self.settings.hub.replicas, self.buckets)

    def revoked(self, principal: Principal) -> bool:
        """Whether its token, key or certificate was revoked."""
        return not self.revocations.holds(principal)
