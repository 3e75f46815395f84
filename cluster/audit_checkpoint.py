"""The checkpoint of the audit log that `eyrie up` keeps in its data directory, outside the
database.

It follows the log as that grows, and stays where it is when the log no longer contains it: somebody
cut that off, or put back an older one.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from actors.core.errors import BadInput, EyrieError
from actors.core.settings import Settings
from policy.audit import Checkpoint, newer
from policy.identity.atomic_files import write_whole
from policy.identity.keys import read_secret
from storage.embedded.data_dir import of
from storage.postgres.audit_log import PostgresAuditLog
from storage.postgres.pool import Database

LOOK_S = 10.0  # between looks at the log: what was appended since may be cut off unnoticed
STOP_S = 5.0
MAX_BYTES = 4096


def read(path: Path) -> Checkpoint:
    """The checkpoint in a file. Raises BadInput for one that cannot be read or is none."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MAX_BYTES), type=Checkpoint)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput(
            f"{path} is no checkpoint: {error}", hint="`eyrie audit log checkpoint` prints one."
        ) from error


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Keep it in a file (0600). Raises ConfigError."""
    write_whole(path, msgspec.json.encode(checkpoint) + b"\n")


def look(settings: Settings) -> None:
    """Bring the checkpoint up to date. Raises Conflict for a log that no longer contains it,
    BadInput, ConfigError, Unavailable."""
    path, key = of(settings).audit_checkpoint, read_secret(Path(settings.policy.key_file))
    found = asyncio.run(_newer(settings, key, read(path) if path.exists() else None))
    if found is not None:
        write(path, found)


class CheckpointWriter:
    """A thread that follows the log until it is stopped. `report` is told once of each problem, and
    when it is over."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._problem = ""

    def start(self, settings: Settings) -> None:
        """Begin, with the settings as they were resolved."""
        self._thread = threading.Thread(
            target=self._run, args=(settings,), name="audit-checkpoint", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Look once more, while the database is still there; at most five seconds."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def _run(self, settings: Settings) -> None:
        over = False
        while not over:
            over = self._over.wait(LOOK_S)
            try:
                look(settings)
            except EyrieError as error:
                self._tell(error.detail)
            else:
                self._tell("")

    def _tell(self, problem: str) -> None:
        if problem != self._problem:
            self._report(
                f"audit log: {problem}" if problem else "audit log: its checkpoint is kept again"
            )
        self._problem = problem


async def _newer(settings: Settings, key: bytes, kept: Checkpoint | None) -> Checkpoint | None:
    database = await Database.open(settings.postgres, name="audit checkpoint")
    try:
        return await newer(PostgresAuditLog(database), key, kept, time.time_ns() // 1000)
    finally:
        await database.close()
