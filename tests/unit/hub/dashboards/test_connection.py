"""The shell of one dashboard connection: commands keep their order, nothing waits without a bound,
and what nobody foresaw closes with an answer."""

import asyncio
import json
from typing import Any

import pytest

from actors.core.errors import EyrieError, Forbidden
from hub.dashboards.actions import (
    Action,
    Authorize,
    Fail,
    Join,
    Operate,
    ReadHistory,
    Renew,
    SendReply,
)
from hub.dashboards.connection import (
    MAX_FIRST_BYTES,
    MAX_INBOX,
    ConnectionServices,
    ConnectionStats,
    Dashboard,
)
from hub.dashboards.connection_state import ConnectionLimits
from hub.fanout.fanout import Fanout
from hub.protocol import channels, disconnects, errors
from hub.protocol.disconnects import CloseCode
from hub.protocol.messages import JSON, HistoryResult
from tests.support.hub.dashboard_node import Wire
from tests.support.waiting import until


class Scripted:
    """`Commands` that answer when `go` is set; `broken` is raised by the next history."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.broken: Exception | None = None
        self.left: list[str] = []

    async def authorize(self, dashboard: Dashboard, action: Authorize) -> list[Action]:
        await self.go.wait()
        return dashboard.session.connected(action.id, 60.0, 0.0)

    async def renew(self, dashboard: Dashboard, action: Renew) -> list[Action]:
        raise AssertionError("nobody renews here")

    async def join(self, dashboard: Dashboard, action: Join) -> list[Action]:
        raise AssertionError("nobody subscribes here")

    async def history(self, dashboard: Dashboard, action: ReadHistory) -> list[Action]:
        await self.go.wait()
        if self.broken is not None:
            raise self.broken
        return [SendReply(action.id, "history", HistoryResult([], "e", 0))]

    async def operate(self, dashboard: Dashboard, action: Operate) -> list[Action]:
        return [Fail(action.id, errors.NOT_AVAILABLE)]

    def leave(self, dashboard: Dashboard, channel: str) -> None:
        self.left.append(channel)

    def ended(self, dashboard: Dashboard) -> None:
        """Nothing to leave."""


class Rig:
    def __init__(self, timeout_s: float = 30.0) -> None:
        self.commands, self.wire = Scripted(), Wire()
        self.stats, self.ends = ConnectionStats(), list[CloseCode | None]()
        services = ConnectionServices(
            self.commands,
            Fanout(),
            self.stats,
            ConnectionLimits(commands_burst=10_000.0),
            channels.parse,
            lambda dashboard: None,
            65_536,
            timeout_s,
        )
        self.dashboard = Dashboard(
            services, self.wire, JSON, "c1", lambda _, close: self.ends.append(close), spread=0.0
        )

    def send(self, *commands: dict[str, Any]) -> None:
        self.dashboard.on_message(b"\n".join(json.dumps(one).encode() for one in commands))

    async def connect(self) -> None:
        self.send({"id": 1, "connect": {"token": "t"}})
        await until(lambda: self.wire.replies(1), what="the connect reply")
        self.dashboard.session.channels["events:camera:a"] = channels.parse("events:camera:a")


def history(id: int) -> dict[str, Any]:
    return {"id": id, "history": {"channel": "events:camera:a"}}


async def test_answers_leave_in_the_order_of_the_commands() -> None:
    rig = Rig()
    await rig.connect()
    rig.commands.go.clear()
    rig.send(history(2), {"id": 3, "ping": {}})
    rig.send({"id": 4, "ping": {}})
    await asyncio.sleep(0)
    assert rig.wire.replies(3) == rig.wire.replies(4) == []
    rig.commands.go.set()
    await until(lambda: rig.wire.replies(4), what="the last answer")
    assert [message["id"] for message in rig.wire.messages] == [1, 2, 3, 4]


async def test_commands_that_wait_are_bounded_and_reading_stops_before() -> None:
    rig = Rig()
    await rig.connect()
    rig.commands.go.clear()
    rig.send(history(2))
    rig.send(*({"id": id, "ping": {}} for id in range(3, MAX_INBOX // 2 + 4)))
    assert (rig.wire.reading, rig.wire.closed) == (False, None)
    rig.commands.go.set()
    await until(lambda: rig.wire.reading, what="reading again")
    rig.commands.go.clear()
    rig.send(history(9_000))
    for start in (10_000, 20_000, 30_000):
        rig.send(*({"id": start + id, "ping": {}} for id in range(MAX_INBOX // 2)))
    assert rig.wire.closed == disconnects.TOO_MANY_REQUESTS
    rig.dashboard.on_lost()


async def test_an_inquiry_that_hangs_is_answered_in_time() -> None:
    rig = Rig(timeout_s=0.01)
    await rig.connect()
    rig.commands.go.clear()
    rig.send(history(2))
    await until(lambda: rig.wire.replies(2), what="the answer")
    assert rig.wire.replies(2)[0]["error"]["code"] == errors.INTERNAL.code
    assert rig.stats.errors == {errors.INTERNAL.code: 1}


@pytest.mark.parametrize(
    ("broken", "closed"),
    [(Forbidden("no"), None), (LookupError("a mistake"), disconnects.INTERNAL_ERROR)],
)
async def test_an_error_is_an_answer_and_a_mistake_closes(
    broken: EyrieError | LookupError, closed: CloseCode | None
) -> None:
    rig = Rig()
    await rig.connect()
    rig.commands.broken = broken
    rig.send(history(2))
    await until(lambda: rig.wire.replies(2) or rig.wire.closed, what="an answer")
    assert rig.wire.closed == closed
    assert bool(rig.wire.replies(2)) == (closed is None)


@pytest.mark.parametrize("payload", [b"nonsense", b"[" * 2_000, b" " * (MAX_FIRST_BYTES + 1)])
async def test_what_cannot_be_read_or_is_too_large_to_begin_with_closes(payload: bytes) -> None:
    rig = Rig()
    rig.dashboard.on_message(payload)
    assert (rig.wire.closed, rig.ends) == (disconnects.BAD_REQUEST, [disconnects.BAD_REQUEST])
    rig.dashboard.on_message(b'{"id":1,"connect":{"token":"t"}}')
    assert rig.dashboard.task is None, "who is closed is not heard any more"


async def test_the_end_of_a_socket_ends_what_it_waits_for() -> None:
    rig = Rig()
    await rig.connect()
    rig.commands.go.clear()
    rig.send(history(2))
    task = rig.dashboard.task
    assert task is not None
    rig.dashboard.on_lost()
    await asyncio.wait([task])
    assert (task.cancelled(), rig.ends) == (True, [None])


async def test_a_subscription_ended_by_the_hub_is_told_once() -> None:
    rig = Rig()
    await rig.connect()
    for _ in range(2):
        rig.dashboard.unsubscribe("events:camera:a", disconnects.UNSUBSCRIBED_INSUFFICIENT_STATE)
    await until(lambda: rig.wire.pushes("events:camera:a"), what="the push")
    assert [push["unsubscribe"]["code"] for push in rig.wire.pushes("events:camera:a")] == [2500]
    assert rig.commands.left == ["events:camera:a"]
