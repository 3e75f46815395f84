"""``eyrie backup``: take, list and check backups of what is stored."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from actors.core.backup_settings import BackupSettings
from actors.core.errors import BadInput, NotFound
from actors.core.settings import DataSettings, PostgresSettings, Settings
from cluster.backup_rehearsal import rehearse
from cluster.cli import console
from cluster.cli.database.audit_log import stored_at
from cluster.cli.options import add_settings_options, loaded, whole
from cluster.event_archive import ADDRESSES, database_of
from storage.backups import keys
from storage.backups.backups import BackupManifest, listed, prune, take
from storage.backups.programs import PostgresPrograms
from storage.embedded.data_dir import DataDir, of
from storage.process.settings_files import read_resolved
from storage.stores import keyring_folder

EXAMPLES = """examples:
  eyrie backup take --to /backups --keys-to /vault      while everything runs; keys apart
  eyrie backup take --to /backups --keep 14             the newest fourteen stay
  eyrie backup list --to /backups
  eyrie backup check --to /backups                      restore the newest into a scratch server, verify it

The embedded PostgreSQL is backed up with its WAL (pg_basebackup), any other by a consistent dump (pg_dump). Keys are never in a backup:
`--keys-to` writes them to a file elsewhere, encrypted with `--passphrase-file`. Settings `backup.*` name the same folders, and then
workers do it daily and check it weekly.
exit codes: 0 done or sound, 1 not, 2 wrong usage
"""  # noqa: E501


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "backup",
        help="backups of what is stored",
        description="Backups: take, list, check. `eyrie restore` puts one back.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="command")
    made = kinds.add_parser("take", help="make one, while everything runs")
    made.add_argument("--keys-to", default="", metavar="DIR", help="keep the keys here, apart")
    made.add_argument(
        "--passphrase-file", default="", metavar="FILE", help="encrypt the keys under what is in it"
    )
    made.add_argument("--keep", type=whole, default=0, metavar="N", help="drop older than so many")
    made.add_argument(
        "--source",
        default="",
        metavar="SOURCE",
        help="a data directory or a postgresql:// address; default: the settings'",
    )
    made.add_argument(
        "--dump", action="store_true", help="a dump of the embedded server too, not its files"
    )
    kinds.add_parser("list", help="the newest first")
    checked = kinds.add_parser("check", help="restore one into a scratch server and verify it")
    checked.add_argument("name", nargs="?", default="", help="default: the newest")
    for kind in kinds.choices.values():
        add_settings_options(kind)
        kind.add_argument("--settings", default="", help=argparse.SUPPRESS)
        kind.add_argument(
            "--to", default="", metavar="DIR", help="the folder of backups (default: backup.dir)"
        )
        kind.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when it was done, and what was checked is sound."""
    settings = (
        read_resolved(arguments.settings) if arguments.settings else loaded(arguments).settings
    )
    folder = _folder(arguments.to or settings.backup.dir)
    if arguments.kind == "take":
        return _take(arguments, settings, folder)
    if arguments.kind == "list":
        return _list(arguments, folder)
    return _check(arguments, folder)


def _take(arguments: argparse.Namespace, settings: Settings, folder: Path) -> int:
    apart, passphrase = _keys_to(arguments, settings.backup, folder)
    source = arguments.source or stored_at(settings)
    data = of(settings)
    programs = PostgresPrograms(data.path / "binaries")
    with database_of(source) as database:
        ours = data_of(source, data) is not None and not arguments.dump
        made = take(database, folder, programs, embedded=ours)
    keep = arguments.keep or (0 if arguments.to else settings.backup.keep)
    gone = prune(folder, keep) if keep else []
    unread: list[str] = []
    if apart:
        folders = key_folders(data_of(source, data) or data, settings)
        keys.save(folders, apart / f"{made.name}{keys.SUFFIX}", passphrase)
        for name in gone:
            (apart / f"{name}{keys.SUFFIX}").unlink(missing_ok=True)
        unread = keys.forget_destroyed(folders, apart, passphrase)
    if arguments.json:
        told = {"keys": bool(apart), "dropped": gone, "unread_keys": unread}
        console.emit({**msgspec.to_builtins(made), **told})
        return console.OK
    console.say(f"{folder / made.name}: {made.kind}, {_size(made)}", style="green")
    if not apart:
        console.note("keys are not in it: --keys-to keeps them elsewhere")
    for name in unread:
        console.note(f"{apart}/{name} has another passphrase: it may hold keys that were destroyed")
    return console.OK


def _list(arguments: argparse.Namespace, folder: Path) -> int:
    found = listed(folder)
    if arguments.json:
        console.emit(msgspec.to_builtins(found))
    else:
        lines = [(one.name, one.kind, one.made[:19], _size(one)) for one in found]
        console.table("", ("backup", "kind", "made", "size"), lines)
    return console.OK


def _check(arguments: argparse.Namespace, folder: Path) -> int:
    name = arguments.name or next((one.name for one in listed(folder)), "")
    if not name:
        raise NotFound(f"there is no backup in {folder}", hint="`eyrie backup take` makes one.")
    found = rehearse(folder / Path(name).name)
    verdict = found.verdict
    if arguments.json:
        console.emit({"backup": name, "green": verdict.green, **msgspec.to_builtins(verdict)})
    else:
        looked = f"{console.counted(verdict.cameras, 'camera')}, "
        looked += console.counted(verdict.events, "event")
        told = "sound" if verdict.green else console.counted(verdict.found, "finding")
        console.say(f"{name}: {looked}: {told}", style="green" if verdict.green else "red")
    return console.OK if verdict.green else console.FAILED


def _folder(text: str) -> Path:
    if not text:
        raise BadInput("no folder for backups is named", hint="Use --to, or set backup.dir.")
    return Path(text).expanduser().absolute()


def _keys_to(
    arguments: argparse.Namespace, of_settings: BackupSettings, folder: Path
) -> tuple[Path | None, bytes]:
    text = arguments.keys_to or of_settings.keys_dir
    if not text:
        return None, b""
    apart = _folder(text)
    if apart.is_relative_to(folder) or folder.is_relative_to(apart):
        raise BadInput(
            f"{apart} and {folder} lie in one another: keys are kept apart from backups",
            hint="Choose another folder for the keys, better another disk.",
        )
    return apart, passphrase_of(arguments.passphrase_file or of_settings.passphrase_file)


def key_folders(data: DataDir, settings: Settings) -> keys.KeyFolders:
    """Where the keys of `data` lie; only its own settings name a keyring elsewhere."""
    if data.path != of(settings).path:
        settings = Settings(data=DataSettings(dir=str(data.path)))
    return keys.KeyFolders(data.keys, keyring_folder(settings))


def data_of(source: str | PostgresSettings, data: DataDir) -> DataDir | None:
    """The data directory whose own server a source names, if it does; `data` is the settings'."""
    address = source.dsn if isinstance(source, PostgresSettings) else source
    if isinstance(source, PostgresSettings) or address.startswith(ADDRESSES):
        return data if f"host={data.socket_folder('pg')}" in address.split("?")[-1] else None
    return DataDir(Path(source).expanduser().absolute())


def passphrase_of(file: str) -> bytes:
    """What is in it, without the line's end; nothing for no file. Raises BadInput."""
    if not file:
        return b""
    try:
        found = Path(file).read_bytes().strip(b"\r\n")
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from error
    if not found:
        raise BadInput(f"{file} is empty")
    return found


def _size(one: BackupManifest) -> str:
    return f"{one.bytes / 1e6:,.1f} MB"
