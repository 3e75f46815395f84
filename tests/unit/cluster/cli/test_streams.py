"""`eyrie` where its output is no terminal: a pipe that ends early, an encoding without our
characters."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
EYRIE = [sys.executable, "-m", "cluster.cli.main"]


def run(*words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*EYRIE, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
        timeout=60,
    )


def test_the_version_is_told() -> None:
    told = run("--version")
    assert (told.returncode, told.stdout.startswith("eyrie ")) == (0, True)


def test_help_is_printed_where_the_encoding_has_no_such_characters() -> None:
    told = run("tail", "--help", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (told.returncode, told.stderr) == (0, "")
    assert "\\u2026" in told.stdout


def test_a_reader_that_goes_away_is_no_failure(tmp_path: Path) -> None:
    """A table (rich's own writer) and JSON alike."""
    for words in (["config"], ["config", "--json"]):
        gone, ours = os.pipe()
        os.close(gone)
        try:
            command = [*EYRIE, *words, "--data-dir", str(tmp_path)]
            told = subprocess.run(
                command,
                cwd=ROOT,
                stdout=ours,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
                timeout=60,
            )
        finally:
            os.close(ours)
        assert (told.returncode, told.stderr) == (0, ""), words
