"""Loading of statements and scripts."""

import pytest

from storage.postgres.statements import split_statements, sql
from storage.redis.scripts import NAMES, lua


def test_blocks_become_statements_without_their_semicolon() -> None:
    text = "-- a head\n\n-- name: one\nSELECT 1;\n\n-- name: two\n-- why\nSELECT 2\nFROM t;\n"
    assert split_statements(text) == {"one": "SELECT 1", "two": "-- why\nSELECT 2\nFROM t"}


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match=r"'one'"):
        split_statements("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n")


@pytest.mark.parametrize(
    "file", ["cameras", "events", "registry", "dead_letters", "fleet", "policy", "audit_log"]
)
def test_every_file_has_statements(file: str) -> None:
    assert all(statement and ";" not in statement for statement in sql(file).values())


def test_every_script_is_there() -> None:
    assert all(lua(name).startswith("--") for name in NAMES)
