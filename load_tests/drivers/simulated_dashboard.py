"""One dashboard that a load test plays: as much of the Centrifuge protocol, in JSON, as a wall and
its events need.

It keeps (epoch, offset) of the events lane, reconnects as stock SDKs do (full jitter) and recovers;
what it is given is checked as it comes: no offset twice, none left out.
"""

import base64
import contextlib
import json
import random
import re
import socket
import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

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
RESUBSCRIBE = 2500  # from this code of an unsubscribe on a client asks again (centrifuge protocol)
FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 5.0
SLOW_RECEIVE_BYTES = (
    4096  # receive buffer of those who are to be slow: what the kernel holds is not held by the hub
)
PATIENCE_S = 10.0  # after a ping that was due: centrifuge-js, `maxServerPingDelay`
CATCH_UP_S = 2.0  # seconds in which a healed dashboard reads what has waited for it
RECORDED = 100  # dashboards of a process that write a history at most
_RECEIVED = re.compile(rb'"received":"([^"]+)"')
# How a hub answers a handshake with: later (docs/protocols.md, limits and drains): it is full, or
# the request took its time on a bad link.
LATER = (b" 503 ", b" 408 ")


class Shared:
    """What the dashboards of one process have in common. `report` counts since the last one was
    sent; `lost_before` are the numbers of those that lost a connection meanwhile."""

    def __init__(self, plan: DashboardPlan, recorder: Recorder | None) -> None:
        self.plan = plan
        self.recorder = recorder
        self.report = FleetReport()
        self.lost_before: set[int] = set()
        self.slowed = False
        self.healed = 0.0

    def looks_away(self) -> bool:
        """Whether the slow ones are slow, or still read what has waited for them."""
        return self.slowed or time.monotonic() < self.healed + CATCH_UP_S


class SimulatedDashboard:
    """One of them."""

    def __init__(
        self, number: int, shared: Shared, forget: Callable[["SimulatedDashboard"], None]
    ) -> None:
        """`forget` is called before its socket closes."""
        self.shared = shared
        self._forget = forget
        self.number = number
        plan = shared.plan
        self.slow = number < plan.slow
        self.sampled = number % SAMPLE_EVERY == 0 and not self.slow
        recorder = shared.recorder
        self.seen = (
            DashboardHistory(f"{plan.proc}/{number}", recorder)
            if recorder is not None and number % max(1, plan.clients // RECORDED) == 0
            else None
        )
        self.port = plan.proxy_port if number < plan.through else plan.port
        self.sock: socket.socket | None = None
        self.buffer = b""
        self.upgraded = False
        self.live = False
        self.epoch = ""
        self.subscribed = False  # once; from then on a lost place is told
        self.offset = 0
        self.lost_at = 0.0
        self.ping_s = 0.0  # the hub's interval, as its greeting says it; 0 before that
        self.pinged = 0.0
        self.tries = 0
        self.due = 0.0

    def open(self) -> None:
        """Connect; the answer comes by the poll."""
        plan = self.shared.plan
        self.sock = socket.socket()
        self.sock.settimeout(10)
        if self.slow:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_RECEIVE_BYTES)
        self.sock.connect((plan.host, self.port))
        key = base64.b64encode(random.randbytes(16)).decode()
        self.sock.sendall(
            "GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: "
            "websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.sock.setblocking(False)
        self.buffer, self.upgraded, self.ping_s = b"", False, 0.0

    def feed(self, data: bytes) -> None:
        """Bytes of the server."""
        self.buffer += data
        if not self.upgraded:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            status = head.split(b"\r\n", 1)[0]
            if b" 101 " not in status:
                later = any(code in status for code in LATER)
                self.lose("" if later else f"handshake: {status[:30]!r}")
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
            self.shared.report.errors.append(why)
        if code is not None and self.shared.recorder is not None:
            excused = not code and (
                self.number < self.shared.plan.through or (self.slow and self.shared.looks_away())
            )
            self.shared.recorder.note(
                "info" if excused else "ok",
                "close",
                by=f"{self.shared.plan.proc}/{self.number}",
                code=code,
                reason=reason,
            )
        if self.seen is not None:
            self.seen.lost()
        self._forget(self)
        self.sock.close()
        self.sock = None
        now = time.monotonic()
        if self.live:
            self.shared.report.lost += 1
            self.lost_at = now
            self.shared.lost_before.add(self.number)
        self.live = False
        self.retry(now)

    def gives_up(self, now: float) -> bool:
        """Whether a ping is overdue: a stock client takes its connection for lost then."""
        looks_away = self.slow and self.shared.looks_away()
        overdue_s = now - self.pinged - self.ping_s - PATIENCE_S
        return self.sock is not None and self.ping_s > 0 and overdue_s > 0 and not looks_away

    def retry(self, now: float) -> None:
        """Connect again, later every time it fails."""
        self.due = now + random.uniform(0, bound_s(self.tries, FIRST_BACKOFF_S, MAX_BACKOFF_S))
        self.tries += 1

    def _greet(self) -> None:
        site = self.shared.plan.site
        events: dict[str, object] = {"channel": f"events:site:{site}"}
        if self.subscribed:
            events |= {"recover": True, "epoch": self.epoch, "offset": self.offset}
        tokens = self.shared.plan.tokens
        commands: list[dict[str, object]] = [
            {"id": 1, "connect": {"token": tokens[self.number % len(tokens)]}},
            {"id": 2, "subscribe": {"channel": f"site:{site}"}},
            {"id": 3, "subscribe": events},
        ]
        if self.slow:
            commands += [
                {"id": number, "subscribe": {"channel": channel}}
                for number, channel in enumerate(self.shared.plan.more, 4)
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
            self.shared.report.closes[code] = self.shared.report.closes.get(code, 0) + 1
            self.lose(code=code, reason=payload[2:].decode(errors="replace"))
        elif data[0] & 15 == 1:
            for line in payload.split(b"\n"):
                self._line(line)
        return True

    def _line(self, line: bytes) -> None:
        if line == b"{}":
            self.pinged = time.monotonic()
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
                and self.number not in self.shared.lost_before
                and (newest := _newest(line))
            ):
                self.shared.report.ages.append(time.time() - newest)
            if self.seen is not None and not (self.slow and self.shared.looks_away()):
                self.seen.states(summaries(line))
        elif line.startswith(b'{"id":'):
            self._reply(json.loads(line))

    def _unsubscribed(self, why: dict[str, object]) -> None:
        """As the stock SDK does: 2500 and above are asked for again, with what was seen last."""
        if int(str(why.get("code", 0))) < RESUBSCRIBE:
            self.shared.report.errors.append(f"the events lane was ended by the hub: {why}")
            return
        again: dict[str, object] = {"channel": f"events:site:{self.shared.plan.site}"}
        again |= {"recover": True, "epoch": self.epoch, "offset": self.offset}
        self._send(json.dumps({"id": 3, "subscribe": again}).encode())

    def _event(self, offset: int) -> None:
        if offset < 0:
            self.shared.report.errors.append("something unknown came on the events lane")
            return
        self.shared.report.events += 1
        self.shared.report.twice += offset <= self.offset
        self.shared.report.gaps += offset > self.offset + 1
        self.offset = max(self.offset, offset)

    def _reply(self, message: dict[str, dict[str, object]]) -> None:
        if "error" in message:
            self.lose(f"reply: {message['error']}")
            return
        if "connect" in message:
            self.ping_s = float(str(message["connect"].get("ping", 0)))
            self.pinged = time.monotonic()
        result = message.get("subscribe")
        if result is None:
            return
        if message["id"] != 3:  # type: ignore[comparison-overlap]
            if self.seen is not None and message["id"] == 2:  # type: ignore[comparison-overlap]
                for one in msgspec.convert(result.get("publications", []), list[WallPub]):
                    self.seen.states(one.data.cameras)
            return
        if self.subscribed and not result.get("recovered"):
            self.shared.report.unrecovered += 1
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
            self.shared.report.back_s.append(time.monotonic() - self.lost_at)
            self.lost_at = 0.0


@lru_cache(maxsize=16)
def _newest(line: bytes) -> float:
    """When the newest summary of a wall's message was received; 0 where there is none."""
    times = _RECEIVED.findall(line)
    return max((datetime.fromisoformat(found.decode()).timestamp() for found in times), default=0.0)
