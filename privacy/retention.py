"""Personal values go when the time of their class is over: a job of a worker, in batches, with a
receipt in the audit log for each. What stays longer than it may is an error, and the job fails."""

import logging
from collections.abc import Awaitable, Sequence
from datetime import UTC, date
from pathlib import Path
from typing import Any, Protocol

from actors.core.errors import Unavailable
from policy.audit import sealing
from policy.identity.keys import read_secret
from privacy.keep_rules import LATE_DAYS, KeepRules, OverGroup, grouped, scope_of
from storage.events.personal_retention import KEYS, ErasedDays, erase_keys
from storage.ports.audit_log import AuditDraft, AuditLog
from storage.ports.keyring import Keyring
from storage.ports.policy import Audit
from storage.postgres.people.holds import deleting
from storage.postgres.pool import Database

RETENTION = "personal.retention"  # the kind of job, and its schedule
UNDER_WAY = "keys"  # in a job's progress: the batch that was begun

log = logging.getLogger("eyrie.privacy.retention")


class NotesProgress(Protocol):
    """A job that keeps how far it has come (`workers.kinds.RunningJob`)."""

    progress: dict[str, Any]

    def note(self, progress: dict[str, Any], effect: Audit | None = None) -> Awaitable[None]:
        """Keep it, together with `effect`."""


async def plan(database: Database, keyring: Keyring, rules: KeepRules) -> list[OverGroup]:
    """What is over now. Raises Unavailable."""
    today, names = await _today(database), await keyring.ids()
    return grouped(rules, names, await _held(database, rules.over(names, today)), today)


class ClassRetention:
    """Under the rules of `personal.keep`."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        audit_log: AuditLog,
        rules: KeepRules,
        key_file: str,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._audit_log = audit_log
        self._rules = rules
        self._key_file = key_file

    async def run(self, job: NotesProgress) -> dict[str, Any]:
        """Erase what is over and not held. A batch is noted before it is begun, so that an attempt
        after a crash ends it and leaves its receipt. Raises Unavailable, also when something that
        should be gone for a day is still there."""
        today = await _today(self._database)
        names = await self._keyring.ids()
        begun: list[str] = job.progress.get(UNDER_WAY, [])
        ended = {*begun} - {*names}  # without their receipt, perhaps
        due = sorted({*ended, *self._rules.over(names, today)})
        keys, values = job.progress.get("done", 0), job.progress.get("values", 0)
        for start in range(0, len(due), KEYS):
            batch = due[start : start + KEYS]
            state = {"done": keys, "total": len(due), "values": values}
            await job.note({**state, UNDER_WAY: batch})
            gone = await erase_keys(self._database, self._keyring, batch)
            keys, values = keys + gone.keys, values + gone.rows
            receipt = self._receipt(batch, gone) if gone.keys or gone.rows else None
            await job.note({**state, "done": keys, "values": values}, receipt)
        late = self._rules.over(await self._keyring.ids(), today, LATE_DAYS)
        held = await _held(self._database, late)
        outliving = [name for name in late if name not in held]
        if outliving:
            log.error("%d keys of personal values outlive their class", len(outliving))
            raise Unavailable(
                f"{len(outliving)} keys outlive their class, the first is {outliving[0]}",
                hint="`eyrie privacy retention` lists them.",
            )
        return {"keys": keys, "values": values, "held": len(held)}

    def _receipt(self, batch: Sequence[str], gone: ErasedDays) -> Audit:
        scopes = [scope_of(name) for name in batch]
        classes = ", ".join(sorted({scope.class_ for scope in scopes}))
        cameras = len({scope.camera for scope in scopes})
        detail = (
            f"{gone.keys} keys, {gone.rows} values of {classes} at {cameras} cameras, "
            f"days {min(scope.day for scope in scopes)} to {max(scope.day for scope in scopes)}"
        )
        draft = AuditDraft("eyrie", "", "privacy.retention", batch[0], detail)
        return self._audit_log.writer(sealing(read_secret(Path(self._key_file)), draft))


async def _today(database: Database) -> date:
    now = await database.fetch_value("SELECT now()")
    day: date = now.astimezone(UTC).date()
    return day


async def _held(database: Database, names: Sequence[str]) -> frozenset[str]:
    """Those that a hold reaches into."""
    if not names:
        return frozenset()
    async with deleting(database) as (_connection, held):
        return frozenset(name for name in names if held.key(name))
