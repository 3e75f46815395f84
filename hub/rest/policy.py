"""Policy as a product, by REST: ``/v1/policy`` and below. Reading is the action `policy.read`,
changing `policy.change`."""

import logging
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import BadInput, Conflict, NotFound, Unavailable
from actors.core.times import rfc3339
from hub.access.context import HubContext
from hub.rest import audit_log, shadow
from hub.rest.people import revocations as revocation_routes
from hub.web import endpoint
from hub.web.endpoint import Handler
from policy.actor import revisions
from policy.audit import Auditor
from policy.engine import review, sandbox
from policy.identity.principal import Principal
from storage.ports.policy import DecisionStore, PolicyActivation, RevisionRecord, RevisionStore

NEWEST = 2**62
HEX = frozenset("0123456789abcdef")

log = logging.getLogger("eyrie.hub.policy")


class NewRevision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """File name → Rego text, and what it is for."""

    modules: dict[str, str]
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Activate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`lock_out`: go on even when the revision takes the right to change the policy away from who
    asks."""

    lock_out: bool = False


class Policies:
    """The handlers. Without the auditor's key nothing can be changed here."""

    def __init__(self, store: RevisionStore, decisions: DecisionStore, auditor: Auditor) -> None:
        self._store = store
        self._decisions = decisions
        self._auditor = auditor

    async def show(self, request: Request, principal: Principal) -> Response:
        """What is in force, with its ETag."""
        current = await self._store.current()
        return endpoint.answer(
            _activation(current), version=0 if current is None else current.generation
        )

    async def list(self, request: Request, principal: Principal) -> Response:
        """Revisions, newest first, a page at a time: ``?before=&limit=``."""
        limit = endpoint.limit_of(request)
        records = await self._store.list(
            before=endpoint.number(request, "before", NEWEST), limit=limit
        )
        current = await self._store.current()
        found = [_revision(record, current) for record in records]
        return endpoint.answer(
            {"revisions": found} | ({"next": records[-1].number} if len(records) == limit else {})
        )

    async def read(self, request: Request, principal: Principal) -> Response:
        """One revision with its modules."""
        record = await self._record(request)
        return endpoint.answer(
            _revision(record, await self._store.current())
            | {"modules": revisions.unpack(record, self._auditor.key())}
        )

    async def upload(self, request: Request, principal: Principal) -> Response:
        """Keep a revision that passes lint and trial: 201, or 200 when it is there. 400 says what
        to mend. It is not in force by that."""
        new = await endpoint.body(request, NewRevision)
        revisions.check(new.modules)
        await sandbox.bounded(new.modules, review.at_load())
        record = revisions.signed(
            new.modules, self._auditor.key(), author=principal.sub, note=new.note
        )
        audit = self._auditor.record(principal, "policy.upload", record.revision, new.note)
        added = await self._store.add(record, audit=audit)
        found = await self._store.get(record.revision)
        if found is None:
            raise Unavailable("the revision cannot be read back")
        if added:
            log.info(
                "policy: revision %s uploaded by %s (token %s)",
                record.revision[:12],
                principal.sub,
                principal.jti,
            )
        answered = _revision(found, await self._store.current())
        return endpoint.answer(
            answered,
            status=201 if added else 200,
            location=f"/v1/policy/revisions/{record.revision}",
        )

    async def activate(self, request: Request, principal: Principal) -> Response:
        """Put a revision in force; If-Match with the ETag of ``/v1/policy``."""
        asked = await endpoint.body(request, Activate)
        return await self._change(
            request, principal, await self._record(request), asked, "policy.activate"
        )

    async def rollback(self, request: Request, principal: Principal) -> Response:
        """Put the revision in force that was before; If-Match likewise."""
        asked = await endpoint.body(request, Activate)
        current = await self._store.current()
        record = (
            None
            if current is None or current.previous is None
            else await self._store.get(current.previous)
        )
        if record is None:
            raise Conflict(
                "there is no revision before this one", hint="Activate another one by its name."
            )
        return await self._change(request, principal, record, asked, "policy.rollback")

    async def _change(
        self,
        request: Request,
        principal: Principal,
        record: RevisionRecord,
        asked: Activate,
        action: str,
    ) -> Response:
        current = await self._store.current()
        generation = 0 if current is None else current.generation
        endpoint.require_match(request, generation)
        key = self._auditor.key()
        about = review.at_activation(
            principal, await self._decisions.before(NEWEST, review.LOG_ROWS)
        )
        lost = review.lost(await sandbox.bounded(revisions.unpack(record, key), about))
        if lost and not asked.lock_out:
            raise Conflict(
                f"under this revision you could not do {' and '.join(lost)} any more",
                hint="Say `lock_out: true` if that is what you want.",
            )
        new = revisions.activation(current, record.revision, key, author=principal.sub)
        detail = f"generation {new.generation}" + (", locks out" if lost else "")
        if not await self._store.activate(
            new, audit=self._auditor.record(principal, action, record.revision, detail)
        ):
            raise endpoint.stale("the policy")
        log.warning(
            "policy: revision %s activated by %s (token %s)",
            record.revision[:12],
            principal.sub,
            principal.jti,
        )
        return endpoint.answer(_activation(await self._store.current()), version=new.generation)

    async def _record(self, request: Request) -> RevisionRecord:
        name = request.path_params["revision"]
        if len(name) != 64 or not set(name) <= HEX:
            raise BadInput(
                "a revision is named by 64 hex digits", hint="`eyrie policy list` shows them."
            )
        record = await self._store.get(name)
        if record is None:
            raise NotFound(f"there is no revision {name[:12]}")
        return record


def handlers(context: HubContext, auditor: Auditor) -> dict[str, Handler]:
    """Those of ``/v1/policy``, ``/v1/audit`` and ``/v1/revocations``, by the ids of
    `hub.rest.table`, whose actions are asked first."""
    stores = context.stores
    policies = Policies(stores.revisions, stores.decisions, auditor)
    shadows = shadow.Shadows(stores.shadows, stores.decisions, auditor)
    revocations = revocation_routes.RevocationHandlers(
        stores.policy, auditor, context.settings.auth, context.now_s
    )
    return {
        "readPolicy": policies.show,
        "rollBackPolicy": policies.rollback,
        "listRevisions": policies.list,
        "uploadRevision": policies.upload,
        "readRevision": policies.read,
        "activateRevision": policies.activate,
        "readShadow": shadows.report,
        "startShadow": shadows.start,
        "stopShadow": shadows.stop,
        "listDecisions": shadows.decisions,
        "listAudit": audit_log.AuditReads(stores.audit_log).list,
        "listRevocations": revocations.list,
        "revoke": revocations.add,
    }


def _revision(record: RevisionRecord, current: PolicyActivation | None) -> dict[str, Any]:
    return {
        "revision": record.revision,
        "number": record.number,
        "author": record.author,
        "note": record.note,
        "created": rfc3339(record.created_us),
        "active": current is not None and current.revision == record.revision,
    }


def _activation(current: PolicyActivation | None) -> dict[str, Any]:
    if current is None:
        return {"generation": 0, "revision": None}
    return {
        "generation": current.generation,
        "revision": current.revision,
        "previous": current.previous,
        "author": current.author,
        "since": rfc3339(current.time_us),
    }
