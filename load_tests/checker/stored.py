"""What is stored, read back through a fresh connection for `load_tests.checker.checker`; and a
witness in the database of every move of a row."""

from typing import Any

from actors.core.camera.snapshot import totals
from actors.core.messages.commits import Activation
from actors.core.settings import PostgresSettings, Settings
from cluster.event_proofs import AuditEvent, CameraTotals
from load_tests.harness.history import Move, RecordedLetter, Stored
from storage.events.archive import read_archive
from storage.keyring import FolderKeyring
from storage.ports.events import EventRow
from storage.ports.keyring import Keyring
from storage.postgres.people.letters import opened
from storage.postgres.pool import Database
from storage.stores import keyring_folder

_WITNESS = (
    """CREATE TABLE IF NOT EXISTS witnessed (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, camera text, writer text, owner text, generation bigint, session text,
        seq bigint, epoch text, "offset" bigint, at timestamptz
    )""",  # noqa: E501
    """CREATE OR REPLACE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO witnessed (camera, writer, owner, generation, session, seq, epoch, "offset", at) VALUES (
            NEW.camera, current_setting('application_name'), NEW.owner, NEW.generation, NEW.session, NEW.last_seq, NEW.epoch,
            NEW.last_offset, clock_timestamp());
        RETURN NULL;
    END $$""",  # noqa: E501
    """CREATE OR REPLACE TRIGGER witness AFTER UPDATE ON positions FOR EACH ROW
        WHEN (OLD.last_seq <> NEW.last_seq OR OLD.last_offset <> NEW.last_offset OR OLD.epoch <> NEW.epoch)
        EXECUTE FUNCTION witness()""",  # noqa: E501
)
# In slices: an hour has millions of moves, and one statement for all of them takes longer than a
# statement may.
_SLICE = (
    "SELECT * FROM witnessed WHERE camera = ANY ($1::text[]) AND number > $2 ORDER BY "
    "number LIMIT $3"
)
SLICE = 20_000  # rows


async def install_witness(settings: PostgresSettings) -> None:
    """From now on the database notes who moves which row where, in the transaction that does it."""
    database = await Database.open(settings, name="witness", size=1)
    try:
        for statement in _WITNESS:
            await database.fetch(statement, writing=True)
    finally:
        await database.close()


async def read_back_of(settings: Settings, cameras: list[str]) -> Stored:
    """The same of a platform that runs on this machine."""
    return await read_back(settings.postgres, cameras, FolderKeyring(keyring_folder(settings)))


async def read_back(
    settings: PostgresSettings, cameras: list[str], keyring: Keyring | None = None
) -> Stored:
    """Everything of `cameras`, as of now; dead letters are read by the keys of `keyring`."""
    events: list[AuditEvent] = []
    rows: list[CameraTotals] = []
    scenes: dict[str, bytes] = {}
    async for record in read_archive(settings):
        if record.camera not in cameras:
            continue
        if isinstance(record, EventRow):
            events.append(
                AuditEvent(
                    record.camera,
                    record.epoch,
                    record.offset,
                    record.body.decode(),
                    record.hash.hex(),
                )
            )
            continue
        if not isinstance(record, Activation):
            continue  # what retention dropped: nothing, in a test's time
        at, derived = record.position, totals(record.snapshot)
        rows.append(
            CameraTotals(
                record.camera,
                at.session,
                at.last_seq,
                at.epoch,
                at.last_offset,
                at.chain.hex(),
                derived.counts,
                derived.occupancy,
            )
        )
        scenes[record.camera] = record.scene
    database = await Database.open(settings, name="read-back", size=1)
    try:
        moves = await moves_of(database, cameras)
        letters = await database.fetch(
            "SELECT camera, session, seq, code, detail, raw, received FROM dead_letters "
            "WHERE camera = ANY ($1::text[])",
            cameras,
        )
        letters = await opened(letters, keyring)
    finally:
        await database.close()
    return Stored(rows, events, [_letter(row) for row in letters], moves, scenes)


async def moves_of(database: Database, cameras: list[str], slice_rows: int = SLICE) -> list[Move]:
    """What the witness noted, oldest first."""
    found: list[Move] = []
    last = 0
    while rows := await database.fetch(_SLICE, cameras, last, slice_rows):
        last = rows[-1]["number"]
        found += map(_move, rows)
    return found


def _letter(row: Any) -> RecordedLetter:
    return RecordedLetter(row["camera"], row["session"], row["seq"], bytes(row["raw"]))


def _move(row: Any) -> Move:
    return Move(
        row["camera"],
        row["writer"],
        row["owner"] or "",
        row["generation"],
        row["session"],
        row["seq"],
        row["epoch"],
        row["offset"],
        row["at"].timestamp(),
    )
