"""``eyrie policy rollback --offline``: another revision in force by the database alone, when nobody
gets in or nothing runs."""

import argparse
import asyncio
from typing import Any

from actors.core.errors import BadInput, Conflict, NotFound
from actors.core.settings import PostgresSettings
from cluster.cli import console
from cluster.cli.database import audit_log
from cluster.cli.database.machine_user import machine_user
from cluster.cli.options import loaded
from cluster.event_archive import database_of
from policy.actor import revisions
from policy.audit import sealing
from policy.engine import review, sandbox
from storage.ports.audit_log import AuditDraft
from storage.ports.policy import RevisionRecord
from storage.postgres.audit_log import PostgresAuditLog
from storage.postgres.policy import PostgresRevisionStore
from storage.postgres.pool import Database

NEWEST = 2**62
PAGE = 500
PREVIOUS = "previous"


def rollback(arguments: argparse.Namespace) -> int:
    """Do it; 0 when done. The entry in the audit log names the user of this machine."""
    source = audit_log.stored_at(loaded(arguments).settings)
    key = audit_log.sealing_key(arguments)
    with database_of(source) as settings:
        done = asyncio.run(_rollback(settings, key, arguments.revision or PREVIOUS))
    if arguments.json:
        console.emit(done)
        return console.OK
    for name, value in done.items():
        console.say(f"{name}: {value}")
    console.note("hubs that run follow within seconds; otherwise it is in force at the next start")
    return console.OK


async def _rollback(settings: PostgresSettings, key: bytes, wanted: str) -> dict[str, Any]:
    database = await Database.open(settings, name="policy rollback")
    try:
        store = PostgresRevisionStore(database)
        current = await store.current()
        if current is None:
            raise NotFound(
                "no revision was ever in force here",
                hint="`eyrie up` puts the packaged policy in force.",
            )
        revisions.require_genuine(current, key)
        record = await _find(store, current.previous if wanted == PREVIOUS else wanted)
        await sandbox.bounded(revisions.unpack(record, key), review.at_load())
        new = revisions.activation(current, record.revision, key, author=machine_user())
        draft = AuditDraft(
            new.author,
            "",
            "policy.rollback",
            record.revision,
            f"generation {new.generation}, offline",
        )
        if not await store.activate(
            new, audit=PostgresAuditLog(database).writer(sealing(key, draft))
        ):
            raise Conflict(
                "somebody else changed the policy just now", hint="Look at it and try again."
            )
        return {
            "generation": new.generation,
            "revision": new.revision,
            "previous": new.previous,
            "author": new.author,
        }
    finally:
        await database.close()


async def _find(store: PostgresRevisionStore, wanted: str | None) -> RevisionRecord:
    """The revision whose name begins with `wanted`."""
    if wanted is None:
        raise NotFound(
            "there is no revision before this one",
            hint="Name one; an error names those that there are.",
        )
    names: list[str] = []
    before = NEWEST
    while page := await store.list(before=before, limit=PAGE):
        names += [record.revision for record in page]
        before = page[-1].number
    found = [name for name in names if name.startswith(wanted)]
    if len(found) != 1:
        raise BadInput(
            f"{console.counted(len(found), 'revision')} called {wanted[:64]}",
            hint="There are: " + ", ".join(n[:12] for n in names[:20]),
        )
    record = await store.get(found[0])
    if record is None:
        raise NotFound(f"there is no revision {found[0][:12]}")
    return record
