"""``eyrie upgrade --check``: whether this release opens what is stored, tried on a copy."""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

from actors.core.errors import BadInput
from cluster.backup_rehearsal import rehearse
from cluster.cli import console
from cluster.cli.database.audit_log import stored_at
from cluster.cli.database.backup import data_of
from cluster.cli.options import add_settings_options, loaded
from cluster.event_archive import database_of
from storage.backups.backups import take
from storage.backups.programs import PostgresPrograms
from storage.embedded.data_dir import of

EXAMPLES = """examples:
  eyrie upgrade --check                                  a copy of what is stored, opened by this release
  eyrie upgrade --check --source /var/lib/eyrie
  eyrie upgrade --check --backup /backups/eyrie-20261130T221500Z

It takes a backup (or uses one), restores it into a scratch server, verifies the chains of events and applies this release's migrations
to the copy. What is stored is not touched; `eyrie up` applies them then.
exit codes: 0 it will do, 1 not, 2 wrong usage
"""  # noqa: E501


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "upgrade",
        help="whether this release opens what is stored",
        description="Try this release on a copy of what is stored.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="try it on a copy (needed)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--backup", default="", metavar="BACKUP", help="the folder of a backup")
    which.add_argument(
        "--source",
        default="",
        metavar="SOURCE",
        help="a data directory or a postgresql:// address; default: the settings'",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_settings_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when this release opens it and all is sound."""
    if not arguments.check:
        raise BadInput(
            "only `upgrade --check` is there", hint="`eyrie up` itself applies what is missing."
        )
    settings = loaded(arguments).settings
    if arguments.backup:
        return _told(arguments, Path(arguments.backup).expanduser().absolute())
    source = arguments.source or stored_at(settings)
    scratch = Path(tempfile.mkdtemp(prefix="eyrie-upgrade-"))
    try:
        programs = PostgresPrograms(of(settings).path / "binaries")
        with database_of(source) as database:
            made = take(
                database, scratch, programs, embedded=data_of(source, of(settings)) is not None
            )
        return _told(arguments, scratch / made.name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _told(arguments: argparse.Namespace, backup: Path) -> int:
    found = rehearse(backup, upgrade=True)
    verdict, applied = found.verdict, found.migrations or []
    if arguments.json:
        console.emit(
            {
                "green": verdict.green,
                "migrations": applied,
                "cameras": verdict.cameras,
                "events": verdict.events,
                "findings": verdict.found,
            }
        )
    else:
        console.say(
            f"{console.counted(verdict.cameras, 'camera')}, "
            f"{console.counted(verdict.events, 'event')}: "
            f"{'sound' if verdict.green else console.counted(verdict.found, 'finding')}; "
            f"{console.counted(len(applied), 'migration')} to apply",
            style="green" if verdict.green else "red",
        )
    return console.OK if verdict.green else console.FAILED
