"""Where an audit reads from: a data directory (running or not), a PostgreSQL address, or an export
file."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from actors.core.camera.snapshot import totals
from actors.core.errors import NotFound
from actors.core.messages.commits import Activation
from actors.core.settings import PostgresSettings, Settings
from cluster.event_proofs import AuditEvent, CameraTotals, Record, RetentionMark, read_export
from storage.embedded.data_dir import DataDir
from storage.embedded.postgres import EmbeddedPostgres
from storage.events.archive import Horizon, read_archive
from storage.ports.events import EventRow
from storage.process.settings_files import read_resolved

ADDRESSES = ("postgresql://", "postgres://")


async def records(source: str | PostgresSettings) -> AsyncIterator[Record]:
    """What retention dropped, the events by camera and offset, then the camera rows; one at a time.

    Raises NotFound for a source that is none of the three, Unavailable.
    """
    path = (
        None
        if isinstance(source, PostgresSettings)
        else await asyncio.to_thread(lambda: Path(source).expanduser().absolute())
    )
    if path is not None and path.is_file():
        with path.open("rb") as lines:
            for record in read_export(lines):
                yield record
        return
    with database_of(source) as settings:
        async for record in _of_database(settings):
            yield record


@contextlib.contextmanager
def database_of(source: str | PostgresSettings) -> Iterator[PostgresSettings]:
    """The database that `source` names: an address, or the one of a data directory. Raises
    NotFound."""
    if isinstance(source, PostgresSettings):
        yield source
        return
    if source.startswith(ADDRESSES):
        yield PostgresSettings(dsn=source)
        return
    path = Path(source).expanduser().absolute()
    if not (path / "postgres").is_dir():
        raise NotFound(
            f"{source} is neither a data directory, nor an export file, nor a postgresql:// address"
        )
    with _database_of(DataDir(path)) as settings:
        yield settings


async def _of_database(settings: PostgresSettings) -> AsyncIterator[Record]:
    async for row in read_archive(settings):
        match row:
            case EventRow():
                yield AuditEvent(
                    row.camera, row.epoch, row.offset, row.body.decode(), row.hash.hex()
                )
            case Horizon():
                yield RetentionMark(row.camera, row.epoch, row.offset, row.hash.hex())
            case _:
                yield _totals(row)


def _totals(row: Activation) -> CameraTotals:
    found, at = totals(row.snapshot), row.position
    return CameraTotals(
        row.camera,
        at.session,
        at.last_seq,
        at.epoch,
        at.last_offset,
        at.chain.hex(),
        found.counts,
        found.occupancy,
    )


@contextlib.contextmanager
def _database_of(data: DataDir) -> Iterator[PostgresSettings]:
    """The running database of `data`, or one started for the reading and stopped after it."""
    if data.noted() and data.settings_file.exists():
        yield read_resolved(data.settings_file).postgres
        return
    data.prepare()
    with data.locked():
        data.end_leftovers()
        settings = Settings()
        server = EmbeddedPostgres(data, max_connections=settings.postgres.max_connections)
        server.start()
        try:
            yield msgspec.structs.replace(settings.postgres, dsn=server.dsn)
        finally:
            server.stop()
