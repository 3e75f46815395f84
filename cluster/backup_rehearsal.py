"""Whether a backup is worth something: it is restored into a scratch server, and the chains of its
events are verified; on request this release's migrations are applied to it too.

The scratch server opens as a replica first: nothing is changed before it was verified, so the rows
and events are compared as they were stored.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path

import msgspec

from actors.core.settings import PostgresSettings, Settings
from cluster.event_archive import records
from cluster.event_proofs import ChainVerifier, Verdict
from storage.backups.programs import PostgresPrograms
from storage.backups.restore import connections_of, unpack
from storage.embedded.data_dir import DataDir
from storage.embedded.packages import POSTGRES
from storage.embedded.postgres import EmbeddedPostgres
from storage.migrations import migrate


class Rehearsal(msgspec.Struct, frozen=True):
    """`migrations`: those that this release applied to the copy, None where it was not told to."""

    backup: str
    verdict: Verdict
    migrations: list[str] | None = None


def rehearse(backup: Path, *, upgrade: bool = False) -> Rehearsal:
    """Restore, verify, forget. Raises BadInput, Unavailable, StartError, ConfigError."""
    scratch = Path(tempfile.mkdtemp(prefix="eyrie-check-"))
    scratch.chmod(0o711)  # the server's user goes through it
    data = DataDir(scratch / "data")
    try:
        data.prepare()
        unpack(backup, data, standby=True)
        cluster = data.path / "postgres" / POSTGRES.line
        connections = connections_of(cluster, PostgresPrograms(data.path / "binaries"))
        server = EmbeddedPostgres(data, max_connections=connections)
        server.start()
        try:
            verdict = asyncio.run(_verdict(PostgresSettings(dsn=server.dsn)))
        finally:
            server.stop()
        if not upgrade:
            return Rehearsal(backup.name, verdict)
        (cluster / "standby.signal").unlink()
        server.start()
        try:
            settings = Settings(postgres=PostgresSettings(dsn=server.dsn))
            return Rehearsal(backup.name, verdict, asyncio.run(migrate(settings)))
        finally:
            server.stop()
    finally:
        data.leave_socket_folder("pg")
        shutil.rmtree(scratch, ignore_errors=True)


async def _verdict(database: PostgresSettings) -> Verdict:
    verifier = ChainVerifier()
    async for record in records(database):
        verifier.add(record)
    return verifier.verdict
