"""Where policies are read from, and how a revision is told."""

from pathlib import Path

import pytest

from actors.core.errors import ConfigError
from policy.engine.modules import read_sources, read_tests, revision


def test_tests_are_no_part_of_the_policy() -> None:
    assert "authz.rego" in read_sources()
    assert not set(read_sources()) & set(read_tests())


def test_a_revision_names_content_and_file_names() -> None:
    one = {"a.rego": "x", "b.rego": "y"}
    assert revision(one) == revision(dict(reversed(one.items())))
    others = [
        {"a.rego": "xb.regoy"},
        {"a.rego": "x"},
        {"a.rego": "x", "c.rego": "y"},
        {"a.rego": "y", "b.rego": "x"},
    ]
    assert len({revision(sources) for sources in [one, *others]}) == 5
    assert len(revision(one)) == 64


def test_120_links_huge_files_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 to"):
        read_sources(str(tmp_path))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_sources(str(tmp_path / "absent"))
    (tmp_path / "a.rego").write_bytes(b"\xff\xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_sources(str(tmp_path))
    (tmp_path / "a.rego").write_bytes(b"x" * 70_000)
    with pytest.raises(ConfigError, match="longer"):
        read_sources(str(tmp_path))
    (tmp_path / "a.rego").unlink()
    (tmp_path / "a.rego").symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="regular file"):
        read_sources(str(tmp_path))
