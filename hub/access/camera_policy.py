"""What policy says of the single cameras that a site or the fleet shows: one question per
(permissions, camera), never one less.

A denial, a class to hide or a rate that binds one camera binds it on walls and in events of sites
as well. The answers are kept as one value per (permissions, channel), for as long as the channel's
own decision and the cameras asked about are the same: ten thousand dashboards with equal
permissions cost one round of questions, and share their view.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from actors.core.errors import Unavailable
from hub.access.redaction import NO_RULES, CameraRules, Rule
from policy.decision import inputs
from policy.decision.bounds import TRANSIENT, UNCACHED
from policy.decision.enforcer import ASKED_AT_ONCE
from policy.decision.inputs import Use
from policy.decision.model import Decider, Decision
from policy.identity.principal import Principal
from storage.ports.registry import CameraRecord

MAX_KEPT = 2_000  # (permissions, channel) pairs
NO_DECISION = "no decision can be had now; access is denied until it can"


class Ruling(msgspec.Struct, frozen=True):
    """The cameras that are not shown, what binds others, and until when (seconds since 1970) that
    holds; None: as long as its policy."""

    exclude: frozenset[str] = frozenset()
    rules: CameraRules = NO_RULES
    until: float | None = None


class _Kept(msgspec.Struct):
    base: Decision
    records: Sequence[CameraRecord]
    ruling: Ruling


class CameraPolicy:
    """Over what decides. Use it in one event loop only."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        self._kept: OrderedDict[tuple[object, ...], _Kept] = OrderedDict()

    async def ruling(
        self,
        use: Use,
        principal: Principal,
        target: str,
        base: Decision,
        records: Sequence[CameraRecord],
        now_s: float,
    ) -> Ruling:
        """What binds `records`, the cameras of the site `target` (empty: of the fleet), beyond
        `base`, the decision about all of it.

        Raises Unavailable where one decision cannot be had.
        """
        key = (
            use,
            target,
            principal.typ,
            principal.roles,
            principal.sites,
            principal.cameras,
            principal.scopes,
        )
        kept = self._kept.get(key)
        # A decider that has a new policy, or no longer knows, makes a new decision about the
        # channel too.
        if (
            kept is not None
            and kept.base is base
            and (kept.ruling.until is None or now_s < kept.ruling.until)
            and _same(kept, records)
        ):
            kept.records = records
            self._kept.move_to_end(key)
            return kept.ruling
        ruling, lasting = await self._ask(use, principal, base, records)
        if lasting:
            self._kept[key] = _Kept(base, records, ruling)
            self._kept.move_to_end(key)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return ruling

    async def _ask(
        self, use: Use, principal: Principal, base: Decision, records: Sequence[CameraRecord]
    ) -> tuple[Ruling, bool]:
        """The ruling, and whether it may be kept: not when a decision in it is by another policy,
        or is none."""
        exclude, rules, until, lasting = set[str](), dict[str, Rule](), base.valid_until, True
        for start in range(0, len(records), ASKED_AT_ONCE):
            batch = records[start : start + ASKED_AT_ONCE]
            asked = [
                inputs.on_channel(use, principal, "camera", r.camera, site=r.site, tags=r.tags)
                for r in batch
            ]
            for record, decision in zip(
                batch, await asyncio.gather(*map(self._decider.decide, asked)), strict=True
            ):
                if decision.reason in TRANSIENT:
                    raise Unavailable(NO_DECISION)
                lasting &= decision.revision == base.revision and decision.reason not in UNCACHED
                if decision.valid_until is not None:
                    until = (
                        decision.valid_until if until is None else min(until, decision.valid_until)
                    )
                if not decision.allow:
                    exclude.add(record.camera)
                elif (rule := _beyond(base, decision)) is not None:
                    rules[record.camera] = rule
        return Ruling(frozenset(exclude), CameraRules(rules) if rules else NO_RULES, until), lasting


def _beyond(base: Decision, decision: Decision) -> Rule | None:
    """What binds a camera more than its channel; both hold."""
    redact = tuple(sorted({*base.redact, *decision.redact}))
    slower = decision.max_hz is not None and (base.max_hz is None or decision.max_hz < base.max_hz)
    if redact == tuple(sorted(base.redact)) and not slower:
        return None
    return Rule(redact, decision.max_hz if slower else base.max_hz)


def _same(kept: _Kept, records: Sequence[CameraRecord]) -> bool:
    """Whether policy would be asked the same about these cameras."""
    if kept.records is records:
        return True
    return len(kept.records) == len(records) and all(
        a.camera == b.camera and a.site == b.site and a.tags == b.tags
        for a, b in zip(kept.records, records, strict=True)
    )
