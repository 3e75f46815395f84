"""The driver processes of a run, seen from the process that leads it: started together, asked how
it goes, heard to the end."""

import time
from collections.abc import Sequence
from typing import Any

from actors.core.errors import EyrieError, StartError
from load_tests.drivers.device_plan import DeviceProgress, Drove
from load_tests.harness.child_process import BenchChild
from load_tests.harness.histogram import Histogram


class DriverPool:
    """`drivers` have their plans; they say ``welcome`` and wait to be told when to begin."""

    def __init__(self, drivers: Sequence[BenchChild]) -> None:
        self._drivers = list(drivers)
        self._progress = [DeviceProgress()] * len(self._drivers)
        self._recent = Histogram()
        self._drove: dict[int, Drove] = {}

    def welcome(self) -> None:
        """Wait until every camera of every driver is. Raises what went wrong in a driver."""
        for driver in self._drivers:
            if (said := driver.hear()) != "welcome":
                raise StartError(f"a driver process lost its place: it said {said!r}")

    def begin(self, at: float) -> None:
        """Everybody sends from `at` (perf_counter, the same clock in all processes of a
        machine)."""
        for driver in self._drivers:
            driver.pipe.send(at)

    def progress(self) -> DeviceProgress:
        """How it goes, all together; the latencies are those since the look before. Raises what
        went wrong in a driver."""
        for number, driver in enumerate(self._drivers):
            while driver.pipe.poll():
                self._take(number, driver.pipe.recv())
        recent, self._recent = self._recent, Histogram()
        told = self._progress
        return DeviceProgress(
            sum(one.sent for one in told),
            sum(one.acked for one in told),
            sum(one.resent for one in told),
            sum(one.credits for one in told),
            sum(one.waiting for one in told),
            max((one.oldest_s for one in told), default=0.0),
            dict(recent.counts),
        )

    def finish(self, within_s: float) -> list[Drove]:
        """What each of them did, once all have ended. Raises StartError after `within_s`, and what
        went wrong in a driver."""
        deadline = time.monotonic() + within_s
        for number, driver in enumerate(self._drivers):
            while number not in self._drove:
                self._take(number, driver.hear(max(0.0, deadline - time.monotonic())))
        return [self._drove[number] for number in range(len(self._drivers))]

    def _take(self, number: int, said: Any) -> None:
        match said:
            case DeviceProgress():
                self._progress[number] = said
                self._recent.merge([said.latency])
            case Drove():
                self._drove[number] = said
            case EyrieError() | OSError():
                raise said
            case _:
                raise StartError(f"a driver process lost its place: it said {said!r}")
