"""``python -m load_tests run`` as its user runs it: a stack of its own, a verdict, a report, and
nothing left behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]

RUN_S = 180


def load_tests(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "load_tests", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=RUN_S)


def test_a_short_run_is_green_and_leaves_a_report(tmp_path: Path) -> None:
    options = [
        "--duration",
        "5",
        "--set",
        "cameras=4",
        "--set",
        "dashboards=4",
        "--set",
        "fps=5",
        "--out",
        str(tmp_path),
    ]
    ran = load_tests("run", "steady", "--seed", "11", *options)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "seed 11: green" in ran.stdout
    result = json.loads((tmp_path / "steady-11.json").read_bytes())
    assert result["sent"] == result["acked"] > 0
    assert {line["invariant"] for line in result["verdict"] if line["status"] == "green"} == {
        f"I{number}" for number in range(1, 13)
    }
    assert {path.stem for path in (tmp_path / "steady-11-histories").glob("*.jsonl")} == {
        "raw-0",
        "raw-1",
        "client-0",
        "dashboards-0",
        "sdk-0",
    }
    assert "<svg" in (tmp_path / "steady-11.html").read_text()
    path = str(tmp_path / "steady-11.json")
    assert load_tests("compare", path, path).returncode == 0


def test_what_cannot_be_run_ends_with_one_and_a_reason() -> None:
    ran = load_tests("run", "nothing")
    assert (ran.returncode, "there is no scenario nothing" in ran.stderr) == (1, True)
