"""A data directory belongs to one major line of PostgreSQL: a minor release goes on with it,
another line is refused."""

from pathlib import Path

import pytest

from actors.core.errors import StartError
from storage.embedded.packages import POSTGRES
from storage.embedded.postgres import check_line


def cluster(folder: Path, name: str, line: str) -> None:
    (folder / name).mkdir()
    (folder / name / "PG_VERSION").write_text(f"{line}\n", encoding="ascii")


@pytest.mark.parametrize("names", [[], [POSTGRES.line], ["17", POSTGRES.line], ["17.new"]], ids=str)
def test_an_empty_folder_and_one_of_our_line_are_taken(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        cluster(tmp_path, name, name.removesuffix(".new"))
    check_line(tmp_path)


@pytest.mark.parametrize(("name", "line"), [("17", "17"), ("19", "19"), (POSTGRES.line, "17")])
def test_a_database_of_another_line_is_refused_with_what_to_do(
    tmp_path: Path, name: str, line: str
) -> None:
    cluster(tmp_path, name, line)
    with pytest.raises(
        StartError, match=f"of PostgreSQL {line}, and this Eyrie runs PostgreSQL {POSTGRES.line}"
    ) as refused:
        check_line(tmp_path)
    assert "pg_dump" in refused.value.next_step
    assert "--data-dir" in refused.value.next_step
