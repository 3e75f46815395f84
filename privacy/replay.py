"""At the start: erasures of which the database knows nothing, because it was restored from a time
before them, are carried out again, before anything is shown."""

import asyncio
import logging
from pathlib import Path
from typing import Any

from actors.core.errors import BadInput
from policy.audit import sealing
from privacy import records
from storage.events.personal_erasure import erase_places
from storage.ports.audit_log import AuditDraft, AuditLog
from storage.ports.background.jobs import NewJob
from storage.ports.keyring import Keyring
from storage.postgres import rows as rows_of
from storage.postgres.background.jobs import columns_of
from storage.postgres.people.letters import erase_letters
from storage.postgres.people.privacy import ERASURE, TRIES
from storage.postgres.pool import Database
from storage.postgres.statements import sql

log = logging.getLogger("eyrie.privacy")

KNOWN = ("executing", "approved")  # the database goes on with it by itself


async def replay_erasures(
    database: Database, keyring: Keyring, folder: Path, audit_log: AuditLog, audit_key: bytes
) -> list[str]:
    """Carry out again what the records outside the database say and it does not; the ids. Nothing
    else may run. Raises Unavailable."""
    again = []
    for id in await asyncio.to_thread(records.ids, folder):
        state = await database.fetch_value(sql("privacy")["known"], id)
        receipt = await asyncio.to_thread(records.receipt_of, folder, id)
        if state == "done" or (state in KNOWN and not receipt):
            continue
        record = await asyncio.to_thread(records.read, folder, id)
        if record.id != id:
            raise BadInput(f"the record of erasure {id} is one of {record.id[:64]}")
        await _restore(database, record)
        await erase_places(database, keyring, id, record.keys, 0.0)
        await keyring.destroy(record.keys)
        letters = await erase_letters(database, keyring, record.scope, 0.0)
        draft = AuditDraft(
            "eyrie",
            "",
            "privacy.replayed",
            id,
            f"{len(record.places)} values, {letters} dead letters: the database was older",
        )
        await _end(database, record, receipt, audit_log.writer(sealing(audit_key, draft)))
        again.append(id)
    if again:
        log.warning("erased again what a restored database brought back: %s", ", ".join(again))
    return again


async def _restore(database: Database, record: records.ErasureRecord) -> None:
    """The request as it was when it had begun."""
    statements, scope = sql("privacy"), record.scope
    columns = rows_of.columns(
        (
            (one.camera, one.epoch, one.offset, one.received_us, one.path, one.class_)
            for one in record.places
        ),
        6,
    )
    async with database.transaction(writing=True) as connection:
        await connection.execute(
            statements["restore"],
            record.id,
            list(scope.cameras),
            scope.since_us,
            scope.until_us,
            record.whole,
            record.purpose,
            record.asked_by,
            record.approved_by,
            record.keys,
        )
        await connection.execute(statements["add_places"], record.id, *columns)


async def _end(database: Database, record: records.ErasureRecord, receipt: str, audit: Any) -> None:
    """Done where there is a receipt; else a job goes on with it."""
    async with database.transaction(writing=True) as connection:
        if receipt:
            await connection.fetchval(sql("privacy")["finish"], record.id, receipt)
        else:
            args = {"request": record.id}
            job = NewJob(ERASURE, lane=ERASURE, args=args, max_attempts=TRIES)
            await connection.fetch(sql("jobs")["enqueue_one"], *columns_of(job))
        await audit(connection)
