"""Backups and their check as jobs: each is a command in a process of its own, since PostgreSQL's
programs take minutes and a scratch server must end with whoever started it."""

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import Unavailable
from actors.core.settings import Settings
from storage.ports.background.jobs import Values
from storage.ports.background.schedules import NewSchedule
from storage.process.settings_files import write_resolved
from workers.kinds import JobKind

WEEK_S = 7 * 86_400.0
LONGEST_S = 6 * 3_600.0  # seconds one may take
LONGEST_ERROR = 800  # characters of what the command says that are kept

BACKUP_SCHEDULES = (
    NewSchedule("backup.take", "backup.take", at="01:40", jitter_s=1_200, max_attempts=3),
    NewSchedule("backup.check", "backup.check", every_s=WEEK_S, jitter_s=3_600, max_attempts=2),
)


def backup_kinds(settings: Settings) -> list[JobKind]:
    """Of `settings.backup`."""
    return [
        JobKind("backup.take", lambda _job: _run("take", settings), timeout_s=LONGEST_S),
        JobKind("backup.check", lambda _job: _run("check", settings), timeout_s=LONGEST_S),
    ]


async def _run(what: str, settings: Settings) -> Values:
    """Its result is what the command prints. Raises Unavailable with the end of what it says."""
    if not settings.backup.dir:
        return {"skipped": "backup.dir is empty"}
    with tempfile.TemporaryDirectory(prefix="eyrie-job-") as folder:
        file = Path(folder) / "settings.json"
        write_resolved(file, settings)
        command = ["-m", "cluster.cli.main", "backup", what, "--json", "--settings", str(file)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, said = await process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
    if process.returncode:
        told = (said or out).decode(errors="replace").strip()[-LONGEST_ERROR:]
        raise Unavailable(f"`eyrie backup {what}` failed: {told}")
    result: dict[str, Any] = msgspec.json.decode(out, type=dict[str, Any])
    return result
