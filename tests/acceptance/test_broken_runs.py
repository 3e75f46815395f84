"""Issue 7, *Must show*: the checker of a run is red for each broken variant of the product, on the real stack, and names the invariant."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.broken_product import VARIANTS, environment

pytestmark = [pytest.mark.ray, pytest.mark.prove, pytest.mark.timeout(240)]

RUN_S = 200
SMALL = 'name = "broken"\ncameras = 4\nsockets = 2\nfps = 8.0\ndashboards = 6\nsdk_dashboards = 0\nclient_share = 0.0\nduration_s = 8.0\n'
KILLED = '[[acts]]\nat = 0.4\nkind = "kill-actor"\n'
RESENT = "resend_every = 1\n"
EXPECTED = {
    "ack-before-commit": ("I1", ""), "duplicates-applied": ("I2", RESENT), "broken-chain": ("I3", ""), "generation-kept": ("I4", KILLED),
    "events-dropped": ("I5", ""), "staleness-untold": ("I6", ""), "made-up-events": ("I7", ""), "events-lost": ("I8", ""),
    "receive-times": ("I9", ""), "leaked-files": ("I10", ""), "old-generations": ("I11", KILLED), "undocumented-close": ("I12", ""),
}  # fmt: skip
# More than the small run: silence takes ten seconds, a successor some, and a walker its way over the line.
OPTIONS = {
    "staleness-untold": ("--duration", "26"), "generation-kept": ("--duration", "14"), "old-generations": ("--duration", "14"),
    "duplicates-applied": ("--set", "fps=20"),
}  # fmt: skip
SEED = 1


def test_every_invariant_has_a_variant() -> None:
    assert EXPECTED.keys() == VARIANTS.keys()
    assert [invariant for invariant, _ in EXPECTED.values()] == [f"I{number}" for number in range(1, 13)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_of_a_broken_product_is_red(variant: str, tmp_path: Path) -> None:
    invariant, more = EXPECTED[variant]
    scenario = tmp_path / "broken.toml"
    scenario.write_text(SMALL + more)
    command = [sys.executable, "-m", "load_tests", "run", str(scenario), "--seed", str(SEED), "--out", str(tmp_path)]
    command += OPTIONS.get(variant, ())
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=RUN_S, env=environment(variant))
    assert ran.returncode == 1, ran.stdout + ran.stderr
    result = json.loads((tmp_path / f"broken-{SEED}.json").read_bytes())
    red = {line["invariant"]: line for line in result["verdict"] if line["status"] == "red"}
    assert invariant in red, ran.stdout
    assert red[invariant]["first"], "the first offence is named"
