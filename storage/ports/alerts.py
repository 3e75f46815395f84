"""What is asked of storage about alerts. The condition of a point is written by the commit of its
camera (`storage.ports.cameras`); here it is read, and what people do about it is kept."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from actors.core.severity import Severity
from storage.ports.policy import Audit

Act = Literal["acknowledge", "confirm", "assign", "verdict", "note", "shelve", "unshelve", "clear"]
Verdict = Literal["true", "false", "test", "nuisance"]


class AlertWork(msgspec.Struct, frozen=True):
    """What people did about a point. `acknowledged` and `confirmed` are occurrences, 0: never;
    `version` grows with every act."""

    version: int = 0
    acknowledged: int = 0
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    confirmed: int = 0
    confirmed_by: str | None = None
    assignee: str | None = None
    verdict: Verdict | None = None
    shelved_until: datetime | None = None
    shelved_by: str | None = None
    shelved_reason: str | None = None


class AlertRow(msgspec.Struct, frozen=True):
    """A point: the rule of a camera's scene at `place` (a zone, a line, or empty), and the work on
    it. `now`: the database's clock when it was read."""

    camera: str
    rule: str
    place: str
    site: str
    severity: Severity
    active: bool
    occurrences: int
    since: datetime
    cause: str
    changed: datetime
    work: AlertWork
    now: datetime


class AlertActed(msgspec.Struct, frozen=True):
    """One act of the log."""

    number: int
    occurrence: int
    act: Act
    who: str
    note: str
    at: datetime


class AlertStore(Protocol):
    """Alerts and the work on them."""

    async def select(
        self,
        *,
        camera: str | None = None,
        site: str | None = None,
        exclude: Sequence[str] = (),
        every: bool = False,
        limit: int,
    ) -> list[AlertRow]:
        """Those that need somebody (raised, or over and not acknowledged), or `every` one; the
        worst first, then the oldest. Deleted cameras have none, nor has a camera at a site that it
        has left."""

    async def read(self, camera: str, rule: str, place: str) -> AlertRow | None:
        """One point; None also where `select` would leave its camera out."""

    async def acts(self, camera: str, rule: str, place: str, limit: int) -> list[AlertActed]:
        """What was done about it, the newest first."""

    async def act(
        self,
        camera: str,
        rule: str,
        place: str,
        decide: Callable[[AlertRow], AlertWork],
        *,
        act: Act,
        who: str,
        note: str,
        audit: Audit | None,
    ) -> AlertRow | None:
        """Write what `decide` makes of the point, which nobody else changes meanwhile, with its
        entries in the log and, by `audit`, in the audit log: all or nothing. None: there is no such
        point. What `decide` raises is raised."""
