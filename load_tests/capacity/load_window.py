"""Devices and dashboards on a stack for a measured window: what a search for a limit and a
calibration have in common."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from actors.core.errors import StartError
from load_tests.drivers import bench_devices, dashboard_fleet
from load_tests.drivers.bench_devices import Driven, DriverPlan
from load_tests.drivers.dashboard_plan import DashboardPlan, FleetReport
from load_tests.harness.child_process import ANSWER_S, BenchChild
from load_tests.harness.stack import Stack

Look = TypeVar("Look")
SITE = "load"
LIVE_S = 90.0  # seconds in which all dashboards must be there
USERS = 20  # as whom dashboards connect


def names_of(cameras: int) -> list[str]:
    """Their names."""
    return [f"load-{number:04}" for number in range(cameras)]


class Devices:
    """Driver processes that play all cameras, load after load; each is a session of its own."""

    def __init__(
        self, running: Stack, drivers: Sequence[BenchChild], names: Sequence[str], sockets: int
    ) -> None:
        self._running, self._drivers, self._session = running, list(drivers), 0
        groups = [names[index :: len(self._drivers)] for index in range(len(self._drivers))]
        counts = [max(1, min(len(group), math.ceil(sockets / len(groups)))) for group in groups]
        self._sockets = [
            [list(group[index::count]) for index in range(count)]
            for group, count in zip(groups, counts, strict=True)
        ]

    def drive(
        self, rate: float, warm_s: float, measure_s: float, look: Callable[[], Look]
    ) -> tuple[list[Driven], Look, Look]:
        """Send `rate` observations per second and camera; with what `look` says at the two ends of
        the measured window."""
        self._session += 1
        for driver, sockets in zip(self._drivers, self._sockets, strict=True):
            token, session = self._running.token(), f"load-{self._session:03}"
            driver.ask(
                DriverPlan(
                    self._running.host,
                    self._running.port,
                    token,
                    session,
                    sockets,
                    rate,
                    warm_s,
                    measure_s,
                )
            )
        look()  # the first look at new processes takes longer: before it matters
        for driver in self._drivers:
            driver.pipe.send("go")
        for driver in self._drivers:
            driver.hear(warm_s + ANSWER_S)
        first = look()
        for driver in self._drivers:
            driver.hear(measure_s + ANSWER_S)
        last = look()
        return [driver.hear() for driver in self._drivers], first, last


@contextlib.contextmanager
def devices(
    running: Stack, pool: list[bytes], cameras: int, *, drivers: int, sockets: int
) -> Iterator[Devices]:
    """Processes that are ready; their cameras must be registered. `pool`: observations, as many as
    the longest load has of one camera."""
    with contextlib.ExitStack() as children:
        made = [
            children.enter_context(BenchChild(bench_devices.drive, pool))
            for _ in range(min(drivers, cameras))
        ]
        yield Devices(running, made, names_of(cameras), sockets)


class DashboardLoad:
    """Dashboards on the wall and the events of the site; none at all when `child` is None."""

    def __init__(self, child: BenchChild | None) -> None:
        self._child = child

    def report(self) -> FleetReport | None:
        """What happened since the report before."""
        found: FleetReport | None = self._child.ask("report") if self._child is not None else None
        return found


@contextlib.contextmanager
def dashboards(running: Stack, count: int) -> Iterator[DashboardLoad]:
    """So many, all live. Raises StartError."""
    if not count:
        yield DashboardLoad(None)
        return
    with BenchChild(dashboard_fleet.watch) as child:
        child.pipe.send(
            DashboardPlan(
                running.host,
                running.port,
                [running.viewer_token() for _ in range(USERS)],
                SITE,
                count,
            )
        )
        deadline = time.monotonic() + LIVE_S
        while (found := child.ask("report")).live < count:
            if time.monotonic() > deadline:
                raise StartError(
                    f"{found.live} of {count} dashboards are live after {LIVE_S:g} s: "
                    f"{found.errors[:3]}"
                )
            time.sleep(0.2)
        yield DashboardLoad(child)
