"""The driver processes of a run, seen from the process that leads it: started together, asked how it goes, heard to the end."""

import time
from collections.abc import Sequence
from typing import Any

from actors.core.errors import EyrieError, StartError
from load_tests.children import Child
from load_tests.edge_driver import Driven, Progress
from load_tests.histogram import Histogram


class DriverDesk:
    """`drivers` have their plans (with `Plan.rates`) and wait for ``go``."""

    def __init__(self, drivers: Sequence[Child]) -> None:
        self._drivers = list(drivers)
        self._progress = [Progress()] * len(self._drivers)
        self._recent = Histogram()
        self._driven: dict[int, Driven] = {}

    def begin(self) -> None:
        """Everybody sends from now on."""
        for driver in self._drivers:
            driver.ask("go")  # answers ``window`` at once

    def look(self) -> Progress:
        """How it goes, all together; the latencies are those since the look before. Raises what went wrong in a driver."""
        for number, driver in enumerate(self._drivers):
            while driver.pipe.poll():
                self._take(number, driver.pipe.recv())
        recent, self._recent = self._recent, Histogram()
        told = self._progress
        return Progress(
            sum(one.sent for one in told), sum(one.acked for one in told), sum(one.resent for one in told),
            sum(one.credits for one in told), sum(one.waiting for one in told), max((one.oldest_s for one in told), default=0.0),
            dict(recent.counts),
        )  # fmt: skip

    def finish(self, within_s: float) -> list[Driven]:
        """What each of them did, once all have ended. Raises StartError after `within_s`, and what went wrong in a driver."""
        deadline = time.monotonic() + within_s
        for number, driver in enumerate(self._drivers):
            while number not in self._driven:
                self._take(number, driver.hear(max(0.0, deadline - time.monotonic())))
        return [self._driven[number] for number in range(len(self._drivers))]

    def _take(self, number: int, said: Any) -> None:
        match said:
            case Progress():
                self._progress[number] = said
                self._recent.merge([said.latency])
            case Driven():
                self._driven[number] = said
            case EyrieError() | OSError():
                raise said
            case "over":
                pass
            case _:
                raise StartError(f"a driver process lost its place: it said {said!r}")
