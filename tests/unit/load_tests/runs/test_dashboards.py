"""A run looks at what its dashboards were shown after the last of it has come, however slow the
machine is."""

from contextlib import ExitStack
from multiprocessing.connection import Connection

from load_tests.drivers.dashboard_plan import FleetReport
from load_tests.harness.child_process import BenchChild
from load_tests.runs.parts import Dashboards


def fleet(pipe: Connection, events: list[int]) -> None:
    """Reports that many events, one after the other, then the last of them again and again."""
    while pipe.recv() == "report":
        pipe.send(FleetReport(live=1, events=events.pop(0) if len(events) > 1 else events[0]))


def shown(*events: int, within_s: float) -> tuple[bool, list[int]]:
    with ExitStack() as stack:
        child = stack.enter_context(BenchChild(fleet, list(events)))
        dashboards = Dashboards([child], [], 1)
        ended = dashboards.wait_shown(within_s, look_s=0.0)
        return ended, [report.events for report in dashboards.reports]


def test_events_that_come_late_are_waited_for() -> None:
    assert shown(3, 0, 2, 0, 0, 7, within_s=30.0) == (True, [3, 0, 2, 0, 0])


def test_events_without_end_are_not() -> None:
    ended, reports = shown(1, within_s=0.2)
    assert not ended
    assert set(reports) == {1}
