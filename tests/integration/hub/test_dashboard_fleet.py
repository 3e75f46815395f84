"""The dashboards that load tests play, on a real hub: they come alive, see events, and recover
after their sockets were cut."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

from load_tests.drivers.dashboard_fleet import DashboardFleet
from load_tests.drivers.dashboard_plan import DashboardPlan, FleetReport
from tests.support.hub.hub import running_hub

CLIENTS = 12


async def reported(fleet: DashboardFleet, done: Callable[[FleetReport], bool]) -> FleetReport:
    """The first report that is `done`, after turns of the fleet."""
    seen = FleetReport()
    async with asyncio.timeout(30):
        while True:
            await asyncio.to_thread(fleet.turn)
            report = fleet.report()
            seen.live = report.live
            seen.lost += report.lost
            seen.events += report.events
            seen.twice += report.twice
            seen.gaps += report.gaps
            seen.unrecovered += report.unrecovered
            seen.errors += report.errors
            seen.back_s += report.back_s
            if done(seen):
                return seen


async def test_they_come_alive_see_events_and_recover(tmp_path: Path) -> None:
    random.seed(5)
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        await hub.happen("cam-1", 1)
        tokens = [hub.token("ann"), hub.token("bob")]
        fleet = DashboardFleet(DashboardPlan("127.0.0.1", hub.port, tokens, "north", CLIENTS))
        assert (await reported(fleet, lambda seen: seen.live == CLIENTS)).errors == []
        await hub.happen("cam-1", 2)
        seen = await reported(fleet, lambda seen: seen.events >= CLIENTS)
        assert (seen.events, seen.twice, seen.gaps) == (CLIENTS, 0, 0)
        for dashboard in fleet.dashboards:
            dashboard.lose()
        await hub.happen("cam-1", 3)
        seen = await reported(fleet, lambda seen: len(seen.back_s) == CLIENTS)
        assert (seen.live, seen.lost, seen.unrecovered) == (CLIENTS, CLIENTS, 0)
        assert (seen.events, seen.twice, seen.gaps, seen.errors) == (CLIENTS, 0, 0, [])
        for dashboard in fleet.dashboards:
            dashboard.lose()
