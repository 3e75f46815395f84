"""Issue 7, *Must show*: whole runs of `steady`, `fan-out` and `deploy` with their reports, and
short ones of the others, all of them green.

`test_broken_runs.py` shows that green means something.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from load_tests.checker.verdict import INVARIANTS

pytestmark = [pytest.mark.ray, pytest.mark.prove, pytest.mark.timeout(600)]

RUN_S = 500
WHOLE = ("steady", "fan-out", "deploy")
SHORT = {
    "bad-links": ("--duration", "45"),
    "slow-readers": ("--duration", "40"),
    "burst": (
        "--duration",
        "30",
        "--set",
        'phases=[{kind="burst",factor=10.0,at_s=8.0,for_s=10.0}]',
    ),
    "wall": ("--duration", "20"),
    "rush-hour": ("--duration", "20"),
    "reconnect-storm": ("--duration", "30"),
    "soak": ("--duration", "120"),
}
QUIET = (
    "steady",
    "fan-out",
    "wall",
    "rush-hour",
    "burst",
    "soak",
)  # nothing is planned to go wrong in these


def ran(name: str, folder: Path, *options: str, path: Path | None = None) -> dict[str, Any]:
    """The JSON of a run that ended with exit status 0."""
    command = [
        sys.executable,
        "-m",
        "load_tests",
        "run",
        str(path or name),
        "--seed",
        "7",
        "--out",
        str(folder),
        *options,
    ]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=RUN_S)
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
    result: dict[str, Any] = json.loads((folder / f"{name}-7.json").read_bytes())
    assert "<svg" in (folder / f"{name}-7.html").read_text()
    checked = {line["invariant"] for line in result["verdict"] if line["status"] == "green"}
    unchecked = (
        {"I13"}
        | ({"faults"} if name in QUIET else set())
        | ({"growth"} if name != "soak" else set())
    )
    assert checked == INVARIANTS.keys() - unchecked
    assert result["sent"] == result["acked"] > 0
    return result


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_run_is_green_in_every_invariant(name: str, tmp_path: Path) -> None:
    result = ran(name, tmp_path)
    if name == "fan-out":
        assert max(second["live"] for second in result["seconds"]) >= 1000
    if name == "deploy":
        replaced = [
            one["what"] for one in result["happened"] if one["what"].startswith("replaced hub-")
        ]
        assert len(replaced) == 2


@pytest.mark.parametrize("name", SHORT)
def test_a_short_run_is_green_in_every_invariant(name: str, tmp_path: Path) -> None:
    ran(name, tmp_path, *SHORT[name])


CHAOS = """
cameras = 12
per_actor = 4
resend_every = 10
duration_s = 50.0
[[acts]]
at = 0.15
kind = "kill-actor"
[[acts]]
at = 0.35
kind = "freeze-actor"
for_s = 20.0
"""


def test_actors_that_die_or_freeze_under_load_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "chaos.toml").write_text(CHAOS)
    result = ran("chaos", tmp_path, path=tmp_path / "chaos.toml")
    assert [one["what"] for one in result["happened"]] == ["kill-actor", "freeze-actor", "thawed"]
    assert result["resent"] > 0
