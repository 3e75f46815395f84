"""The audit log by REST: ``/v1/audit``. Its row in `hub.rest.table` says which action reading it
is."""

import base64
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from actors.core.times import rfc3339
from hub.web import endpoint
from policy.identity.principal import Principal
from storage.ports.audit_log import AuditEntry, AuditLog

NEWEST = 2**62


class AuditReads:
    """The handler of ``/v1/audit``."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    async def list(self, request: Request, principal: Principal) -> Response:
        """The log, newest first, a page at a time: ``?before=&limit=``."""
        limit = endpoint.limit_of(request)
        entries = await self._log.before(endpoint.number(request, "before", NEWEST), limit)
        return endpoint.answer(
            {"entries": [_entry(entry) for entry in entries]}
            | ({"next": entries[-1].number} if len(entries) == limit else {})
        )


def _entry(entry: AuditEntry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "time": rfc3339(entry.time_us),
        "who": entry.who,
        "token": entry.token,
        "action": entry.action,
        "target": entry.target,
        "detail": entry.detail,
        "hash": base64.b64encode(entry.hash).decode(),
    }
