"""What every test run shares: which tests run beside each other, and skips that must not pass unseen in continuous integration."""

import os
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
WHOLE_MACHINE = ("acceptance", "integration/cluster")  # they start whole stacks: one after the other


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that drive a browser or start Ray get more time than the common limit, unless they name their own.

    With several test processes, those that start whole stacks are one group, and otherwise each file is one: its fixtures start once.
    """
    for item in items:
        place = item.path.relative_to(TESTS).as_posix()
        group = "whole-machine" if place.startswith(WHOLE_MACHINE) else place
        item.add_marker(pytest.mark.xdist_group(group))
        slow = any(item.get_closest_marker(name) for name in ("browser", "ray"))
        if slow and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With ``NO_SKIPS=1`` a skipped test fails the run: there, everything that tests need has been installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped and os.environ.get("NO_SKIPS") == "1" and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"\nNO_SKIPS=1, and {len(skipped)} tests were skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
