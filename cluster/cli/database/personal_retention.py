"""``eyrie privacy retention``: what of personal values is over by its class, site and camera, and
why it is still there. It changes nothing."""

import argparse
import asyncio
from typing import Any

import msgspec

from actors.core.settings import Settings
from cluster.cli import console
from cluster.cli.database.audit_log import stored_at
from cluster.cli.options import add_database_options, data_dir, loaded
from cluster.event_archive import database_of
from privacy.keep_rules import KeepRules, OverGroup
from privacy.retention import RETENTION, plan
from storage.keyring import FolderKeyring
from storage.postgres.pool import Database
from storage.process.settings_files import read_resolved
from storage.stores import keyring_folder

EXAMPLES = f"""examples:
  eyrie privacy retention                     the plan: what the next run erases, and what is held
  eyrie privacy retention --json
  eyrie jobs run {RETENTION}           now, by a worker; its receipt stands in `eyrie audit log`

How long each class stays says personal.keep of the settings, for example ["plates=30", "*@north=14", "names@north/gate=3"].

exit codes: 0 done, 1 something stays longer than its class may, 2 wrong usage
"""  # noqa: E501


def add_parser(kinds: Any) -> None:
    """Add the sub-command of `eyrie privacy`."""
    parser = kinds.add_parser(
        "retention",
        help="what is over by its class, site and camera",
        description="What of personal values is over by personal.keep, and why it is there.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_database_options(parser, changes=False)


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 when something outlives its class."""
    settings = _settings(arguments)
    rules = KeepRules(settings.personal.keep)
    keyring = FolderKeyring(keyring_folder(settings))

    async def ask() -> list[OverGroup]:
        database = await Database.open(place, name="eyrie privacy retention")
        try:
            return await plan(database, keyring, rules)
        finally:
            await database.close()

    with database_of(arguments.source or stored_at(loaded(arguments).settings)) as place:
        groups = asyncio.run(ask())
    late = sum(group.late for group in groups)
    if arguments.json:
        console.emit(
            {
                "keep": settings.personal.keep,
                "over": msgspec.to_builtins(groups),
                "keys": sum(group.keys - group.held for group in groups),
                "late": late,
            }
        )
    else:
        _print(settings, groups, late)
    return console.FAILED if late else console.OK


def _settings(arguments: argparse.Namespace) -> Settings:
    """Those of what runs on the data directory, whoever named it how; else those of the options."""
    file = data_dir(arguments).settings_file
    found = loaded(arguments).settings
    return read_resolved(file) if not found.personal.keep and file.exists() else found


def _print(settings: Settings, groups: list[OverGroup], late: int) -> None:
    if not settings.personal.keep:
        console.note("personal.keep says nothing: values stay for events.keep_days")
        return
    columns = ("class", "site", "camera", "days", "keys over", "held", "late", "oldest")
    rows = [
        (
            group.class_,
            group.site,
            group.camera,
            *map(str, (group.days, group.keys, group.held, group.late)),
            group.oldest,
        )
        for group in groups
    ]
    console.table("over, and there", columns, rows)
    if late:
        console.note(
            f"{console.counted(late, 'key')} should be gone for a day: does a worker run? "
            f"`eyrie jobs list --of-kind {RETENTION}` says what it met"
        )
