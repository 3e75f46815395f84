"""Scenarios as values: schedules that no delay moves, files, and what is refused with a reason."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import StartError
from load_tests.harness.scenarios import (
    READY_MADE,
    STEP_S,
    RatePhase,
    Schedule,
    factor,
    load,
    rates,
)

RATES = st.lists(st.floats(0, 200), min_size=1, max_size=40)


@given(RATES)
def test_an_observation_is_due_when_the_schedule_says_so(steps: list[float]) -> None:
    schedule = Schedule(steps)
    assert schedule.due(len(steps) * STEP_S) == schedule.total() == schedule.due(1e6)
    before = 0.0
    for seq in range(1, schedule.total() + 1, max(1, schedule.total() // 50)):
        at_s = schedule.at(seq)
        assert before <= at_s <= len(steps) * STEP_S
        assert schedule.due(at_s + 1e-6) >= seq > schedule.due(max(0.0, at_s - 1e-3)) - 1
        before = at_s


@pytest.mark.parametrize(
    ("phase", "at_s", "expected"),
    [
        (RatePhase("burst", 10.0, 30.0, 30.0), 29.9, 1.0),
        (RatePhase("burst", 10.0, 30.0, 30.0), 30.0, 10.0),
        (RatePhase("burst", 10.0, 30.0, 30.0), 60.0, 1.0),
        (RatePhase("ramp", 2.0, 0.0, 10.0), 5.0, 1.0),
        (RatePhase("ramp", 2.0, 0.0, 10.0), 99.0, 2.0),
        (RatePhase("diurnal", 2.0, low=0.1), 0.0, 0.1),
        (RatePhase("diurnal", 2.0, low=0.1), 50.0, 2.0),
    ],
)
def test_phases_shape_the_rate(phase: RatePhase, at_s: float, expected: float) -> None:
    assert factor([phase], at_s, 100.0) == pytest.approx(expected)


def test_ready_made_ones_are_named_and_change_by_settings() -> None:
    assert set(READY_MADE) >= {
        "steady",
        "rush-hour",
        "fan-out",
        "wall",
        "reconnect-storm",
        "burst",
        "soak",
    }
    changed = load("steady", ["cameras=3", "fps=2.5"], 7.0)
    assert (changed.cameras, changed.fps, changed.duration_s) == (3, 2.5, 7.0)
    assert sum(rates(changed)) * STEP_S == pytest.approx(2.5 * 7.0)


def test_a_file_is_a_scenario(tmp_path: Path) -> None:
    path = tmp_path / "night.toml"
    path.write_text(
        'cameras = 2\nduration_s = 4\n[[phases]]\nkind = "burst"\nfactor = 3.0\nat_s = '
        "1.0\nfor_s = 2.0\n"
    )
    night = load(str(path))
    assert (night.name, night.cameras) == ("night", 2)
    assert max(rates(night)) == 3 * min(rates(night))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("nothing", []),
        ("steady", ["cameras"]),
        ("steady", ["cameras=0"]),
        ("steady", ["nothing=1"]),
        ("steady", ['fps="x"']),
        ("no.toml", []),
    ],
)
def test_what_cannot_be_run_is_named(name: str, settings: list[str]) -> None:
    with pytest.raises(StartError):
        load(name, settings)
