"""``python -m load_tests``: what its commands print, and their exit status. Nothing here starts a
stack."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from load_tests.__main__ import BENCHES, main, module_of
from load_tests.capacity.calibrate import CAMERAS
from load_tests.model_command import read
from tests.unit.load_tests.capacity.test_model import COSTS
from tests.unit.load_tests.runs.test_result import run

COMMANDS = ("run", "compare", "find-limit", "bench", "model")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"examples:\n  python -m load_tests {command}" in said


def test_every_bench_is_listed_and_is_there() -> None:
    folder = Path(__file__).parents[3] / "load_tests" / "benches"
    found = {
        path.stem
        for path in folder.rglob("*.py")
        if re.search(r"^def run\(\s*seed: int", path.read_text("utf-8"), re.MULTILINE)
    }
    assert found == set(BENCHES)
    assert all(find_spec(module_of(name)) for name in BENCHES)


def test_compare_ends_with_one_when_the_new_run_is_worse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, found in (("old", run()), ("slow", run(p50_s=0.3))):
        (tmp_path / name).write_bytes(msgspec.json.encode(found))
    old, slow = str(tmp_path / "old"), str(tmp_path / "slow")
    assert main(["compare", old, old]) == 0
    assert "WORSE" not in capsys.readouterr().out
    assert main(["compare", old, slow]) == 1
    assert "WORSE" in capsys.readouterr().out
    assert main(["compare", slow, old, "--json"]) == 0
    assert {ratio["name"] for ratio in json.loads(capsys.readouterr().out)["ratios"]} >= {
        "ack_p99_s",
        "cores.hub",
        "memory_mib",
    }
    assert main(["compare", old, str(tmp_path / "none")]) == 1
    assert "is not the JSON of a run" in capsys.readouterr().err


def test_a_model_of_given_costs_is_printed_and_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "costs.json"
    path.write_bytes(msgspec.json.encode([COSTS]))
    assert main(["model", "--costs", str(path), "--cameras", "1000", "--set", "keep_days=90"]) == 0
    said = capsys.readouterr().out
    for word in (
        "1,000 cameras",
        "Redis shards",
        "PostgreSQL rows/s",
        "kept 90 days",
        "measured 2026-03-01",
        "a test",
    ):
        assert word in said, word
    assert main(["model", "--costs", str(path), "--json"]) == 0
    needs = json.loads(capsys.readouterr().out)["needs"]
    assert [need["fleet"]["cameras"] for need in needs] == [1_000, 100_000, 10_000_000]
    assert main(["model", "--costs", str(tmp_path / "none")]) == 1
    assert "holds no unit costs" in capsys.readouterr().err


def test_a_limit_is_not_searched_for_an_objective_that_nobody_can_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["find-limit", "steady", "--objective", "speed<1"]) == 1
    assert "figures are ack_p50_s" in capsys.readouterr().err


def test_the_shipped_costs_say_where_they_are_from_and_cover_both_densities() -> None:
    costs = read(None)
    assert [cost.per_actor for cost in costs] == list(CAMERAS)
    for cost in costs:
        assert (cost.source, bool(cost.measured), bool(cost.machine.processor)) == (
            "python -m load_tests model --calibrate",
            True,
            True,
        )
        assert cost.cpu["camera"].observation_us > 0
        assert min(cost.actor_bytes, cost.dashboard_bytes, cost.row_wal_bytes, cost.event_bytes) > 0
