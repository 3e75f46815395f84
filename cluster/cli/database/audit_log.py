"""``eyrie audit log``: who changed what, and the proof that nobody changed that."""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from actors.core.errors import BadInput
from actors.core.settings import PostgresSettings, Settings
from actors.core.times import rfc3339
from cluster import audit_checkpoint
from cluster.cli import console
from cluster.cli.options import data_dir, loaded, whole
from cluster.event_archive import database_of
from policy.audit import Checkpoint, Proof, checkpoint, prove
from policy.identity.keys import read_secret
from storage.embedded.data_dir import of
from storage.ports.audit_log import AuditEntry, AuditHead
from storage.postgres.audit_log import PostgresAuditLog
from storage.postgres.pool import Database
from storage.process.settings_files import read_resolved

NEWEST = 2**62
SHOWN = 50
MAX_SHOWN = 10_000

T = TypeVar("T")


def stored_at(settings: Settings) -> str | PostgresSettings:
    """Where an instance with these settings stores: the database they name, else the data
    directory."""
    return settings.postgres if settings.postgres.dsn else str(of(settings).path)


def add_parser(kinds: Any) -> None:
    """Add ``log`` to the kinds of ``eyrie audit``."""
    log = kinds.add_parser("log", help="who changed what")
    log.add_argument(
        "what",
        nargs="?",
        default="show",
        choices=("show", "verify", "checkpoint"),
        help="default: show the newest entries",
    )
    log.add_argument(
        "--source",
        default="",
        metavar="SOURCE",
        help="a data directory or a postgresql:// address; default: where the settings say",
    )
    log.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="the secret that seals (policy.key_file); default: the data directory's",
    )
    log.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="with verify: the checkpoint that the log must contain (default: the one that "
        "`eyrie up` keeps in the data directory)",
    )
    log.add_argument(
        "--without-checkpoint",
        action="store_true",
        help="with verify: take an older end that was sealed once for the end",
    )
    log.add_argument(
        "--limit", type=whole, default=SHOWN, metavar="N", help=f"entries shown (default {SHOWN})"
    )
    log.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when sound."""
    source = arguments.source or stored_at(loaded(arguments).settings)
    if arguments.what == "verify":
        key, kept = sealing_key(arguments), _kept(arguments)
        return _tell(
            _read(source, lambda log: prove(log.read(), key, kept)), as_json=arguments.json
        )
    if arguments.what == "checkpoint":
        console.emit(checkpoint(_read(source, _head), time.time_ns() // 1000))
        return console.OK
    if not 1 <= arguments.limit <= MAX_SHOWN:
        raise BadInput(f"--limit is 1 to {MAX_SHOWN}")
    entries = _read(source, lambda log: log.before(NEWEST, arguments.limit))
    if arguments.json:
        console.emit([_plain(entry) for entry in entries])
    else:
        rows = [
            (str(e.number), rfc3339(e.time_us), e.who, e.action, e.target, e.detail)
            for e in entries
        ]
        console.table(
            "what was changed, newest first",
            ("number", "when", "who", "what", "target", "detail"),
            rows,
        )
    return console.OK


def _read(source: str | PostgresSettings, ask: Callable[[PostgresAuditLog], Awaitable[T]]) -> T:
    async def read() -> T:
        database = await Database.open(settings, name="audit log")
        try:
            return await ask(PostgresAuditLog(database))
        finally:
            await database.close()

    with database_of(source) as settings:
        return asyncio.run(read())


async def _head(log: PostgresAuditLog) -> AuditHead:
    found = await log.head()
    if found is None or not found.seal:
        raise BadInput(
            "the end of the log is missing or not sealed",
            hint="`eyrie audit log verify` says what else is wrong.",
        )
    return found


def sealing_key(arguments: argparse.Namespace) -> bytes:
    """The secret of `policy.key_file`: the file named, the running platform's, or the data
    directory's."""
    data = data_dir(arguments)
    path = arguments.key_file
    if path is None and data.settings_file.exists():
        path = Path(read_resolved(data.settings_file).policy.key_file)
    return read_secret(path or data.keys / "policy.secret")


def _kept(arguments: argparse.Namespace) -> Checkpoint | None:
    """Read before the log, which may only have grown since."""
    path = arguments.checkpoint or data_dir(arguments).audit_checkpoint
    if arguments.checkpoint is None and arguments.without_checkpoint:
        return None
    if arguments.checkpoint is None and not path.exists():
        raise BadInput(
            f"there is no checkpoint in {path}, and without one nobody can tell whether the log "
            "was cut off",
            hint="Name one with --checkpoint, or --without-checkpoint to look at the rest.",
        )
    return audit_checkpoint.read(path)


def _tell(proof: Proof, *, as_json: bool) -> int:
    if as_json:
        console.emit({"sound": proof.sound, **msgspec.to_builtins(proof)})
    elif proof.sound:
        console.say(f"{proof.entries} entries: sound", style="green")
    else:
        console.table(
            f"the audit log was altered ({proof.entries} entries)",
            ("finding",),
            [(finding,) for finding in proof.findings],
        )
    return console.OK if proof.sound else console.FAILED


def _plain(entry: AuditEntry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "time": rfc3339(entry.time_us),
        "who": entry.who,
        "token": entry.token,
        "action": entry.action,
        "target": entry.target,
        "detail": entry.detail,
    }
