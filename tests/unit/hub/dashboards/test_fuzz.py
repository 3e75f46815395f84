"""The protocol layer under arbitrary input: whatever comes, the session answers by the rules and
never fails."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.errors import BadInput
from hub.dashboards.actions import (
    Authorize,
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
from hub.protocol.messages import JSON, Codec, SubscribeResult
from hub.protocol.protobuf_codec import PROTOBUF

NAMES = st.sampled_from(
    [
        "fleet",
        "camera:a",
        "site:a",
        "events:camera:a",
        "events:site:a",
        "events:fleet",
        "#ada",
        "nope",
        "",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**33) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
METHODS = st.sampled_from(
    [
        "connect",
        "subscribe",
        "unsubscribe",
        "publish",
        "presence",
        "presence_stats",
        "history",
        "ping",
        "send",
        "rpc",
        "refresh",
        "sub_refresh",
    ]
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "channel": NAMES,
        "token": st.sampled_from(["", "t"]),
        "recover": st.booleans(),
        "epoch": st.text(max_size=2),
        "offset": st.integers(-1, 9),
        "limit": st.integers(-2, 500),
        "data": VALUES,
        "flag": st.integers(0, 3),
        "type": st.integers(0, 2),
    },
)
COMMANDS: st.SearchStrategy[Any] = (
    st.builds(
        lambda number, method, fields: {"id": number, method: fields},
        st.integers(0, 9),
        METHODS,
        FIELDS,
    )
    | st.just({})
    | VALUES
)


def drive(codec: Codec, session: ConnectionState, payload: bytes, now: float, live: bool) -> int:
    """Feed one frame as the shell does; how many replies it earned."""
    replies = 0
    try:
        commands = codec.decode(payload)
    except BadInput:
        return 0
    for command in commands:
        before = session.phase
        actions = session.receive(command, now)
        while actions:
            action = actions.pop(0)
            if isinstance(action, Authorize):
                actions += session.connected(action.id, 60.0, now) if live else []
            elif isinstance(action, Join):
                actions += session.joined(action, SubscribeResult(), now)
            elif isinstance(action, Renew):
                actions += session.renewed(action.id, 60.0, now)
            elif isinstance(action, SendReply | Fail):
                replies += 1
                assert action.id > 0
                assert (
                    codec.reply(action.id, action.method, action.result)
                    if isinstance(action, SendReply)
                    else codec.error(action.id, action.error)
                )
            elif isinstance(action, Shut):
                assert session.phase is ConnectionPhase.CLOSED
                assert actions == []
            else:
                assert isinstance(action, Leave | SendPing | ReadHistory)
        if before is ConnectionPhase.CLOSED:
            assert session.phase is ConnectionPhase.CLOSED
    return replies


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(COMMANDS, max_size=3), max_size=8), st.booleans())
def test_commands_in_any_order(batches: list[list[Any]], live: bool) -> None:
    session = ConnectionState("c", ConnectionLimits(max_subscriptions=3), 0.0)
    now = 0.0
    opening: list[Any] = [{"id": 1, "connect": {"token": "t"}}]
    for batch in [opening, *batches]:
        now += 0.7
        drive(
            JSON, session, "\n".join(json.dumps(command) for command in batch).encode(), now, live
        )
        assert len(session.channels) <= 3
    for _ in range(8):
        now += 10
        for action in session.due(now):
            assert isinstance(action, SendPing | Shut)
    assert session.phase is ConnectionPhase.CLOSED


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_bytes_in_any_order(frames: list[bytes]) -> None:
    for codec in (JSON, PROTOBUF):
        session = ConnectionState("c", ConnectionLimits(), 0.0)
        for frame in frames:
            drive(codec, session, frame, 1.0, True)
