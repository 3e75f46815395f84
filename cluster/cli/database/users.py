"""``eyrie users``: people who sign in by name and password. It asks the database, so it works while
no hub runs; what it changes stands in the audit log."""

import argparse
import asyncio
import getpass
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

from actors.core.errors import BadInput, ConfigError, Conflict, NotFound
from actors.core.identifiers import is_id
from cluster.cli import console
from cluster.cli.database.audit_log import sealing_key, stored_at
from cluster.cli.database.machine_user import machine_user
from cluster.cli.options import add_database_options, loaded
from cluster.event_archive import database_of
from policy.audit import sealing
from policy.identity import passwords
from storage.ports.audit_log import AuditDraft
from storage.ports.people import Person, PersonChange
from storage.ports.policy import Audit
from storage.postgres.audit_log import PostgresAuditLog
from storage.postgres.people.people import PostgresPeopleStore
from storage.postgres.pool import Database

MAX_LISTED = 10_000
MAX_FILE_BYTES = 4096
NAME = re.compile(r"\A[a-z0-9][a-z0-9._@-]{0,63}\Z")
ROLE = re.compile(r"\A[a-z][a-z0-9._-]{0,63}\Z")

EXAMPLES = """examples:
  eyrie users add ada --role viewer --site garage        asks for the password, without echo
  eyrie users add ada --role admin --site "*" --password-file ada.txt     a file that only you can read (0600)
  eyrie users list
  eyrie users password ada                               another one; open sessions end
  eyrie users roles ada --role operator --site garage    instead of those before; open sessions end
  eyrie users disable ada                                no sign-in, and open sessions end within seconds
  eyrie users enable ada

A password has 12 to 256 characters. No command prints one, or a token.
exit codes: 0 done, 1 failed, 2 wrong usage
"""  # noqa: E501


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "users",
        help="people who sign in with a password",
        description="People who sign in with a password, their roles and sites.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="command")
    for kind, text in (
        ("add", "somebody new"),
        ("list", "everybody"),
        ("password", "another password"),
        ("roles", "other roles and sites"),
        ("disable", "no sign-in from now on"),
        ("enable", "sign-in again"),
    ):
        one = kinds.add_parser(
            kind,
            help=text,
            epilog=EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_database_options(one, changes=kind != "list")
        _add_options(one, kind)


def _add_options(one: argparse.ArgumentParser, kind: str) -> None:
    if kind != "list":
        one.add_argument("name", help="who: lower-case letters, digits, '.', '_', '@', '-'")
    if kind in ("add", "roles"):
        one.add_argument("--role", action="append", required=True, help="may repeat")
        one.add_argument(
            "--site", action="append", required=True, help="a site, '*' for all (may repeat)"
        )
    if kind in ("add", "password"):
        one.add_argument(
            "--password-file",
            type=Path,
            metavar="FILE",
            help="read the password from this file (0600) instead of asking for it",
        )


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when done."""
    source = arguments.source or stored_at(loaded(arguments).settings)
    if arguments.kind == "list":
        with database_of(source) as settings:
            return _tell(asyncio.run(_all(settings)), as_json=arguments.json)
    key = sealing_key(arguments)
    change = _wanted(arguments)
    with database_of(source) as settings:
        asyncio.run(_change(settings, key, arguments.kind, arguments.name, change))
    if arguments.json:
        console.emit({"user": arguments.name, "done": arguments.kind})
    else:
        console.say(f"{arguments.name}: {_DONE[arguments.kind]}", style="green")
    return console.OK


_DONE = {
    "add": "may sign in",
    "password": "has another password; open sessions end",
    "roles": "has other roles and sites; open sessions end",
    "disable": "may not sign in; open sessions end",
    "enable": "may sign in again",
}


def _wanted(arguments: argparse.Namespace) -> PersonChange:
    """What the command line asks for. Raises BadInput, ConfigError."""
    if NAME.match(arguments.name) is None:
        raise BadInput(f"{arguments.name[:80]!r} is no name of a user", hint="See --help.")
    roles = sites = password = None
    if arguments.kind in ("add", "roles"):
        roles, sites = sorted(set(arguments.role)), sorted(set(arguments.site))
        for role in roles:
            if ROLE.match(role) is None:
                raise BadInput(f"{role[:80]!r} is no name of a role", hint="Such as viewer.")
        for site in sites:
            if site != "*" and not is_id(site):
                raise BadInput(f"{site[:80]!r} is no id of a site", hint="Or '*' for all.")
    if arguments.kind in ("add", "password"):
        password = passwords.sealed(_password(arguments.password_file))
    disabled = {"disable": True, "enable": False}.get(arguments.kind)
    return PersonChange(password, roles, sites, disabled)


def _password(path: Path | None) -> str:
    if path is not None:
        return _from_file(path)
    if not sys.stdin.isatty():
        raise BadInput(
            "a password is asked for on a terminal", hint="Elsewhere give --password-file."
        )
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise BadInput("the two passwords are not the same")
    return first


def _from_file(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode) or mode & 0o077:
                raise ConfigError(
                    f"{path} is no file of yours alone", hint=f"Run: chmod 600 {path}"
                )
            read = file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return read.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise BadInput(f"what is in {path} is no text") from None


async def _all(settings: Any) -> list[Person]:
    database = await Database.open(settings, name="users")
    try:
        return await PostgresPeopleStore(database).all(MAX_LISTED)
    finally:
        await database.close()


async def _change(settings: Any, key: bytes, kind: str, name: str, change: PersonChange) -> None:
    database = await Database.open(settings, name="users")
    try:
        store = PostgresPeopleStore(database)
        audit = _audit(database, key, kind, name, change)
        if kind == "add":
            person = Person(name, change.password or "", change.roles or [], change.sites or [])
            if not await store.add(person, audit=audit):
                raise Conflict(f"there is a user {name}", hint="`eyrie users password` changes it.")
        elif not await store.change(name, change, audit=audit):
            raise NotFound(f"there is no user {name}", hint="`eyrie users list` names them.")
    finally:
        await database.close()


def _audit(database: Database, key: bytes, kind: str, name: str, change: PersonChange) -> Audit:
    told = (
        f"roles {','.join(change.roles)}; sites {','.join(change.sites or [])}"
        if change.roles is not None
        else ""
    )
    draft = AuditDraft(f"{machine_user()} (eyrie users)", "", f"user.{kind}", name, told)
    return PostgresAuditLog(database).writer(sealing(key, draft))


def _tell(people: list[Person], *, as_json: bool) -> int:
    shown = [
        {
            "user": person.name,
            "roles": person.roles,
            "sites": person.sites,
            "disabled": person.disabled,
        }
        for person in people
    ]
    if as_json:
        console.emit(shown)
        return console.OK
    for person in people:
        console.say(
            f"{person.name}  {','.join(person.roles)}  {','.join(person.sites)}"
            + ("  disabled" if person.disabled else "")
        )
    console.note(console.counted(len(people), "user"))
    return console.OK
