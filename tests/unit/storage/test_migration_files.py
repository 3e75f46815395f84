"""The plan of migrations, without a database."""

import re

import pytest

from actors.core.errors import ConfigError
from storage.migrations import Migration, known, pending

ONE, TWO = Migration("0001_a", "SELECT 1"), Migration("0002_b", "SELECT 2")


def test_files_are_numbered_without_a_hole() -> None:
    names = [migration.name for migration in known()]
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert all(re.fullmatch(r"\d{4}_[a-z_]+", name) for name in names)


def test_only_what_is_missing_is_pending() -> None:
    assert pending([ONE, TWO], {}) == [ONE, TWO]
    assert pending([ONE, TWO], {ONE.name: ONE.checksum}) == [TWO]
    assert pending([ONE], {ONE.name: ONE.checksum, "0003_newer": "x"}) == []


def test_a_changed_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"0001_a"):
        pending([ONE], {ONE.name: TWO.checksum})
