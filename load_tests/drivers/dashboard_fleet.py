"""Many dashboards in one lean process: raw sockets and one epoll.

Of some dashboards the age of the newest summary in every wall message is taken, and some write a
history of all they are shown. The slow ones, when told, read nothing or a byte a second, until they
are healed.
"""

import select
import time
from multiprocessing.connection import Connection
from pathlib import Path

from load_tests.drivers.dashboard_plan import DashboardPlan, FleetReport
from load_tests.drivers.simulated_dashboard import Shared, SimulatedDashboard
from load_tests.harness.recording import Recorder

OPEN_AT_ONCE = 40  # connections opened in one turn
CHUNK = 262_144
TRICKLE_S = 1.0  # between two bytes
LISTEN_EVERY_S = 0.5  # between two looks for pings that stay away


class DashboardFleet:
    """All dashboards of one process."""

    def __init__(self, plan: DashboardPlan) -> None:
        recorder = Recorder(Path(plan.history), plan.proc) if plan.history else None
        self.shared = Shared(plan, recorder)
        self.poll = select.epoll()
        self.trickled = self.listened = 0.0
        self.dashboards = [
            SimulatedDashboard(number, self.shared, self.forget) for number in range(plan.clients)
        ]
        self.by_fd: dict[int, SimulatedDashboard] = {}

    def report(self) -> FleetReport:
        """And begin anew. Dashboards that were lost count as neighbours again from now on."""
        found, self.shared.report = self.shared.report, FleetReport()
        found.live = sum(dashboard.live for dashboard in self.dashboards)
        del found.errors[20:]
        self.shared.lost_before.clear()
        if self.shared.recorder is not None:
            self.shared.recorder.flush()
        return found

    def slow_down(self, slowed: bool) -> None:
        """The slow dashboards read nothing any more, or little; or all as they should."""
        self.shared.slowed = slowed
        if not slowed:
            self.shared.healed = time.monotonic()
        for dashboard in self.dashboards:
            if dashboard.slow and dashboard.sock is not None:
                self.poll.modify(dashboard.sock.fileno(), 0 if slowed else select.EPOLLIN)
            if dashboard.slow and slowed and dashboard.seen is not None:
                dashboard.seen.lost()  # who does not read cannot be told

    def end(self) -> None:
        """The run is over."""
        for dashboard in self.dashboards:
            if dashboard.seen is not None:
                dashboard.seen.end()
        if self.shared.recorder is not None:
            self.shared.recorder.flush()

    def _trickle(self, now: float) -> None:
        if not self.shared.slowed or now - self.trickled < TRICKLE_S:
            return
        self.trickled = now
        for dashboard in self.dashboards:
            if dashboard.slow and dashboard.number % 2 and dashboard.sock is not None:
                self._read(dashboard, 1)

    def _read(self, dashboard: SimulatedDashboard, size: int) -> None:
        assert dashboard.sock is not None
        try:
            data = dashboard.sock.recv(size)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            dashboard.feed(data)
        else:
            dashboard.lose(code=0)

    def forget(self, dashboard: SimulatedDashboard) -> None:
        """Its socket is about to close."""
        if dashboard.sock is not None:
            self.by_fd.pop(dashboard.sock.fileno(), None)
            self.poll.unregister(dashboard.sock.fileno())

    def turn(self) -> None:
        """Open what is due, read what has come."""
        now = time.monotonic()
        for dashboard in [
            dashboard
            for dashboard in self.dashboards
            if dashboard.sock is None and dashboard.due <= now
        ][:OPEN_AT_ONCE]:
            try:
                dashboard.open()
            except OSError:
                if dashboard.sock is not None:
                    dashboard.sock.close()
                    dashboard.sock = None
                dashboard.retry(now)
                continue
            assert dashboard.sock is not None
            self.by_fd[dashboard.sock.fileno()] = dashboard
            self.poll.register(
                dashboard.sock.fileno(),
                0 if self.shared.slowed and dashboard.slow else select.EPOLLIN,
            )
        self._trickle(now)
        if now - self.listened >= LISTEN_EVERY_S:
            self.listened = now
            for dashboard in self.dashboards:
                if dashboard.gives_up(now):
                    dashboard.lose()
        for fd, _ in self.poll.poll(0.01):
            found = self.by_fd.get(fd)
            if found is None or found.sock is None:
                continue
            if found.slow and self.shared.slowed:  # nobody asked for its bytes: the hub has hung up
                found.lose(code=0)
            else:
                self._read(found, CHUNK)


def watch(pipe: Connection) -> None:
    """The process: gets a :class:`DashboardPlan`, answers every ``report`` with a
    :class:`FleetReport`, cuts all off at ``storm``, slows the slow ones down at ``slow`` and heals
    them at ``heal``, ends with ``end`` or None."""
    fleet = DashboardFleet(pipe.recv())
    while True:
        fleet.turn()
        if pipe.poll():
            said = pipe.recv()
            if said in (None, "end"):
                fleet.end()
                return
            if said == "storm":
                for dashboard in fleet.dashboards:
                    dashboard.lose()
            elif said in ("slow", "heal"):
                fleet.slow_down(said == "slow")
            else:
                pipe.send(fleet.report())
