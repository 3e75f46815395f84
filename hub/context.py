"""What the parts of one hub share: made once by the hub's process, handed to every route."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from actors.core.settings import Settings
from actors.ports import Directory
from hub.grants import Grants
from hub.limiter import Limiter
from policy.ports import Decider, Principal, TokenVerifier
from storage.audit_ports import AuditLog
from storage.fleet_ports import ActorStore, HubStore, PolicyStore
from storage.limit_ports import Buckets, SignInStore
from storage.policy_ports import DecisionStore, RevisionStore, ShadowStore
from storage.ports import CameraStore, DeadLetterStore, EventStore, Registry


class HubStores(Protocol):
    """The stores a hub reads and writes."""

    @property
    def cameras(self) -> CameraStore:
        """`storage.ports.CameraStore`."""

    @property
    def events(self) -> EventStore:
        """`storage.ports.EventStore`."""

    @property
    def registry(self) -> Registry:
        """`storage.ports.Registry`."""

    @property
    def dead_letters(self) -> DeadLetterStore:
        """`storage.ports.DeadLetterStore`."""

    @property
    def actors(self) -> ActorStore:
        """`storage.fleet_ports.ActorStore`."""

    @property
    def hubs(self) -> HubStore:
        """`storage.fleet_ports.HubStore`."""

    @property
    def policy(self) -> PolicyStore:
        """`storage.fleet_ports.PolicyStore`."""

    @property
    def revisions(self) -> RevisionStore:
        """`storage.policy_ports.RevisionStore`."""

    @property
    def decisions(self) -> DecisionStore:
        """`storage.policy_ports.DecisionStore`."""

    @property
    def shadows(self) -> ShadowStore:
        """`storage.policy_ports.ShadowStore`."""

    @property
    def audit_log(self) -> AuditLog:
        """`storage.audit_ports.AuditLog`."""

    async def close(self) -> None:
        """Close the connections."""


def _none_revoked(_principal: Principal) -> bool:
    return False


@dataclass(slots=True)
class HubContext:
    """`hub_name` is unique per incarnation of a hub. `revoked` answers from the revocations polled last. Without `buckets` the hub keeps
    the limits by itself."""

    settings: Settings
    stores: HubStores
    verifier: TokenVerifier
    decider: Decider
    directory: Directory
    hub_name: str
    revoked: Callable[[Principal], bool] = _none_revoked
    now_s: Callable[[], float] = time.time
    buckets: Buckets | None = None
    grants: Grants = field(default_factory=Grants)
    sign_ins: SignInStore | None = None
    limiter: Limiter = field(init=False)

    def __post_init__(self) -> None:
        self.limiter = Limiter(self.settings.limits, self.settings.hub.replicas, self.buckets)
