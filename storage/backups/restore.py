"""Putting a backup back: into an empty data directory, or into an empty database of a server of
your own.

A data directory is made under another name inside of it (``restoring/``) and renamed when
PostgreSQL has opened it, so a restore that is killed leaves nothing that `eyrie up` would start
with. That the database was restored it finds out by itself (`storage.postgres.place`): cameras get
new epochs.
"""

import shutil
from pathlib import Path

from actors.core.errors import Conflict, StartError
from actors.core.settings import PostgresSettings
from storage.backups.backups import BASE, DUMP, BackupManifest, verify
from storage.backups.programs import PostgresPrograms
from storage.embedded.data_dir import DataDir
from storage.embedded.packages import POSTGRES
from storage.embedded.postgres import EmbeddedPostgres

CONNECTIONS = "max_connections setting:"  # a line of pg_controldata
FEW = 20
TABLES = """SELECT count(*) FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"""


def into_data_dir(backup: Path, data: DataDir) -> BackupManifest:
    """Make `data`, which must have no database, hold what `backup` holds; nothing runs afterwards.
    Raises Conflict, BadInput, Unavailable, StartError."""
    data.prepare()
    with data.locked():
        data.end_leftovers()
        if (data.path / "postgres").exists():
            raise Conflict(
                f"{data.path} has a database already",
                hint="Restore into an empty data directory, or move that one away first.",
            )
        beside = DataDir(data.path / "restoring")
        shutil.rmtree(beside.path, ignore_errors=True)
        beside.prepare()
        manifest = unpack(backup, beside)
        (beside.path / "postgres").rename(data.path / "postgres")
        shutil.rmtree(beside.path)
    return manifest


def unpack(backup: Path, data: DataDir, *, standby: bool = False) -> BackupManifest:
    """The database of `backup` in `data`, opened once by PostgreSQL and closed again. `standby`: it
    opens as a replica from now on, so nothing in it can be changed. Raises as above."""
    programs = PostgresPrograms(data.path / "binaries")
    manifest = verify(backup, programs)
    server = EmbeddedPostgres(data, max_connections=FEW)
    cluster = data.path / "postgres" / POSTGRES.line
    if manifest.kind == "base":
        server.own_folders()
        try:
            shutil.copytree(backup / BASE, cluster)
            cluster.chmod(0o700)
            server.give_away(cluster)
        except OSError as error:
            raise StartError(
                f"the backup cannot be copied to {cluster}: {error.strerror}",
                hint="Make room there, or choose another data directory.",
            ) from error
        server = EmbeddedPostgres(data, max_connections=connections_of(cluster, programs))
    else:
        server.start()
        try:
            database = PostgresSettings(dsn=server.dsn)
            read_dump(backup / DUMP, database, programs)
        finally:
            server.stop()
    if standby:
        (cluster / "standby.signal").touch()
        server.give_away(cluster)
    server.start()
    server.stop()
    return manifest


def into_database(backup: Path, database: PostgresSettings, programs: PostgresPrograms) -> None:
    """Read a dump into an empty database. Raises Conflict, BadInput, Unavailable."""
    manifest = verify(backup, programs)
    if manifest.kind != "dump":
        raise Conflict(
            f"{backup.name} is a base backup: it can be put into a data directory alone",
            hint="Restore it with --data-dir, then dump that with `eyrie backup take --dump`.",
        )
    tables = programs.run("psql", "-X", "-A", "-t", "-c", TABLES, database=database).strip()
    if tables != "0":
        raise Conflict(
            f"the database has {tables} tables already", hint="Restore into an empty one."
        )
    read_dump(backup / DUMP, database, programs)


def read_dump(file: Path, database: PostgresSettings, programs: PostgresPrograms) -> None:
    """All of it, or nothing. Raises Unavailable."""
    programs.run(
        "pg_restore",
        "--single-transaction",
        "--no-owner",
        "--exit-on-error",
        file,
        database=database,
    )


def connections_of(cluster: Path, programs: PostgresPrograms) -> int:
    """The `max_connections` that a cluster was run with: a replica must allow no fewer."""
    for line in programs.run("pg_controldata", "-D", cluster).splitlines():
        if line.startswith(CONNECTIONS):
            return int(line.removeprefix(CONNECTIONS))
    raise StartError(f"pg_controldata does not say how many connections {cluster} had")
