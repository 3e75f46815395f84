"""The protobuf codec against messages of the published definitions, by the classes that
centrifuge-python carries."""

import pytest
from centrifuge.protocol import client_pb2 as theirs
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import BadInput
from hub.protocol import errors, frames
from hub.protocol.messages import (
    MAX_COMMANDS,
    ClientInfo,
    ConnectResult,
    Empty,
    HistoryResult,
    PresenceResult,
    Publication,
    Raw,
    SubscribeResult,
)
from hub.protocol.protobuf_codec import PROTOBUF


def framed(*commands: dict[str, object]) -> bytes:
    parts = [ParseDict(command, theirs.Command()).SerializeToString() for command in commands]
    assert all(len(part) < 128 for part in parts)
    return b"".join(bytes((len(part),)) + part for part in parts)


def reply(payload: bytes) -> dict[str, object]:
    found = theirs.Reply()
    found.ParseFromString(payload)
    return dict(MessageToDict(found, preserving_proto_field_name=True))


def test_commands_are_read_as_google_writes_them() -> None:
    commands = PROTOBUF.decode(
        framed(
            {
                "id": 1,
                "connect": {
                    "token": "t",
                    "name": "py",
                    "subs": {"#ada": {"recover": True, "epoch": "e", "offset": 7}},
                },
            },
            {
                "id": 2,
                "subscribe": {"channel": "fleet", "recover": True, "offset": 2**40, "flag": 2},
            },
            {
                "id": 3,
                "history": {
                    "channel": "c",
                    "limit": -1,
                    "since": {"offset": 4, "epoch": "e"},
                    "reverse": True,
                },
            },
            {"send": {"data": "e30="}},
            {},
        )
    )
    assert [command.method for command in commands] == [
        "connect",
        "subscribe",
        "history",
        "send",
        None,
    ]
    connect, subscribe, history = commands[0].connect, commands[1].subscribe, commands[2].history
    assert connect is not None
    assert subscribe is not None
    assert history is not None
    assert (connect.token, connect.subs["#ada"].epoch, connect.subs["#ada"].offset) == ("t", "e", 7)
    assert (subscribe.channel, subscribe.recover, subscribe.offset, subscribe.flag) == (
        "fleet",
        True,
        2**40,
        2,
    )
    assert history.since is not None
    assert (history.limit, history.since.offset, history.reverse) == (-1, 4, True)


def test_replies_are_read_by_google_as_we_write_them() -> None:
    shown = SubscribeResult(
        recoverable=True,
        epoch="e",
        offset=3,
        publications=[Publication(data=Raw(b"{}"), offset=2**33)],
    )
    assert reply(PROTOBUF.reply(7, "subscribe", shown)) == {
        "id": 7,
        "subscribe": {
            "recoverable": True,
            "epoch": "e",
            "offset": "3",
            "publications": [{"data": "e30=", "offset": str(2**33)}],
        },
    }
    connected = ConnectResult(
        client="c",
        expires=True,
        ttl=300,
        ping=25,
        pong=True,
        subs={"#a": SubscribeResult(epoch="x")},
    )
    assert reply(PROTOBUF.reply(1, "connect", connected)) == {
        "id": 1,
        "connect": {
            "client": "c",
            "expires": True,
            "ttl": 300,
            "ping": 25,
            "pong": True,
            "subs": {"#a": {"epoch": "x"}},
        },
    }
    assert reply(PROTOBUF.reply(2, "unsubscribe", Empty())) == {"id": 2, "unsubscribe": {}}
    assert reply(PROTOBUF.reply(2, "history", HistoryResult(epoch="e", offset=9))) == {
        "id": 2,
        "history": {"epoch": "e", "offset": "9"},
    }
    present = PresenceResult({"c": ClientInfo(user="ada", client="c")})
    assert reply(PROTOBUF.reply(2, "presence", present)) == {
        "id": 2,
        "presence": {"presence": {"c": {"user": "ada", "client": "c"}}},
    }
    assert reply(PROTOBUF.error(3, errors.INTERNAL)) == {
        "id": 3,
        "error": {"code": 100, "message": "internal server error", "temporary": True},
    }
    assert reply(PROTOBUF.publication("fleet", b"{}", 5)) == {
        "push": {"channel": "fleet", "pub": {"data": "e30=", "offset": "5"}}
    }
    assert reply(PROTOBUF.unsubscribe("fleet", 2500, "gone")) == {
        "push": {"channel": "fleet", "unsubscribe": {"code": 2500, "reason": "gone"}},
    }


def test_a_ping_is_one_zero_byte() -> None:
    assert PROTOBUF.frame((PROTOBUF.ping,)) == bytes((frames.BINARY, 1, 0))
    assert PROTOBUF.decode(b"\x00")[0].method is None


def test_unknown_fields_are_skipped() -> None:
    unknown = (
        b"\x92\x03\x02hi"
        + b"\x98\x03\x05"
        + b"\xa5\x03\x00\x00\x00\x00"
        + b"\xa1\x03"
        + b"\x00" * 8
    )
    payload = ParseDict({"id": 9, "ping": {}}, theirs.Command()).SerializeToString() + unknown
    assert PROTOBUF.decode(bytes((len(payload),)) + payload)[0].id == 9


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x05\x08",
        b"\xff" * 11,
        b"\x02\x08\xff",
        b"\x03\x22\x05a",
        b"\x02\x0a\x00",
        b"\x01\x00",
        b"\x02\x07\x00",
        b"\x06\x22\x04\x0a\x02\xff\xfe",
        b"\x00" * (MAX_COMMANDS + 1),
        b"\x0b\x08" + b"\xff" * 9 + b"\x01",
    ],
)
def test_what_is_not_a_command(payload: bytes) -> None:
    with pytest.raises(BadInput):
        PROTOBUF.decode(payload)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(payload: bytes) -> None:
    try:
        commands = PROTOBUF.decode(payload)
    except BadInput:
        return
    assert all(0 <= command.id < 2**32 for command in commands)
