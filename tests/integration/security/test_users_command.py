"""``eyrie users`` on a real database: who may sign in afterwards, what stands in the audit log, and
that no password is shown."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.cli.main import main
from policy.identity import passwords
from storage.postgres.people.people import PostgresPeopleStore
from storage.stores import Stores
from tests.support.servers.store_fixtures import Servers

GOOD, OTHER = "correct horse battery", "staple of another kind"
Say = Callable[..., Any]


@pytest.fixture
def say(servers: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs the command; (exit code, all that it showed)."""
    key = tmp_path / "key"
    key.write_text("0123456789abcdef0123456789abcdef")
    key.chmod(0o600)

    async def run(*words: str) -> tuple[int, str]:
        options = ["--source", servers.settings.postgres.dsn, "--data-dir", str(tmp_path)]
        options += [] if words[0] == "list" else ["--key-file", str(key)]
        code = await asyncio.to_thread(main, ["users", *words, *options])
        return code, "".join(capsys.readouterr())

    return run


def kept(folder: Path, password: str, mode: int = 0o600) -> str:
    """A file with a password."""
    file = folder / "password.txt"
    file.write_text(password + "\n")
    file.chmod(mode)
    return str(file)


async def test_the_life_of_a_user(stores: Stores, tmp_path: Path, say: Say) -> None:
    people = PostgresPeopleStore(stores.database)
    roles = ("--role", "viewer", "--site", "north")
    shown = [await say("add", "ada", *roles, "--password-file", kept(tmp_path, GOOD))]
    ada = await people.person("ada")
    assert ada is not None
    assert (ada.roles, ada.sites, ada.disabled) == (["viewer"], ["north"], False)
    assert passwords.matches(GOOD, ada.password)
    assert await people.open("s", b"s" * 32, ada, life_s=600, idle_s=600)
    shown.append(await say("password", "ada", "--password-file", kept(tmp_path, OTHER)))
    shown.append(await say("roles", "ada", "--role", "operator", "--site", "*"))
    shown.append(await say("disable", "ada"))
    ada = await people.person("ada")
    assert ada is not None
    assert (ada.roles, ada.sites, ada.disabled) == (["operator"], ["*"], True)
    assert passwords.matches(OTHER, ada.password)
    assert await people.end(b"s" * 32) is None, "her session is over"
    code, listed = await say("list", "--json")
    assert json.loads(listed) == [
        {"user": "ada", "roles": ["operator"], "sites": ["*"], "disabled": True}
    ]
    shown += [(code, listed), await say("enable", "ada")]
    assert [code for code, _ in shown] == [0] * 6
    said = "".join(text for _, text in shown)
    assert all(hidden not in said for hidden in (GOOD, OTHER, "argon2"))
    entries = await stores.audit_log.before(2**62, 10)
    assert [(entry.action, entry.target, entry.detail) for entry in reversed(entries)] == [
        ("user.add", "ada", "roles viewer; sites north"),
        ("user.password", "ada", ""),
        ("user.roles", "ada", "roles operator; sites *"),
        ("user.disable", "ada", ""),
        ("user.enable", "ada", ""),
    ]


async def test_what_is_refused_changes_nothing(stores: Stores, tmp_path: Path, say: Say) -> None:
    roles = ("--role", "viewer", "--site", "north")
    for words, expected in (
        (("add", "Ada!", *roles), 2),
        (("add", "ada", "--role", "Some Role", "--site", "north"), 2),
        (("add", "ada", "--role", "viewer", "--site", "no site"), 2),
    ):
        given = (*words, "--password-file", kept(tmp_path, GOOD))
        assert (await say(*given))[0] == expected
    for password, mode in (("too short", 0o600), (GOOD, 0o644)):
        code, said = await say(
            "add", "ada", *roles, "--password-file", kept(tmp_path, password, mode)
        )
        assert (code, password in said) == (2, False)
    for kind in ("disable", "enable"):
        assert (await say(kind, "nobody"))[0] == 1
    assert await stores.audit_log.before(2**62, 10) == []
    assert await PostgresPeopleStore(stores.database).all(10) == []
    assert (await say("add", "ada", *roles, "--password-file", kept(tmp_path, GOOD)))[0] == 0
    assert (await say("add", "ada", *roles, "--password-file", kept(tmp_path, OTHER)))[0] == 1
