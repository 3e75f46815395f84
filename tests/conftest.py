"""What every test run shares: skips that are not allowed to pass unseen in continuous integration."""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that drive a browser or start Ray get more time than the common limit, unless they name their own."""
    for item in items:
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
