"""A launcher ends a hub of its node that is stopped, and nobody else: not one that only sleeps, not
one that goes on in time, no other process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cluster.launcher.stopped_hubs import STOPPED_S, StoppedHubs
from tests.support.processes import frozen, gone
from tests.support.waiting import block_until

SLEEPS = "import time; print(flush=True); time.sleep(600)"
HUB = "ray::RayHub"


@contextmanager
def process(title: str, *, stopped: bool) -> Iterator[int]:
    """A child of that title, at rest or stopped."""
    with subprocess.Popen(
        [title, "-c", SLEEPS], executable=sys.executable, stdout=subprocess.PIPE
    ) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            if stopped:
                os.kill(child.pid, signal.SIGSTOP)
                block_until(lambda: frozen(child.pid), "that it is stopped")
            yield child.pid
        finally:
            child.kill()


class Watch:
    """Looks a second apart, and what a person was told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[str] = []
        self._hubs = StoppedHubs(self.told.append, now=lambda: self.now)

    def looks(self, count: int) -> None:
        """So many."""
        for _ in range(count):
            self._hubs.check()
            self.now += 1.0


def test_a_hub_that_is_stopped_is_ended_in_time() -> None:
    with process(HUB, stopped=True) as pid:
        watch = Watch()
        watch.looks(int(STOPPED_S))
        assert (watch.told, gone(pid)) == ([], False)
        watch.looks(1)
        block_until(lambda: gone(pid), "its end")
        watch.looks(10)
        assert len(watch.told) == 1
        assert str(pid) in watch.told[0]


@pytest.mark.parametrize(
    ("title", "stopped"),
    [(HUB, False), ("ray::RayPolicy", True), ("postgres", True)],
    ids=["at-rest", "a-policy-replica", "another"],
)
def test_nobody_else_is_ended(title: str, stopped: bool) -> None:
    with process(title, stopped=stopped) as pid:
        watch = Watch()
        watch.looks(20)
        assert (watch.told, gone(pid)) == ([], False)


def test_a_hub_that_goes_on_in_time_begins_again() -> None:
    with process(HUB, stopped=True) as pid:
        watch = Watch()
        watch.looks(int(STOPPED_S))
        os.kill(pid, signal.SIGCONT)
        block_until(lambda: not frozen(pid), "that it goes on")
        watch.looks(1)
        os.kill(pid, signal.SIGSTOP)
        block_until(lambda: frozen(pid), "that it is stopped again")
        watch.looks(int(STOPPED_S))
        assert (watch.told, gone(pid)) == ([], False)
