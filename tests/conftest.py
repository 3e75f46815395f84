"""What every test run shares: which tests run beside each other, and skips that must not pass
unseen in continuous integration."""

import os
import random
import sys
from importlib.util import find_spec
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

if find_spec("sniffio") is None:
    # httpcore tries to import it for every connection, lock and request, each time through all of
    # the path and pytest's own finder.
    sys.modules["sniffio"] = None  # type: ignore[assignment]

# Without deadlines: how long an example takes says what else the machine does. The examples are the
# same in every run, so that none fails by chance; `make prove` looks for others.
hypothesis.settings.register_profile("the same", deadline=None, derandomize=True)
hypothesis.settings.register_profile("others", deadline=None, print_blob=True)
hypothesis.settings.load_profile("the same")

WHOLE_MACHINE = (
    "tests/acceptance/",
    "tests/integration/cluster/",
)  # they start whole stacks: one after the other


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--random-order SEED``: files in an order that the seed decides, and the tests within
    each."""
    parser.addoption(
        "--random-order",
        type=int,
        metavar="SEED",
        help="run files, and the tests within each, in an order of this seed",
    )


def pytest_report_header(config: pytest.Config) -> str:
    """Say the seed, so that an order can be had again."""
    seed = config.getoption("random_order")
    return "order: as written" if seed is None else f"order: --random-order {seed}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that drive a browser or start Ray get more time than the common limit, unless they name
    their own."""
    if (seed := config.getoption("random_order")) is not None:
        dice = random.Random(seed)
        dice.shuffle(items)
        place: dict[str, int] = {}
        for item in items:
            place.setdefault(item.nodeid.partition("::")[0], len(place))
        items.sort(key=lambda item: place[item.nodeid.partition("::")[0]])
    for item in items:
        slow = any(item.get_closest_marker(name) for name in ("browser", "ray"))
        if slow and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


class ByMachineAndFile(LoadScopeScheduling):  # type: ignore[misc]
    """What several test processes share out: each file as a whole, so that its fixtures start once,
    and all whole stacks to one of them."""

    def _split_scope(self, nodeid: str) -> str:
        return "whole machine" if nodeid.startswith(WHOLE_MACHINE) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """See pytest-xdist. Its own groups do nothing with pytest 9.2, whose ids of tests cannot be
    written to."""
    return ByMachineAndFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With ``NO_SKIPS=1`` a skipped test fails the run: there, everything that tests need has been
    installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped and os.environ.get("NO_SKIPS") == "1" and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"\nNO_SKIPS=1, and {len(skipped)} tests were skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
