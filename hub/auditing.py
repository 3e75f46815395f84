"""Who changed what, told to the audit log in the transaction of the change; without the record there is no change."""

import base64
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from actors.core.errors import Unavailable
from actors.core.times import rfc3339
from hub import web
from hub.access import Access
from policy.audit_trail import sealing
from policy.keys import read_secret
from policy.ports import Principal
from storage.audit_ports import AuditDraft, AuditEntry, AuditLog
from storage.policy_ports import Audit

NEWEST = 2**62


class Auditor:
    """Makes the records. `key_file` holds the secret that seals; empty: nothing that must be recorded can be done here."""

    def __init__(self, log: AuditLog, key_file: str) -> None:
        self._log = log
        self._key_file = key_file

    def key(self) -> bytes:
        """The secret. Raises Unavailable where there is none."""
        if not self._key_file:
            raise Unavailable("this deployment has no key that signs policies and audit records (policy.key_file)")
        return read_secret(Path(self._key_file))

    def record(self, principal: Principal, action: str, target: str, detail: str = "") -> Audit:
        """What writes the record of one change by `principal`."""
        return self._log.writer(sealing(self.key(), AuditDraft(principal.sub, principal.jti, action, target, detail)))


class AuditReads:
    """The handler of ``/v1/audit``."""

    def __init__(self, log: AuditLog, access: Access) -> None:
        self._log = log
        self._access = access

    async def list(self, request: Request, principal: Principal) -> Response:
        """The log, newest first, a page at a time: ``?before=&limit=``."""
        await self._access.require_system("policy.read", principal, "policy")
        limit = web.limit_of(request)
        entries = await self._log.before(web.number(request, "before", NEWEST), limit)
        return web.answer(
            {"entries": [_entry(entry) for entry in entries]} | ({"next": entries[-1].number} if len(entries) == limit else {})
        )


def routes(log: AuditLog, access: Access) -> list[BaseRoute]:
    """``/v1/audit``."""
    return [web.route(access, "/v1/audit", get=AuditReads(log, access).list)]


def _entry(entry: AuditEntry) -> dict[str, Any]:
    return {
        "number": entry.number, "time": rfc3339(entry.time_us), "who": entry.who, "token": entry.token, "action": entry.action,
        "target": entry.target, "detail": entry.detail, "hash": base64.b64encode(entry.hash).decode(),
    }  # fmt: skip
