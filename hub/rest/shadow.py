"""What a revision would change, and what was decided, by REST: ``/v1/policy/shadow`` and
``/v1/policy/decisions``."""

import logging
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import Conflict, NotFound
from actors.core.times import rfc3339
from hub.web import endpoint
from policy.audit import Auditor
from policy.identity.principal import Principal
from storage.ports.policy import DecisionRow, DecisionStore, ShadowStore

NEWEST = 2**62
BACK = 10_000  # rows of the log that a new shadow looks back on

log = logging.getLogger("eyrie.hub.policy")


class StartShadow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The revision to compare with the one in force."""

    revision: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Shadows:
    """The handlers."""

    def __init__(self, shadows: ShadowStore, decisions: DecisionStore, auditor: Auditor) -> None:
        self._shadows = shadows
        self._decisions = decisions
        self._auditor = auditor

    async def report(self, request: Request, principal: Principal) -> Response:
        """What the shadow of ``?revision=`` (without: the running one) decides otherwise, by kind,
        action, role and site."""
        return endpoint.answer(await self._report(request.query_params.get("revision", "")))

    async def start(self, request: Request, principal: Principal) -> Response:
        """Compare a revision from now on, and with what the log holds. 409 while another one is
        compared."""
        asked = await endpoint.body(request, StartShadow)
        audit = self._auditor.record(principal, "policy.shadow_start", asked.revision)
        try:
            await self._shadows.start(asked.revision, principal.sub, back=BACK, audit=audit)
        except Conflict as error:
            raise Conflict(
                "another revision is compared, or there is no such one",
                hint="`eyrie policy list` shows them.",
            ) from error
        log.info(
            "policy: shadow of revision %s started by %s (token %s)",
            asked.revision[:12],
            principal.sub,
            principal.jti,
        )
        return endpoint.answer(await self._report(asked.revision))

    async def stop(self, request: Request, principal: Principal) -> Response:
        """End the running one; its report stays."""
        running = await self._shadows.find()
        if running is None or not await self._shadows.end(
            running.revision,
            audit=self._auditor.record(principal, "policy.shadow_end", running.revision),
        ):
            raise NotFound("no shadow runs")
        log.info(
            "policy: shadow of revision %s ended by %s (token %s)",
            running.revision[:12],
            principal.sub,
            principal.jti,
        )
        return endpoint.answer(await self._report(running.revision))

    async def decisions(self, request: Request, principal: Principal) -> Response:
        """The log, newest first, a page at a time: ``?before=&limit=``."""
        limit = endpoint.limit_of(request)
        rows = await self._decisions.before(endpoint.number(request, "before", NEWEST), limit)
        return endpoint.answer(
            {"decisions": [_decision(row) for row in rows]}
            | ({"next": rows[-1].id} if len(rows) == limit else {})
        )

    async def _report(self, revision: str) -> dict[str, Any]:
        found = await self._shadows.find(revision)
        if found is None:
            raise NotFound(
                "no shadow runs" if not revision else f"revision {revision[:12]} was never compared"
            )
        flips = [
            {**msgspec.structs.asdict(flip), "example": msgspec.Raw(flip.example.encode())}
            for flip in await self._shadows.flips(found.revision)
        ]
        return {
            "revision": found.revision,
            "author": found.author,
            "started": rfc3339(found.started_us),
            "ended": None if found.ended_us is None else rfc3339(found.ended_us),
            "error": found.error,
            "evaluated": found.evaluated,
            "flips": flips,
        }


def _decision(row: DecisionRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "time": rfc3339(row.time_us),
        "revision": row.revision,
        "action": row.action,
        "role": row.role,
        "site": row.site,
        "allow": row.allow,
        "rule": row.rule,
        "obligations": msgspec.Raw(row.obligations.encode()),
        "input_hash": row.input_hash.hex(),
        "input": msgspec.Raw(row.input.encode()),
        "dropped": row.dropped,
    }
