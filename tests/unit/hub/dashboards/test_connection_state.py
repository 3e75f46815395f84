"""The session: every rule of the protocol that ends a connection, refuses a command or lets time
pass."""

from typing import Any

import pytest

from hub.dashboards.actions import (
    Action,
    Authorize,
    Expel,
    Fail,
    Join,
    Leave,
    ReadHistory,
    Renew,
    SendPing,
    SendReply,
    Shut,
)
from hub.dashboards.connection_state import ConnectionLimits, ConnectionPhase, ConnectionState
from hub.protocol import disconnects, errors
from hub.protocol.disconnects import CloseCode
from hub.protocol.errors import ReplyError
from hub.protocol.messages import JSON, SubRefreshResult, SubscribeResult

LIMITS = ConnectionLimits(max_subscriptions=2, commands_burst=20, commands_per_s=1)


def told(session: ConnectionState, text: str, now: float = 0.0) -> list[Action]:
    return [
        action for command in JSON.decode(text.encode()) for action in session.receive(command, now)
    ]


def connected(limits: ConnectionLimits = LIMITS, spread: float = 0.0) -> ConnectionState:
    session = ConnectionState("c1", limits, 0.0, spread=spread)
    assert isinstance(told(session, '{"id":1,"connect":{"token":"t"}}')[0], Authorize)
    assert isinstance(session.connected(1, 600.0, 0.0)[0], SendReply)
    return session


def subscribed(session: ConnectionState, channel: str) -> list[Action]:
    join = told(session, f'{{"id":9,"subscribe":{{"channel":"{channel}"}}}}')[-1]
    assert isinstance(join, Join)
    return session.joined(join, SubscribeResult(), 0.0)


@pytest.mark.parametrize(
    "text",
    [
        '{"id":1,"subscribe":{"channel":"fleet"}}',
        '{"id":1,"ping":{}}',
        "{}",
        '{"id":0,"connect":{"token":"t"}}',
        '{"connect":{"token":"t"}}',
        '{"id":1,"connect":{}}',
        '{"send":{"data":{}}}',
        '{"id":5}',
    ],
)
def test_anything_but_a_connect_with_a_token_first_is_a_bad_request(text: str) -> None:
    session = ConnectionState("c1", LIMITS, 0.0)
    assert told(session, text) == [Shut(disconnects.BAD_REQUEST)]
    assert session.phase is ConnectionPhase.CLOSED
    assert told(session, '{"id":1,"connect":{"token":"t"}}') == []


def test_the_connect_reply_says_what_the_client_needs() -> None:
    session = ConnectionState("c1", ConnectionLimits(node="hub-0", version="Eyrie 1"), 0.0)
    told(session, '{"id":4,"connect":{"token":"t"}}')
    reply = session.connected(4, 599.5, 0.0)[0]
    assert isinstance(reply, SendReply)
    assert JSON.reply(reply.id, reply.method, reply.result) == (
        b'{"id":4,"connect":{"client":"c1","version":"Eyrie '
        b'1","expires":true,"ttl":599,"ping":25,"pong":true,"session":"c1",'
        b'"node":"hub-0"}}'
    )


@pytest.mark.parametrize(
    ("text", "close"),
    [
        ('{"id":2,"connect":{"token":"t"}}', disconnects.BAD_REQUEST),
        ('{"subscribe":{"channel":"fleet"}}', disconnects.BAD_REQUEST),
        ('{"id":2,"subscribe":{}}', disconnects.BAD_REQUEST),
        ('{"id":2,"unsubscribe":{}}', disconnects.BAD_REQUEST),
        ('{"id":2,"refresh":{}}', disconnects.BAD_REQUEST),
        ("{}", disconnects.BAD_REQUEST),
    ],
)
def test_what_ends_a_live_connection(text: str, close: CloseCode) -> None:
    assert told(connected(), text) == [Shut(close)]


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ('"subscribe":{"channel":"nothing:x"}', errors.UNKNOWN_CHANNEL),
        ('"subscribe":{"channel":"camera:UPPER"}', errors.UNKNOWN_CHANNEL),
        ('"subscribe":{"channel":"camera:x","type":1}', errors.NOT_AVAILABLE),
        ('"subscribe":{"channel":"#bob"}', errors.PERMISSION_DENIED),
        ('"publish":{"channel":"camera:x","data":{}}', errors.NOT_AVAILABLE),
        ('"publish":{"channel":"nothing","data":{}}', errors.UNKNOWN_CHANNEL),
        ('"presence":{"channel":"camera:x"}', errors.NOT_AVAILABLE),
        ('"presence_stats":{"channel":"fleet"}', errors.NOT_AVAILABLE),
        ('"history":{"channel":"events:camera:x"}', errors.PERMISSION_DENIED),
        ('"rpc":{"method":"x"}', errors.NOT_AVAILABLE),
        ('"rpc":{}', errors.NOT_AVAILABLE),
        ('"sub_refresh":{"channel":"fleet","token":"t"}', errors.PERMISSION_DENIED),
    ],
)
def test_what_a_live_connection_is_refused(command: str, error: ReplyError) -> None:
    assert told(connected(), f'{{"id":7,{command}}}') == [Fail(7, error)]


def test_a_channel_is_subscribed_once_and_up_to_the_limit() -> None:
    session = connected()
    assert isinstance(subscribed(session, "fleet")[0], SendReply)
    assert told(session, '{"id":2,"subscribe":{"channel":"fleet"}}') == [
        Fail(2, errors.ALREADY_SUBSCRIBED)
    ]
    subscribed(session, "site:a")
    assert told(session, '{"id":3,"subscribe":{"channel":"site:b"}}') == [
        Fail(3, errors.LIMIT_EXCEEDED)
    ]
    actions = told(session, '{"id":4,"unsubscribe":{"channel":"fleet"}}')
    assert actions[0] == Leave("fleet")
    assert isinstance(actions[1], SendReply)
    assert len(told(session, '{"id":5,"unsubscribe":{"channel":"fleet"}}')) == 1


def test_an_unrecovered_position_is_refused_when_the_client_says_so() -> None:
    session = connected()
    join = told(
        session, '{"id":9,"subscribe":{"channel":"events:site:a","recover":true,"flag":2}}'
    )[-1]
    assert isinstance(join, Join)
    outcome = session.joined(join, SubscribeResult(was_recovering=True), 0.0)
    assert outcome == [Leave("events:site:a"), Fail(9, errors.UNRECOVERABLE_POSITION)]
    assert session.channels == {}


def test_history_and_refresh_become_inquiries() -> None:
    session = connected()
    subscribed(session, "events:site:a")
    assert isinstance(
        told(session, '{"id":2,"history":{"channel":"events:site:a","limit":-1}}')[0], ReadHistory
    )
    subscribed(session, "camera:a")
    assert told(session, '{"id":3,"history":{"channel":"camera:a"}}') == [
        Fail(3, errors.NOT_AVAILABLE)
    ]
    assert told(session, '{"id":4,"sub_refresh":{"channel":"camera:a"}}') == [
        Fail(4, errors.NOT_AVAILABLE)
    ]
    assert told(session, '{"id":5,"refresh":{"token":"t2"}}') == [Renew(5, "t2")]


def test_commands_beyond_the_rate_are_refused_and_sends_close() -> None:
    session = connected()
    for number in range(2, 22):
        assert isinstance(told(session, f'{{"id":{number},"ping":{{}}}}', 0.0)[0], SendReply)
    assert told(session, '{"id":99,"ping":{}}', 0.0) == [Fail(99, errors.TOO_MANY_REQUESTS)]
    assert isinstance(told(session, '{"id":99,"ping":{}}', 1.5)[0], SendReply)
    assert told(session, '{"send":{}}', 1.5) == [Shut(disconnects.TOO_MANY_REQUESTS)]


def test_a_silent_handshake_is_stale() -> None:
    session = ConnectionState("c1", LIMITS, 10.0)
    assert session.deadline == 15.0
    assert session.due(14.9) == []
    assert session.due(15.0) == [Shut(disconnects.STALE)]


def test_pings_start_spread_out_and_want_a_pong() -> None:
    assert connected(spread=0.0).deadline == 12.5
    session = connected(spread=1.0)
    assert session.deadline == 25.0
    assert session.due(25.0) == [SendPing()]
    assert session.deadline == 33.0
    assert told(session, "{}", 26.0) == []
    assert session.deadline == 50.0
    assert session.due(50.0) == [SendPing()]
    assert session.due(58.0) == [Shut(disconnects.NO_PONG)]


def test_an_expired_token_closes_after_the_grace_unless_it_is_renewed() -> None:
    patient: dict[str, Any] = {"ping_s": 10_000.0, "expired_grace_s": 25.0}
    session = connected(ConnectionLimits(**patient))
    assert session.due(624.0) == []
    assert session.due(625.0) == [Shut(disconnects.EXPIRED)]
    session = connected(ConnectionLimits(**patient))
    reply = session.renewed(5, 600.0, 600.0)[0]
    assert isinstance(reply, SendReply)
    assert session.due(700.0) == []
    assert session.due(1225.0) == [Shut(disconnects.EXPIRED)]


def test_outcomes_that_come_after_the_end_change_nothing() -> None:
    session = ConnectionState("c1", LIMITS, 0.0)
    told(session, '{"id":1,"connect":{"token":"t"}}')
    session.closed()
    assert session.connected(1, 600.0, 0.0) == []
    session = connected()
    join = told(session, '{"id":2,"subscribe":{"channel":"fleet"}}')[-1]
    assert isinstance(join, Join)
    session.closed()
    assert session.joined(join, SubscribeResult(), 0.0) == [Leave("fleet")]
    assert session.renewed(1, 1.0, 0.0) == []
    assert session.due(1e9) == []


def plain_join(session: ConnectionState, ttl_s: int, now: float) -> None:
    join = told(session, '{"id":9,"subscribe":{"channel":"fleet"}}', now)[-1]
    assert isinstance(join, Join)
    assert isinstance(
        session.joined(join, SubscribeResult(expires=True, ttl=ttl_s), now)[0], SendReply
    )


def test_a_subscription_ends_after_its_token_and_the_grace_alone() -> None:
    session = connected(ConnectionLimits(ping_s=1e6, expired_grace_s=25.0))
    plain_join(session, 10, 100.0)
    assert session.deadline == 135.0
    assert session.due(134.9) == []
    assert session.due(135.0) == [Expel("fleet")]
    assert session.removed("fleet")
    assert session.phase is ConnectionPhase.LIVE
    assert session.deadline > 135.0
    assert session.due(session.deadline - 0.1) == []


def test_a_newer_token_moves_the_end_of_a_subscription_and_one_without_an_end_lifts_it() -> None:
    session = connected(ConnectionLimits(ping_s=1e6, expired_grace_s=25.0))
    plain_join(session, 10, 100.0)
    assert isinstance(
        session.sub_renewed(3, "fleet", SubRefreshResult(True, 50), 120.0)[0], SendReply
    )
    assert session.deadline == 195.0
    session.sub_renewed(4, "fleet", SubRefreshResult(False, 0), 130.0)
    assert session.deadline > 600.0
    assert session.sub_renewed(5, "other", SubRefreshResult(False, 0), 130.0) == [
        Fail(5, errors.PERMISSION_DENIED)
    ]


def test_who_leaves_and_comes_back_is_not_ended_by_the_token_before() -> None:
    session = connected(ConnectionLimits(ping_s=1e6, expired_grace_s=25.0))
    plain_join(session, 10, 100.0)
    told(session, '{"id":10,"unsubscribe":{"channel":"fleet"}}', 101.0)
    join = told(session, '{"id":11,"subscribe":{"channel":"fleet"}}', 102.0)[-1]
    assert isinstance(join, Join)
    session.joined(join, SubscribeResult(), 102.0)
    assert session.due(session.deadline - 0.1) == []
    assert session.deadline > 135.0
