"""A sample of a run's dashboards on the stock SDK (centrifuge-python), which reconnects and
recovers by itself. Absent where it is not installed, and then said to be absent.
"""

import asyncio
import importlib.util
import logging
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from load_tests.drivers.dashboard_history import DashboardHistory, ShownFact, ShownSummary
from load_tests.drivers.dashboard_plan import DashboardPlan, FleetReport
from load_tests.harness.recording import Recorder

NAME = "centrifuge-python"
OWN_CODES = 100  # codes of the SDK's own below this: no close frame came

try:
    import centrifuge
except ImportError:
    centrifuge = None


def installed() -> bool:
    """Whether the SDK is there."""
    return importlib.util.find_spec("centrifuge") is not None


class _Counts:
    def __init__(self) -> None:
        self.lost = self.unrecovered = self.twice = self.gaps = self.events = 0
        self.back_s: list[float] = []
        self.errors: list[str] = []
        self.closes: dict[int, int] = {}


class _Dashboard:
    """One client with its two subscriptions."""

    def __init__(
        self, number: int, plan: DashboardPlan, recorder: Recorder, sample: "_Sample"
    ) -> None:
        self.by = f"{plan.proc}/{number}"
        self.recorder = recorder
        self.sample = sample
        self.seen = DashboardHistory(self.by, recorder)
        self.live = {"site": False, "events": False}
        self.offset = -1
        self.lost_at = 0.0
        self._plan = plan
        self.client = centrifuge.Client(
            f"ws://{plan.host}:{plan.port}/connection/websocket",
            _connection(self),
            token=plan.tokens[number % len(plan.tokens)],
            proxy=None,
        )

    async def start(self) -> None:
        """Connect and subscribe."""
        for lane, channel in (
            ("site", f"site:{self._plan.site}"),
            ("events", f"events:site:{self._plan.site}"),
        ):
            events = _subscription(self, lane)
            await self.client.new_subscription(
                channel, events, recoverable=lane == "events"
            ).subscribe()
        await self.client.connect()

    def ended(self, code: int, reason: str) -> None:
        """The connection is gone; the SDK comes back by itself."""
        if not any(self.live.values()):
            return
        self.live = dict.fromkeys(self.live, False)
        self.lost_at = time.monotonic()
        counts = self.sample.counts
        counts.lost += 1
        if code >= OWN_CODES:
            counts.closes[code] = counts.closes.get(code, 0) + 1
        self.recorder.note(
            "ok", "close", by=self.by, code=code if code >= OWN_CODES else 0, reason=reason
        )
        self.seen.lost()

    def subscribed(self, lane: str, context: Any) -> None:
        """A subscription stands (again)."""
        self.live[lane] = True
        if lane == "events":
            at = context.stream_position.offset if context.stream_position is not None else 0
            if self.offset < 0:
                self.offset = at
            elif not context.recovered:
                self.sample.counts.unrecovered += 1
                self.seen.told_gap()
                self.offset = at
        if all(self.live.values()) and self.lost_at:
            self.sample.counts.back_s.append(time.monotonic() - self.lost_at)
            self.lost_at = 0.0

    def publication(self, lane: str, publication: Any) -> None:
        """Something was shown."""
        if lane == "site":
            self.seen.states(
                msgspec.convert(publication.data.get("cameras", []), list[ShownSummary])
            )
            return
        counts = self.sample.counts
        counts.events += 1
        counts.twice += publication.offset <= self.offset
        counts.gaps += publication.offset > self.offset + 1 if self.offset >= 0 else 0
        self.offset = max(self.offset, publication.offset)
        self.seen.event(msgspec.convert(publication.data, ShownFact))


def _connection(dashboard: _Dashboard) -> Any:
    class Events(centrifuge.ClientEventHandler):  # type: ignore[misc]
        async def on_connecting(self, ctx: Any) -> None:
            dashboard.ended(ctx.code, ctx.reason)

        async def on_disconnected(self, ctx: Any) -> None:
            dashboard.ended(ctx.code, ctx.reason)

    return Events()


def _subscription(dashboard: _Dashboard, lane: str) -> Any:
    class Events(centrifuge.SubscriptionEventHandler):  # type: ignore[misc]
        async def on_subscribed(self, ctx: Any) -> None:
            dashboard.subscribed(lane, ctx)

        async def on_publication(self, ctx: Any) -> None:
            dashboard.publication(lane, ctx.pub)

    return Events()


class _Sample:
    def __init__(self, plan: DashboardPlan, recorder: Recorder) -> None:
        self.recorder = recorder
        self.counts = _Counts()
        self.dashboards = [
            _Dashboard(number, plan, recorder, self) for number in range(plan.clients)
        ]

    def report(self) -> FleetReport:
        """And begin anew."""
        found, self.counts = self.counts, _Counts()
        self.recorder.flush()
        return FleetReport(
            sum(all(dashboard.live.values()) for dashboard in self.dashboards),
            found.lost,
            found.back_s,
            found.unrecovered,
            found.twice,
            found.gaps,
            found.events,
            found.errors,
            found.closes,
            [],
        )

    async def run(self, pipe: Connection) -> None:
        for dashboard in self.dashboards:
            await dashboard.start()
        while True:
            said = await asyncio.to_thread(pipe.recv)
            if said in (None, "end"):
                break
            if said == "report":
                pipe.send(self.report())
        for dashboard in self.dashboards:
            dashboard.seen.end()
        for dashboard in self.dashboards:
            dashboard.live = dict.fromkeys(dashboard.live, False)
            await dashboard.client.disconnect()


def watch(pipe: Connection) -> None:
    """The process, with the protocol of `load_tests.drivers.dashboard_fleet.watch`; acts are not
    for these."""
    logging.getLogger("centrifuge").setLevel(logging.ERROR)
    plan: DashboardPlan = pipe.recv()
    with Recorder(Path(plan.history), plan.proc) as recorder:
        asyncio.run(_start(plan, recorder, pipe))


async def _start(plan: DashboardPlan, recorder: Recorder, pipe: Connection) -> None:
    await _Sample(plan, recorder).run(pipe)
