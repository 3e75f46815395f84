"""Which Node.js will do, and what counts as a change."""

from pathlib import Path

import pytest

from tools import build_console


@pytest.mark.parametrize("version", ["v20.19.0", "v20.20.2", "v22.12.0", "v24.1.0\n"])
def test_new_enough(version: str) -> None:
    assert build_console.new_enough(version)


@pytest.mark.parametrize("version", ["v18.20.4", "v20.18.3", "v21.7.0", "v22.11.0", "", "nonsense"])
def test_too_old(version: str) -> None:
    assert not build_console.new_enough(version)


def test_every_source_and_the_lock_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_console, "CONSOLE", tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.ts").write_text("one", encoding="utf-8")
    (tmp_path / "package-lock.json").write_text("{}", encoding="utf-8")
    (tmp_path / "node_modules").mkdir()
    first = build_console.digest(build_console.sources())
    (tmp_path / "node_modules" / "other.js").write_text("not a source", encoding="utf-8")
    assert build_console.digest(build_console.sources()) == first
    (tmp_path / "src" / "main.ts").write_text("two", encoding="utf-8")
    second = build_console.digest(build_console.sources())
    assert second != first
    (tmp_path / "package-lock.json").write_text("{ }", encoding="utf-8")
    assert build_console.digest(build_console.sources()) not in {first, second}


def test_an_unchanged_console_is_not_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_console, "STATIC", tmp_path)
    monkeypatch.setattr(build_console, "STAMP", tmp_path / ".built-from")
    monkeypatch.setattr("sys.argv", ["build_console", "--node", "machine"])
    monkeypatch.setenv("PATH", str(tmp_path))  # no Node.js there: a build would fail
    assert build_console.main() == 1
    (tmp_path / "index.html").write_text("built", encoding="utf-8")
    (tmp_path / ".built-from").write_text(
        build_console.digest(build_console.sources()), encoding="ascii"
    )
    assert build_console.main() == 0
