"""The clock of a hub: deadlines of connections, silence of cameras, slow clients, and decisions
whose time is over. One task however many clients there are; it waits for nothing else."""

import asyncio
import time

from hub.dashboards.connection import Dashboard
from hub.dashboards.timed.reauthorization import Reviews
from hub.dashboards.timed.timer_wheel import RESOLUTION_S, Wheel
from hub.fanout.fanout import Fanout
from hub.fanout.feed import Feed

SLOW_TURNS = 4  # turns of the clock between two looks at slow clients and ended decisions


class Clock:
    """Turns every :data:`RESOLUTION_S`."""

    def __init__(self, feed: Feed, fanout: Fanout, reviews: Reviews) -> None:
        self._wheel: Wheel[Dashboard] = Wheel(time.monotonic())
        self._feed = feed
        self._fanout = fanout
        self._reviews = reviews
        self._turn = 0

    def schedule(self, dashboard: Dashboard) -> None:
        """Call `tick` at the deadline of its session."""
        deadline = dashboard.session.deadline
        if deadline < dashboard.scheduled:
            dashboard.scheduled = deadline
            self._wheel.add(deadline, dashboard)

    async def run(self) -> None:
        """Turn until cancelled."""
        while True:
            await asyncio.sleep(RESOLUTION_S)
            self.turn(time.monotonic())

    def turn(self, now: float) -> None:
        """What is due at `now`, monotonic seconds."""
        for dashboard in self._wheel.advance(now):
            dashboard.scheduled = float("inf")
            dashboard.tick(now)
        self._feed.sweep(now)
        self._fanout.serve()
        self._turn += 1
        if self._turn % SLOW_TURNS == 0:
            self._fanout.close_overdue()
            self._reviews.ask_due()
