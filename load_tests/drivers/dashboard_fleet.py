"""Many dashboards in one lean process: raw sockets, one epoll, and as much of the Centrifuge
protocol as a wall and its events need.

Every dashboard keeps (epoch, offset) of the events lane, reconnects as stock SDKs do (full jitter)
and recovers; what it was given is checked as it comes: no offset twice, none left out. Of some
dashboards the age of the newest summary in every wall message is taken, and some write a history of
all they are shown. The slow ones, when told, read nothing or a byte a second, until they are
healed.
"""

import base64
import contextlib
import json
import random
import re
import select
import socket
import time
from datetime import datetime
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from actors.core.backoff import bound_s
from load_tests.drivers.dashboard_history import (
    DashboardHistory,
    ShownFact,
    WallPub,
    fact,
    summaries,
)
from load_tests.drivers.dashboard_plan import DashboardPlan, FleetReport
from load_tests.harness.recording import Recorder

SAMPLE_EVERY = 10  # dashboards whose latencies are taken
OPEN_AT_ONCE = 40  # connections opened in one turn
RESUBSCRIBE = (
    2500  # codes of an unsubscribe from which on a client asks again (centrifuge protocol)
)
FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 5.0
CHUNK = 262_144
SLOW_RECEIVE_BYTES = (
    4096  # receive buffer of those who are to be slow: what the kernel holds is not held by the hub
)
TRICKLE_S = 1.0  # between two bytes
CATCH_UP_S = 2.0  # seconds in which a healed dashboard reads what has waited for it
RECORDED = 100  # dashboards of a process that write a history at most
_RECEIVED = re.compile(rb'"received":"([^"]+)"')


class SimulatedDashboard:
    """One of them."""

    def __init__(self, number: int, fleet: "DashboardFleet") -> None:
        self.fleet = fleet
        self.number = number
        self.slow = number < fleet.wish.slow
        self.sampled = number % SAMPLE_EVERY == 0 and not self.slow
        recorded = (
            fleet.recorder is not None and number % max(1, fleet.wish.clients // RECORDED) == 0
        )
        self.seen = (
            DashboardHistory(f"{fleet.wish.proc}/{number}", fleet.recorder)
            if recorded and fleet.recorder
            else None
        )
        self.port = fleet.wish.proxy_port if number < fleet.wish.through else fleet.wish.port
        self.sock: socket.socket | None = None
        self.buffer = b""
        self.upgraded = False
        self.live = False
        self.epoch = ""
        self.subscribed = False  # once; from then on a lost place is told
        self.offset = 0
        self.lost_at = 0.0
        self.tries = 0
        self.due = 0.0

    def open(self) -> None:
        """Connect; the answer comes by the poll."""
        wish = self.fleet.wish
        self.sock = socket.socket()
        self.sock.settimeout(10)
        if self.slow:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_RECEIVE_BYTES)
        self.sock.connect((wish.host, self.port))
        key = base64.b64encode(random.randbytes(16)).decode()
        self.sock.sendall(
            "GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: "
            "websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.sock.setblocking(False)
        self.buffer, self.upgraded = b"", False

    def feed(self, data: bytes) -> None:
        """Bytes of the server."""
        self.buffer += data
        if not self.upgraded:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            status = head.split(b"\r\n", 1)[0]
            if b" 101 " not in status:
                # 503 is how a hub says: later (docs/protocols.md, limits and drains).
                self.lose("" if b" 503 " in status else f"handshake: {status[:30]!r}")
                return
            self.upgraded, self.buffer = True, rest
            self._greet()
        while self.sock is not None and self._frame():
            pass

    def lose(self, why: str = "", *, code: int | None = None, reason: str = "") -> None:
        """The connection has ended; come back after the back-off. `code` and `reason` of the close
        frame; without a frame 0, and None when the dashboard itself goes."""
        if self.sock is None:
            return
        if why:
            self.fleet.errors.append(why)
        if code is not None and self.fleet.recorder is not None:
            excused = not code and (
                self.number < self.fleet.wish.through or (self.slow and self.fleet.looks_away())
            )
            self.fleet.recorder.note(
                "info" if excused else "ok",
                "close",
                by=f"{self.fleet.wish.proc}/{self.number}",
                code=code,
                reason=reason,
            )
        if self.seen is not None:
            self.seen.lost()
        self.fleet.forget(self)
        self.sock.close()
        self.sock = None
        now = time.monotonic()
        if self.live:
            self.fleet.lost += 1
            self.lost_at = now
            self.fleet.lost_before.add(self.number)
        self.live = False
        self.retry(now)

    def retry(self, now: float) -> None:
        """Connect again, later every time it fails."""
        self.due = now + random.uniform(0, bound_s(self.tries, FIRST_BACKOFF_S, MAX_BACKOFF_S))
        self.tries += 1

    def _greet(self) -> None:
        site = self.fleet.wish.site
        events: dict[str, object] = {"channel": f"events:site:{site}"}
        if self.subscribed:
            events |= {"recover": True, "epoch": self.epoch, "offset": self.offset}
        tokens = self.fleet.wish.tokens
        commands: list[dict[str, object]] = [
            {"id": 1, "connect": {"token": tokens[self.number % len(tokens)]}},
            {"id": 2, "subscribe": {"channel": f"site:{site}"}},
            {"id": 3, "subscribe": events},
        ]
        if self.slow:
            commands += [
                {"id": number, "subscribe": {"channel": channel}}
                for number, channel in enumerate(self.fleet.wish.more, 4)
            ]
        self._send("\n".join(json.dumps(command) for command in commands).encode())

    def _send(self, payload: bytes) -> None:
        size = len(payload)
        head = (
            bytes((0x81, 0x80 | size))
            if size < 126
            else bytes((0x81, 0xFE)) + size.to_bytes(2, "big")
        )
        if self.sock is not None:
            with contextlib.suppress(OSError):  # a loss is met by the poll
                self.sock.send(head + bytes(4) + payload)

    def _frame(self) -> bool:
        data = self.buffer
        if len(data) < 2:
            return False
        size, start = data[1] & 127, 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        if len(data) < start + size:
            return False
        payload, self.buffer = data[start : start + size], data[start + size :]
        if data[0] & 15 == 8:
            code = int.from_bytes(payload[:2], "big")
            self.fleet.closes[code] = self.fleet.closes.get(code, 0) + 1
            self.lose(code=code, reason=payload[2:].decode(errors="replace"))
        elif data[0] & 15 == 1:
            for line in payload.split(b"\n"):
                self._line(line)
        return True

    def _line(self, line: bytes) -> None:
        if line == b"{}":
            self._send(b"{}")
        elif line.startswith(b'{"push":{"channel":"events:') and b'"unsubscribe":' in line[:160]:
            self._unsubscribed(json.loads(line)["push"]["unsubscribe"])
        elif line.startswith(b'{"push":{"channel":"events:'):
            self._event(
                int(line[line.rfind(b'"offset":') + 9 : -3]) if b'"pub"' in line[:120] else -1
            )
            if self.seen is not None and (event := fact(line)) is not None:
                self.seen.event(event)
        elif line.startswith(b'{"push":{"channel":"site:'):
            if (
                self.sampled
                and self.number not in self.fleet.lost_before
                and (newest := _newest(line))
            ):
                self.fleet.ages.append(time.time() - newest)
            if self.seen is not None and not (self.slow and self.fleet.looks_away()):
                self.seen.states(summaries(line))
        elif line.startswith(b'{"id":'):
            self._reply(json.loads(line))

    def _unsubscribed(self, why: dict[str, object]) -> None:
        """As the stock SDK does: 2500 and above are asked for again, with what was seen last."""
        if int(str(why.get("code", 0))) < RESUBSCRIBE:
            self.fleet.errors.append(f"the events lane was ended by the hub: {why}")
            return
        again: dict[str, object] = {"channel": f"events:site:{self.fleet.wish.site}"}
        again |= {"recover": True, "epoch": self.epoch, "offset": self.offset}
        self._send(json.dumps({"id": 3, "subscribe": again}).encode())

    def _event(self, offset: int) -> None:
        fleet = self.fleet
        if offset < 0:
            self.fleet.errors.append("something unknown came on the events lane")
            return
        fleet.events += 1
        fleet.twice += offset <= self.offset
        fleet.gaps += offset > self.offset + 1
        self.offset = max(self.offset, offset)

    def _reply(self, message: dict[str, dict[str, object]]) -> None:
        if "error" in message:
            self.lose(f"reply: {message['error']}")
            return
        result = message.get("subscribe")
        if result is None:
            return
        if message["id"] != 3:  # type: ignore[comparison-overlap]
            if self.seen is not None and message["id"] == 2:  # type: ignore[comparison-overlap]
                for one in msgspec.convert(result.get("publications", []), list[WallPub]):
                    self.seen.states(one.data.cameras)
            return
        # A stream that had no event yet has an empty epoch: what is asked for again is told as lost
        # all the same.
        if self.subscribed and not result.get("recovered"):
            self.fleet.unrecovered += 1
            if self.seen is not None:
                self.seen.told_gap()
            self.offset = int(str(result.get("offset", 0)))
        elif not self.subscribed:
            self.offset = int(str(result.get("offset", 0)))
        self.subscribed = True
        self.epoch = str(result.get("epoch", ""))
        publications = result.get("publications", [])
        assert isinstance(publications, list)
        for publication in publications:
            self._event(publication["offset"])
            if self.seen is not None:
                self.seen.event(msgspec.convert(publication["data"], ShownFact))
        self.live, self.tries = True, 0
        if self.lost_at:
            self.fleet.back_s.append(time.monotonic() - self.lost_at)
            self.lost_at = 0.0


class DashboardFleet:
    """All of them, and what they saw since the last report."""

    def __init__(self, wish: DashboardPlan) -> None:
        self.wish = wish
        self.poll = select.epoll()
        self.recorder = Recorder(Path(wish.history), wish.proc) if wish.history else None
        self.slowed = False
        self.trickled = self.healed = 0.0
        self.dashboards = [SimulatedDashboard(number, self) for number in range(wish.clients)]
        self.by_fd: dict[int, SimulatedDashboard] = {}
        self.lost_before: set[int] = set()
        self._clear()

    def _clear(self) -> None:
        self.lost = self.unrecovered = self.twice = self.gaps = self.events = 0
        self.back_s: list[float] = []
        self.errors: list[str] = []
        self.closes: dict[int, int] = {}
        self.ages: list[float] = []

    def report(self) -> FleetReport:
        """And begin anew. Dashboards that were lost count as neighbours again from now on."""
        found = FleetReport(
            sum(dashboard.live for dashboard in self.dashboards),
            self.lost,
            self.back_s,
            self.unrecovered,
            self.twice,
            self.gaps,
            self.events,
            self.errors[:20],
            self.closes,
            self.ages,
        )
        self._clear()
        self.lost_before.clear()
        if self.recorder is not None:
            self.recorder.flush()
        return found

    def slow_down(self, slowed: bool) -> None:
        """The slow dashboards read nothing any more, or little; or all as they should."""
        self.slowed, self.healed = slowed, self.healed if slowed else time.monotonic()
        for dashboard in self.dashboards:
            if dashboard.slow and dashboard.sock is not None:
                self.poll.modify(dashboard.sock.fileno(), 0 if slowed else select.EPOLLIN)
            if dashboard.slow and slowed and dashboard.seen is not None:
                dashboard.seen.lost()  # who does not read cannot be told

    def looks_away(self) -> bool:
        """Whether the slow ones are slow, or still read what has waited for them."""
        return self.slowed or time.monotonic() < self.healed + CATCH_UP_S

    def end(self) -> None:
        """The run is over."""
        for dashboard in self.dashboards:
            if dashboard.seen is not None:
                dashboard.seen.end()
        if self.recorder is not None:
            self.recorder.flush()

    def _trickle(self, now: float) -> None:
        if not self.slowed or now - self.trickled < TRICKLE_S:
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
                dashboard.sock.fileno(), 0 if self.slowed and dashboard.slow else select.EPOLLIN
            )
        self._trickle(now)
        for fd, _ in self.poll.poll(0.01):
            found = self.by_fd.get(fd)
            if found is None or found.sock is None:
                continue
            if found.slow and self.slowed:  # nobody asked for its bytes: the hub has hung up
                found.lose(code=0)
            else:
                self._read(found, CHUNK)


@lru_cache(maxsize=16)
def _newest(line: bytes) -> float:
    """When the newest summary of a wall's message was received; 0 where there is none."""
    times = _RECEIVED.findall(line)
    return max((datetime.fromisoformat(found.decode()).timestamp() for found in times), default=0.0)


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
