"""``eyrie epoch``: give cameras a new numbering of events by hand."""

import argparse
import asyncio
from typing import Any

from actors.core.errors import NotFound
from cluster.cli import console
from cluster.cli.database.audit_log import sealing_key, stored_at
from cluster.cli.database.machine_user import machine_user
from cluster.cli.options import add_settings_options, loaded
from cluster.event_archive import database_of
from policy.audit import sealing
from storage.ports.audit_log import AuditDraft
from storage.postgres.audit_log import PostgresAuditLog
from storage.postgres.place import renew_epochs
from storage.postgres.pool import Database

EXAMPLES = """examples:
  eyrie epoch renew --all                       after a snapshot of the whole disk was put back
  eyrie epoch renew --camera gate-1             one camera
  eyrie epoch renew --all --source postgresql://eyrie@db/eyrie

Events that were shown after the state which came back are gone; without new epochs their ids would be given out again. A restored dump,
base backup or data directory is known by itself and needs no command. It may be run while the platform runs: dashboards read anew.
exit codes: 0 done, 1 nothing was renewed, 2 wrong usage
"""  # noqa: E501


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "epoch",
        help="a new numbering of events",
        description="The numbering of cameras' events.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings_options(parser)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="command")
    renew = kinds.add_parser(
        "renew",
        help="start a new epoch",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = renew.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--camera",
        action="append",
        default=None,
        metavar="CAMERA",
        help="this one; may be given again",
    )
    which.add_argument("--all", action="store_true", help="every camera")
    renew.add_argument(
        "--source",
        default="",
        metavar="SOURCE",
        help="a data directory or a postgresql:// address; default: the settings'",
    )
    renew.add_argument(
        "--key-file",
        metavar="FILE",
        help="the secret that seals (policy.key_file); default: the data directory's",
    )
    renew.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Renew; 0 when done."""
    source = arguments.source or stored_at(loaded(arguments).settings)
    wanted = None if arguments.all else sorted(set(arguments.camera))
    key = sealing_key(arguments)
    who = f"{machine_user()} (eyrie epoch renew)"

    async def renew() -> list[str]:
        database = await Database.open(settings, name="epoch renew")
        try:
            async with database.transaction(writing=True) as connection:
                done = await renew_epochs(connection, wanted)
                missing = sorted(set(wanted or ()) - set(done))
                if missing:
                    raise NotFound(
                        f"no camera is called {', '.join(missing)}; nothing was renewed",
                        hint="`eyrie registry show` lists them.",
                    )
                draft = AuditDraft(
                    who,
                    "",
                    "epoch.renew",
                    "all" if wanted is None else ",".join(wanted),
                    console.counted(len(done), "camera"),
                )
                await PostgresAuditLog(database).writer(sealing(key, draft))(connection)
            return done
        finally:
            await database.close()

    with database_of(source) as settings:
        done = sorted(asyncio.run(renew()))
    if arguments.json:
        console.emit({"renewed": done})
    else:
        console.say(
            f"{console.counted(len(done), 'camera starts', 'cameras start')} a new epoch",
            style="green",
        )
    return console.OK if done else console.FAILED
