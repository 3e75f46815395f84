"""The embedded servers are of release lines that somebody still mends, and the papers say which."""

import datetime
import subprocess
from pathlib import Path

import pytest

from actors.core.errors import StartError
from storage.embedded.packages import (
    POSTGRES,
    SERVERS,
    VALKEY,
    EmbeddedServer,
    package_version,
    past_end_of_life,
    programs,
)
from storage.embedded.server_user import ServerUser

PAGE = Path(__file__).resolve().parents[4] / "docs" / "dependencies.md"
PROGRAMS = {"PostgreSQL": "postgres", "Valkey": "valkey-server"}

each_server = pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)


def test_no_embedded_server_is_past_its_end_of_life() -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    assert [server.name for server in past_end_of_life(today)] == [], (
        "docs/dependencies.md says how to move to another release line"
    )


def test_a_server_past_its_end_of_life_is_told() -> None:
    day = datetime.timedelta(days=1)
    for server in SERVERS:
        assert server not in past_end_of_life(server.end_of_life)
        assert server in past_end_of_life(server.end_of_life + day)


@each_server
def test_the_binary_is_of_the_line_whose_end_of_life_is_known(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    program = programs(server, ServerUser(), tmp_path / "binaries") / PROGRAMS[server.name]
    told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    number = next(
        word.removeprefix("v=") for word in told.split() if word.removeprefix("v=")[:1].isdigit()
    )
    assert number.startswith(f"{server.line}."), told
    assert package_version(server).startswith(number), "the package's version is its server's"


@each_server
def test_the_page_of_dependencies_says_how_old_it_is(server: EmbeddedServer) -> None:
    rows = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| {server.name} {server.line} |")
    ]
    assert len(rows) == 1
    assert f"{server.distribution} {package_version(server)}" in rows[0]
    assert server.released.isoformat() in rows[0]
    assert server.end_of_life.isoformat() in rows[0]
    assert server.source in rows[0]


def test_a_machine_without_binaries_is_told_what_to_do(tmp_path: Path) -> None:
    strange = EmbeddedServer(
        "Valkey",
        VALKEY.distribution,
        VALKEY.package,
        VALKEY.folder,
        "plan9-vax",
        VALKEY.line,
        VALKEY.released,
        VALKEY.end_of_life,
        "",
    )
    with pytest.raises(StartError, match="has no Valkey for") as caught:
        programs(strange, ServerUser(), tmp_path)
    assert "EYRIE_REDIS_URL" in caught.value.next_step


def test_what_the_programs_of_postgresql_promise_is_there(tmp_path: Path) -> None:
    folder = programs(POSTGRES, ServerUser(), tmp_path / "binaries")
    assert {"postgres", "initdb", "pg_isready", "psql", "pg_amcheck", "pg_verifybackup"} <= {
        path.name for path in folder.iterdir()
    }
    assert (folder.parent / "lib" / "pg_stat_statements.so").exists()
