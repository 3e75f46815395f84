"""The screen of a run, and the lines where there is no terminal."""

import io

import pytest
from rich.console import Console

from load_tests.harness.scenarios import READY_MADE
from load_tests.runs.live_view import LiveView, line_of, small_curve
from load_tests.runs.result import Happened, Second

SECOND = Second(
    12.0,
    200.0,
    199.0,
    0.12,
    0.25,
    0.3,
    19,
    {"hub": 0.21, "camera": 0.4},
    {"hub": 2**27, "camera": 2**28},
    201.0,
    44.0,
    2,
    4_711,
    3,
    0.4,
)
DONE = [Happened(4.0, "storm"), Happened(11.5, "hub replaced")]


def test_a_terminal_is_shown_everything_that_a_watcher_asks_for() -> None:
    out = io.StringIO()
    view = LiveView(
        READY_MADE["steady"],
        7,
        Console(file=out, force_terminal=True, width=110, color_system=None),
    )
    with view:
        view.say("127.0.0.1:1: 20 cameras")
        view.show(SECOND, DONE)
        console = Console(file=(seen := io.StringIO()), width=110)
        console.print(view.screen())
    text = seen.getvalue()
    for word in (
        "steady, seed 7",
        "12 of 60 s, 48 s left",
        "4,711",
        "250 ms",
        "hub",
        "0.40",
        "256 MiB",
        "12 s hub replaced",
        "gaps",
        "19",
    ):
        assert word in text, word
    assert max(len(line) for line in text.splitlines()) <= 110


def test_elsewhere_there_is_a_line_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveView(
        READY_MADE["steady"], 7, Console(file=io.StringIO(), force_terminal=False)
    ) as view:
        view.show(SECOND, DONE)
    said = capsys.readouterr().out
    assert said == line_of(SECOND, DONE) + "\n"
    assert "[hub replaced]" in said
    assert "[storm]" not in said  # that was told in its own second
    assert "\x1b" not in said


def test_a_small_curve_has_its_greatest_value_on_top() -> None:
    assert small_curve([0.0, 4.0, 8.0]) == "▁▅█"
    assert small_curve([0.0, 0.0]) == "▁▁"
    assert small_curve([0.5], 1.0) == "▅"
