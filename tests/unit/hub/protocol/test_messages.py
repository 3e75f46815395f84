"""The JSON encoding of the protocol: framing, raw embedding, and what is not a command."""

import pytest

from actors.core.errors import BadInput
from hub.protocol import errors
from hub.protocol.messages import (
    JSON,
    MAX_COMMANDS,
    ConnectResult,
    Empty,
    HistoryResult,
    Publication,
    Raw,
    SubscribeResult,
)


def test_a_frame_carries_several_commands_one_a_line() -> None:
    commands = JSON.decode(
        b"\n "
        b'{"id":1,"connect":{"token":"t","data":{"a":[1]}}}\n{"id":2,"subscribe":{"channel":"fleet"}}\n{}\n'
    )
    assert [command.method for command in commands] == ["connect", "subscribe", None]
    assert commands[0].connect is not None
    assert bytes(commands[0].connect.data) == b'{"a":[1]}'


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b" \n ",
        b"[]",
        b"null",
        b"1",
        b'{"id":-1}',
        b'{"id":4294967296}',
        b'{"id":1.5}',
        b'{"id":1,"subscribe":[]}',
        b"\xff\xfe",
        b'{"id":1,"subscribe":{"channel":7}}',
        b'{"id":1}\n\n{"id":2}',
        b'{"id":1',
        b'{"id":1,"history":{"limit":2147483648}}',
        b'{"id":1,"subscribe":{"offset":-1}}',
        b'{"id":1,"rpc":{"data":' + b"[" * 50_000 + b"]" * 50_000 + b"}}",
    ],
)
def test_what_is_not_a_command(payload: bytes) -> None:
    with pytest.raises(BadInput):
        JSON.decode(payload)


def test_a_frame_carries_a_bounded_number_of_commands() -> None:
    assert len(JSON.decode(b"\n".join([b"{}"] * MAX_COMMANDS))) == MAX_COMMANDS
    with pytest.raises(BadInput, match="more than"):
        JSON.decode(b"\n".join([b"{}"] * (MAX_COMMANDS + 1)))


def test_results_leave_zeros_out_and_embed_data_as_json() -> None:
    assert JSON.reply(2, "unsubscribe", Empty()) == b'{"id":2,"unsubscribe":{}}'
    assert (
        JSON.reply(1, "connect", ConnectResult(client="a", data=Raw(b'{"x":1}')))
        == b'{"id":1,"connect":{"client":"a","data":{"x":1}}}'
    )
    shown = SubscribeResult(
        recoverable=True,
        epoch="e",
        offset=3,
        publications=[Publication(data=Raw(b"[1]"), offset=3)],
    )
    assert JSON.reply(3, "subscribe", shown) == (
        b'{"id":3,"subscribe":{"recoverable":true,"epoch":"e","publications":[{"data":[1],"offset":3}],"offset":3}}'
    )
    assert (
        JSON.reply(4, "history", HistoryResult(epoch="e", offset=9))
        == b'{"id":4,"history":{"publications":[],"epoch":"e","offset":9}}'
    )


def test_errors_and_pushes() -> None:
    assert (
        JSON.error(1, errors.INTERNAL)
        == b'{"id":1,"error":{"code":100,"message":"internal server error","temporary":true}}'
    )
    assert (
        JSON.error(1, errors.PERMISSION_DENIED)
        == b'{"id":1,"error":{"code":103,"message":"permission denied"}}'
    )
    assert (
        JSON.publication("camera:a", b'{"v":1}', 5)
        == b'{"push":{"channel":"camera:a","pub":{"data":{"v":1},"offset":5}}}'
    )
    assert JSON.publication('#"x"', b"1") == b'{"push":{"channel":"#\\"x\\"","pub":{"data":1}}}'
    assert (
        JSON.unsubscribe("fleet", 2500, "gone")
        == b'{"push":{"channel":"fleet","unsubscribe":{"code":2500,"reason":"gone"}}}'
    )


def test_messages_of_one_frame_are_separated_by_newlines() -> None:
    assert JSON.frame([b"{}", b'{"id":1,"ping":{}}']) == b'\x81\x15{}\n{"id":1,"ping":{}}'
