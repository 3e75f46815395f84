"""Which Pythons are taken: those of the package's range are found, on another `make` says so before
it begins."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.pythons import ROOT, found, supported


def stand_in(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    path.chmod(0o755)
    return path


def test_make_refuses_another_python_before_it_begins(tmp_path: Path) -> None:
    old = stand_in(
        tmp_path / "python3.10", 'case "$1" in --version) echo "Python 3.10.13";; *) exit 1;; esac'
    )
    done = subprocess.run(
        ["make", "install", f"PYTHON={old}", f"VENV={tmp_path}/venv"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert (
        f"Eyrie needs Python 3.{supported()[0]} to 3.{supported()[-1]}, and {old} is Python 3.10.13"
        in done.stderr
    )
    assert "make PYTHON=" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_pythons_are_found_by_asking_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, last = supported()[0], supported()[-1]
    stand_in(tmp_path / f"python3.{first}", f"echo {first}")
    stand_in(tmp_path / f"python3.{last}", "exit 127")  # a name without a Python behind it
    (tmp_path / "pyenv" / "versions" / f"3.{last}.1" / "bin").mkdir(parents=True)
    kept = stand_in(
        tmp_path / "pyenv" / "versions" / f"3.{last}.1" / "bin" / "python3", f"echo {last}"
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert found()[last] == kept
    assert found()[first] == tmp_path / f"python3.{first}"
    assert list(found()) == sorted(found(), reverse=True)


def test_the_other_python_is_of_another_line() -> None:
    done = subprocess.run(
        [sys.executable, "-B", ROOT / "tools" / "pythons.py", "--other"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    others = [path for minor, path in found().items() if minor != sys.version_info[1]]
    assert done.stdout.splitlines() == [str(path) for path in others[:1]]
    assert done.returncode == (0 if others else 1)
