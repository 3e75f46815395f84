"""``python -m load_tests find-limit`` as its user runs it: the search ends in time, with a limit,
its reason and its page."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.prove, pytest.mark.timeout(300)]

BUDGET_S = 90


def test_a_limit_is_found_within_the_budget(tmp_path: Path) -> None:
    # A processor objective breaks at a small load, whatever the machine.
    options = [
        "--set",
        "cameras=8",
        "--set",
        "dashboards=2",
        "--set",
        "fps=100",
        "--objective",
        "cores<0.3",
        "--objective",
        "ack_p99_s<2",
    ]
    command = [
        sys.executable,
        "-m",
        "load_tests",
        "find-limit",
        "steady",
        *options,
        "--step",
        "5",
        "--budget",
        str(BUDGET_S),
    ]
    began = time.monotonic()
    ran = subprocess.run(
        [*command, "--out", str(tmp_path)], check=False, capture_output=True, text=True, timeout=240
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert time.monotonic() - began < BUDGET_S + 60  # the stack stops after the search
    result = json.loads((tmp_path / "limit-steady-32-1.json").read_bytes())
    assert 0 < result["limit_per_s"] < result["broken_per_s"]
    assert result["broke"] != []
    assert f"{result['limit_per_s']:,.0f} observations a second hold" in ran.stdout
    assert result["bottleneck"] in ran.stdout
    assert "<svg" in (tmp_path / "limit-steady-32-1.html").read_text()
