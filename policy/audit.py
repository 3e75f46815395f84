"""Who changed what, told to the audit log in the transaction of the change; without the record there is no change."""

from pathlib import Path

from actors.core.errors import Unavailable
from policy.audit_trail import sealing
from policy.decision.model import Principal
from policy.identity.keys import read_secret
from storage.ports.audit_log import AuditDraft, AuditLog, Seal
from storage.ports.policy import Audit


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
        return self._log.writer(self._seal(principal, action, target, detail))

    async def announce(self, principal: Principal, action: str, target: str, detail: str = "") -> None:
        """Write the record by itself, before something is asked for that another process does in a transaction of its own.

        The entry then says that it was asked for. Raises Unavailable; then it must not be asked for.
        """
        await self._log.append(self._seal(principal, action, target, detail))

    def _seal(self, principal: Principal, action: str, target: str, detail: str) -> Seal:
        return sealing(self.key(), AuditDraft(principal.sub, principal.jti, action, target, detail))
