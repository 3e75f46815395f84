"""``eyrie restore``: put a backup back."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from cluster.cli import console
from cluster.cli.database.backup import key_folders, passphrase_of
from cluster.cli.options import add_settings_options, loaded
from storage.backups import keys
from storage.backups.programs import PostgresPrograms
from storage.backups.restore import into_data_dir, into_database
from storage.embedded.data_dir import of

EXAMPLES = """examples:
  eyrie restore /backups/eyrie-20261130T221500Z --data-dir /var/lib/eyrie --keys /vault/eyrie-20261130T221500Z.keys
  EYRIE_POSTGRES_DSN=postgresql://eyrie@db/eyrie eyrie restore /backups/eyrie-20261130T221500Z

The data directory, or the database that the settings name, must be empty. Start Eyrie after it as ever: cameras get new epochs, devices
are told and send again what they hold, dashboards read anew.
exit codes: 0 done, 1 not, 2 wrong usage
"""  # noqa: E501


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "restore",
        help="put a backup back",
        description="Put a backup into an empty data directory or database.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("backup", metavar="BACKUP", help="the folder of one backup")
    parser.add_argument("--keys", default="", metavar="FILE", help="the keys that were kept apart")
    parser.add_argument(
        "--passphrase-file", default="", metavar="FILE", help="where the keys are encrypted"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_settings_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when it was done."""
    settings = loaded(arguments).settings
    backup, data = Path(arguments.backup).expanduser().absolute(), of(settings)
    kept: keys.Kept = {}
    if arguments.keys:  # before anything is made, and in their places before a database is there
        file = Path(arguments.keys).expanduser().absolute()
        kept = keys.read(file, passphrase_of(arguments.passphrase_file))
        data.prepare()
        keys.put(kept, key_folders(data, settings))
    if settings.postgres.dsn:
        data.prepare()
        programs = PostgresPrograms(data.path / "binaries")
        into_database(backup, settings.postgres, programs)
        where = "the database of the settings"
    else:
        into_data_dir(backup, data)
        where = str(data.path)
    if arguments.json:
        console.emit(msgspec.to_builtins({"backup": backup.name, "keys": len(kept)}))
    else:
        console.say(f"{backup.name} is in {where}", style="green")
        if not arguments.keys:
            console.note("without its keys nobody can go on writing the audit log: --keys")
    return console.OK
