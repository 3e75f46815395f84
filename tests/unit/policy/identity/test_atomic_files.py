"""Files that are there whole or not at all."""

from pathlib import Path

import pytest

from actors.core.errors import ConfigError
from policy.identity.atomic_files import write_whole


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_it_replaces_what_was_there_and_has_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")
    write_whole(path, b"new", mode)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", mode)
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_whole(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
