"""Issue 7, *Must show*: the checker of a run is red for each broken variant of the product, on the
real stack, and names the invariant."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.load.broken_product import OF_FAULTS, OF_GROWTH, VARIANTS, environment

pytestmark = [pytest.mark.ray, pytest.mark.prove, pytest.mark.timeout(600)]

RUN_S = 500
SMALL = (
    'name = "broken"\ncameras = 4\nsockets = 2\nfps = 8.0\ndashboards = 6\nsdk_dashboards = '
    "0\nclient_share = 0.0\nduration_s = 8.0\n"
)
KILLED = '[[acts]]\nat = 0.4\nkind = "kill-actor"\n'
RESENT = "resend_every = 1\n"
EXPECTED = {
    "ack-before-commit": ("I1", ""),
    "duplicates-applied": ("I2", RESENT),
    "broken-chain": ("I3", ""),
    "generation-kept": ("I4", KILLED),
    "events-dropped": ("I5", ""),
    "staleness-untold": ("I6", ""),
    "made-up-events": ("I7", ""),
    "events-lost": ("I8", ""),
    "receive-times": ("I9", ""),
    "leaked-files": ("I10", ""),
    "old-generations": ("I11", KILLED),
    "undocumented-close": ("I12", ""),
}
# More than the small run: silence takes ten seconds, a successor some, and a walker its way over
# the line.
OPTIONS = {
    "staleness-untold": ("--duration", "26"),
    "generation-kept": ("--duration", "14"),
    "old-generations": ("--duration", "14"),
    "duplicates-applied": ("--set", "fps=20"),
}
SEED = 1
# The faults of these runs: name, at which share of the run, for how many seconds; and what must be
# red.
FAULTS = (
    'name = "broken"\ncameras = 4\nsockets = 2\ndashboards = 6\nsdk_dashboards = '
    "0\nduration_s = 100.0\nbudget_p99_s = 120.0\n"
)
STRUCK = '[[acts]]\nkind = "fault"\nwhat = "{}"\nat = {}\nfor_s = {}\n'
OF_THEM = {
    "supervisor-asleep": ("I13", [("kill-supervisor", 0.1, 0), ("kill-hub", 0.35, 0)]),
    "age-untold": ("I6", [("freeze-postgres", 0.2, 30)]),
}


def test_every_invariant_has_a_variant() -> None:
    assert EXPECTED.keys() == VARIANTS.keys()
    assert [invariant for invariant, _ in EXPECTED.values()] == [
        f"I{number}" for number in range(1, 13)
    ]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_of_a_broken_product_is_red(variant: str, tmp_path: Path) -> None:
    invariant, more = EXPECTED[variant]
    scenario = tmp_path / "broken.toml"
    scenario.write_text(SMALL + more)
    command = [
        sys.executable,
        "-m",
        "load_tests",
        "run",
        str(scenario),
        "--seed",
        str(SEED),
        "--out",
        str(tmp_path),
    ]
    command += OPTIONS.get(variant, ())
    ran = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        env=environment(variant),
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    result = json.loads((tmp_path / f"broken-{SEED}.json").read_bytes())
    red = {line["invariant"]: line for line in result["verdict"] if line["status"] == "red"}
    assert invariant in red, ran.stdout
    assert red[invariant]["first"], "the first offence is named"


def run_with_faults(variant: str, folder: Path, env: dict[str, str]) -> dict[str, str]:
    """The lines of its verdict: invariant → status."""
    scenario = folder / "broken.toml"
    scenario.write_text(FAULTS + "".join(STRUCK.format(*one) for one in OF_THEM[variant][1]))
    command = [
        sys.executable,
        "-m",
        "load_tests",
        "run",
        str(scenario),
        "--seed",
        str(SEED),
        "--out",
        str(folder),
    ]
    ran = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=RUN_S, env=env
    )
    report = folder / f"broken-{SEED}.json"
    assert report.exists(), ran.stdout[-3000:] + ran.stderr[-3000:]
    return {
        line["invariant"]: line["status"] for line in json.loads(report.read_bytes())["verdict"]
    }


@pytest.mark.parametrize("variant", OF_FAULTS)
def test_a_run_with_faults_of_a_broken_product_is_red_and_of_the_sound_one_is_not(
    variant: str, tmp_path: Path
) -> None:
    invariant, struck = OF_THEM[variant]
    broken = run_with_faults(variant, tmp_path, environment(variant))
    assert broken[invariant] == "red", broken
    sound = run_with_faults(variant, tmp_path, dict(os.environ))
    assert sound[invariant] == sound["faults"] == "green", (struck, sound)


@pytest.mark.parametrize("variant", OF_GROWTH)
def test_a_short_soak_of_a_product_that_leaks_is_red(variant: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "load_tests",
        "run",
        "soak",
        "--duration",
        "60",
        "--set",
        "sdk_dashboards=0",
        "--out",
        str(tmp_path),
    ]
    ran = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        env=environment(variant),
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    result = json.loads((tmp_path / "soak-1.json").read_bytes())
    (line,) = [line for line in result["verdict"] if line["invariant"] == "growth"]
    assert line["status"] == "red", ran.stdout
    what = variant.partition("-")[2]
    assert any(not one["flat"] and what in one["name"] for one in result["growth"]), line
