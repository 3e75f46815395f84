"""The Centrifuge client protocol's second encoding: protobuf, by a table (pure).

Field numbers are those of `definitions/client.proto` (centrifugal/protocol); the tables below hold
only what `hub.protocol.messages` has structs for, and unknown fields are skipped as protobuf wants.
Every message in a frame is preceded by its length as a varint.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, cast

import msgspec

from actors.core.errors import BadInput
from hub.protocol import frames
from hub.protocol.errors import ReplyError
from hub.protocol.messages import (
    MAX_COMMANDS,
    NOTHING,
    ChannelRequest,
    ClientInfo,
    Command,
    ConnectRequest,
    ConnectResult,
    Disconnect,
    Empty,
    EmulationRequest,
    HistoryRequest,
    HistoryResult,
    InfoPush,
    PingRequest,
    PresenceResult,
    PresenceStatsResult,
    Publication,
    PublishRequest,
    Raw,
    RefreshRequest,
    RefreshResult,
    RpcRequest,
    SendRequest,
    StreamPosition,
    SubRefreshRequest,
    SubRefreshResult,
    SubscribeRequest,
    SubscribeResult,
    Unsubscribe,
)

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_MAX_INT64 = 2**63
_MAX_ID = 2**32 - 1
_MAX_MAP = 1024  # entries of one map

# kinds of fields: "int", "bool", "str", "raw", or a struct, or a tuple: ("list", struct), ("map",
# struct), ("map", "str")
Kind = Any
Table = dict[int, tuple[str, Kind]]

_POSITION: Table = {1: ("offset", "int"), 2: ("epoch", "str")}
_CLIENT_INFO: Table = {
    1: ("user", "str"),
    2: ("client", "str"),
    3: ("conn_info", "raw"),
    4: ("chan_info", "raw"),
}
_PUBLICATION: Table = {4: ("data", "raw"), 5: ("info", ClientInfo), 6: ("offset", "int")}
_SUBSCRIBE: Table = {
    1: ("channel", "str"),
    2: ("token", "str"),
    3: ("recover", "bool"),
    6: ("epoch", "str"),
    7: ("offset", "int"),
    8: ("data", "raw"),
    9: ("positioned", "bool"),
    10: ("recoverable", "bool"),
    11: ("join_leave", "bool"),
    12: ("delta", "str"),
    14: ("flag", "int"),
    13: ("tf", "raw"),
    15: ("type", "int"),
}
_SUBSCRIBE_RESULT: Table = {
    1: ("expires", "bool"),
    2: ("ttl", "int"),
    3: ("recoverable", "bool"),
    6: ("epoch", "str"),
    7: ("publications", ("list", Publication)),
    8: ("recovered", "bool"),
    9: ("offset", "int"),
    10: ("positioned", "bool"),
    11: ("data", "raw"),
    12: ("was_recovering", "bool"),
}
_COMMAND: Table = {
    1: ("id", "int"),
    4: ("connect", ConnectRequest),
    5: ("subscribe", SubscribeRequest),
    6: ("unsubscribe", ChannelRequest),
    7: ("publish", PublishRequest),
    8: ("presence", ChannelRequest),
    9: ("presence_stats", ChannelRequest),
    10: ("history", HistoryRequest),
    11: ("ping", PingRequest),
    12: ("send", SendRequest),
    13: ("rpc", RpcRequest),
    14: ("refresh", RefreshRequest),
    15: ("sub_refresh", SubRefreshRequest),
}

TABLES: dict[type[msgspec.Struct], Table] = {
    Command: _COMMAND,
    StreamPosition: _POSITION,
    ClientInfo: _CLIENT_INFO,
    Publication: _PUBLICATION,
    SubscribeRequest: _SUBSCRIBE,
    SubscribeResult: _SUBSCRIBE_RESULT,
    ConnectRequest: {
        1: ("token", "str"),
        2: ("data", "raw"),
        3: ("subs", ("map", SubscribeRequest)),
        4: ("name", "str"),
        5: ("version", "str"),
        6: ("headers", ("map", "str")),
        7: ("flag", "int"),
    },
    ConnectResult: {
        1: ("client", "str"),
        2: ("version", "str"),
        3: ("expires", "bool"),
        4: ("ttl", "int"),
        5: ("data", "raw"),
        6: ("subs", ("map", SubscribeResult)),
        7: ("ping", "int"),
        8: ("pong", "bool"),
        9: ("session", "str"),
        10: ("node", "str"),
    },
    ChannelRequest: {1: ("channel", "str")},
    PublishRequest: {1: ("channel", "str"), 2: ("data", "raw")},
    HistoryRequest: {
        1: ("channel", "str"),
        7: ("limit", "int"),
        8: ("since", StreamPosition),
        9: ("reverse", "bool"),
    },
    HistoryResult: {
        1: ("publications", ("list", Publication)),
        2: ("epoch", "str"),
        3: ("offset", "int"),
    },
    PresenceResult: {1: ("presence", ("map", ClientInfo))},
    PresenceStatsResult: {1: ("num_clients", "int"), 2: ("num_users", "int")},
    RpcRequest: {1: ("data", "raw"), 2: ("method", "str")},
    SendRequest: {1: ("data", "raw")},
    RefreshRequest: {1: ("token", "str")},
    RefreshResult: {
        1: ("client", "str"),
        2: ("version", "str"),
        3: ("expires", "bool"),
        4: ("ttl", "int"),
    },
    SubRefreshRequest: {1: ("channel", "str"), 2: ("token", "str")},
    SubRefreshResult: {1: ("expires", "bool"), 2: ("ttl", "int")},
    InfoPush: {1: ("info", ClientInfo)},
    PingRequest: {},
    Empty: {},
    Unsubscribe: {2: ("code", "int"), 3: ("reason", "str")},
    EmulationRequest: {1: ("node", "str"), 2: ("session", "str"), 3: ("data", "raw")},
    Disconnect: {1: ("code", "int"), 2: ("reason", "str")},
    ReplyError: {1: ("code", "int"), 2: ("message", "str"), 3: ("temporary", "bool")},
}

# Where a result lies in a Reply; one off from the command up to `ping`.
_REPLY = {
    "connect": 5,
    "subscribe": 6,
    "unsubscribe": 7,
    "publish": 8,
    "presence": 9,
    "presence_stats": 10,
    "history": 11,
    "ping": 12,
    "rpc": 13,
    "refresh": 14,
    "sub_refresh": 15,
}
_REPLY_ID, _REPLY_ERROR, _REPLY_PUSH = 1, 2, 4
_PUSH_CHANNEL, _PUSH_PUB, _PUSH_UNSUBSCRIBE, _PUSH_DISCONNECT = 2, 4, 7, 11
_PUBLICATION_TAGS = 7
_PUSH_KINDS = {"pub": 4, "join": 5, "leave": 6}


class ProtobufCodec:
    """See `hub.protocol.messages.Codec`."""

    name = "protobuf"
    ping = b""
    binary = True

    def decode(self, payload: bytes) -> list[Command]:
        commands: list[Command] = []
        at = 0
        try:
            while at < len(payload):
                if len(commands) >= MAX_COMMANDS:
                    raise BadInput(f"more than {MAX_COMMANDS} commands in one frame")
                size, at = _read_varint(payload, at)
                if size > len(payload) - at:
                    raise ValueError("a message is cut off")
                commands.append(_decode(Command, payload[at : at + size]))
                at += size
        except (ValueError, IndexError, OverflowError, RecursionError) as error:
            raise BadInput(f"not commands of the Centrifuge protocol: {error}") from error
        if not commands:
            raise BadInput("an empty frame")
        return commands

    def emulated(self, body: bytes) -> EmulationRequest:
        try:
            return cast("EmulationRequest", _decode(EmulationRequest, body))
        except (ValueError, IndexError, OverflowError, RecursionError) as error:
            raise BadInput(f"not an emulation request: {error}") from error

    def reply(self, command_id: int, method: str, result: Any) -> bytes:
        return _int(_REPLY_ID, command_id) + _bytes(_REPLY[method], encode(result))

    def error(self, command_id: int, error: ReplyError) -> bytes:
        return _int(_REPLY_ID, command_id) + _bytes(_REPLY_ERROR, encode(error))

    def publication(
        self, channel: str, data: bytes, offset: int = 0, tags: dict[str, str] | None = None
    ) -> bytes:
        publication = _bytes(4, data) + (_int(6, offset) if offset else b"")
        for key, value in (tags or {}).items():
            publication += _bytes(
                _PUBLICATION_TAGS, _bytes(1, key.encode()) + _bytes(2, value.encode())
            )
        return _bytes(
            _REPLY_PUSH, _bytes(_PUSH_CHANNEL, channel.encode()) + _bytes(_PUSH_PUB, publication)
        )

    def unsubscribe(self, channel: str, code: int, reason: str) -> bytes:
        push = _bytes(_PUSH_CHANNEL, channel.encode()) + _bytes(
            _PUSH_UNSUBSCRIBE, encode(Unsubscribe(code, reason))
        )
        return _bytes(_REPLY_PUSH, push)

    def push(
        self, channel: str, kind: Literal["pub", "join", "leave"], message: msgspec.Struct
    ) -> bytes:
        return _bytes(
            _REPLY_PUSH,
            _bytes(_PUSH_CHANNEL, channel.encode()) + _bytes(_PUSH_KINDS[kind], encode(message)),
        )

    def frame(self, messages: Sequence[bytes]) -> bytes:
        return frames.frame(frames.BINARY, self.delimited(messages))

    @staticmethod
    def delimited(messages: Sequence[bytes]) -> bytes:
        """Each message after its length."""
        return b"".join(_varint(len(message)) + message for message in messages)

    def disconnect(self, code: int, reason: str) -> bytes:
        return _bytes(_REPLY_PUSH, _bytes(_PUSH_DISCONNECT, encode(Disconnect(code, reason))))


def encode(message: msgspec.Struct) -> bytes:
    """`message` as protobuf; zero values are left out."""
    parts: list[bytes] = []
    for number, (name, kind) in TABLES[type(message)].items():
        value = getattr(message, name)
        if (
            value is None
            or value is NOTHING
            or (not value and not isinstance(value, msgspec.Struct))
        ):
            continue
        parts.append(_encode_field(number, kind, value))
    return b"".join(parts)


def _encode_field(number: int, kind: Kind, value: Any) -> bytes:
    if kind == "int":
        return _int(number, value)
    if kind == "bool":
        return _int(number, 1)
    if kind == "str":
        return _bytes(number, value.encode())
    if kind == "raw":
        return _bytes(number, bytes(value))
    if isinstance(kind, tuple) and kind[0] == "list":
        return b"".join(_bytes(number, encode(item)) for item in value)
    if isinstance(kind, tuple):
        entries = (
            (key, _bytes(2, item.encode() if kind[1] == "str" else encode(item)))
            for key, item in value.items()
        )
        return b"".join(_bytes(number, _bytes(1, key.encode()) + item) for key, item in entries)
    return _bytes(number, encode(value))


def _decode(kind: type[Any], payload: bytes) -> Any:
    table = TABLES[kind]
    found: dict[str, Any] = {}
    for number, wire, value in _fields(payload):
        if number not in table:
            continue
        name, field = table[number]
        if (wire == _VARINT) != (field in ("int", "bool")) or wire not in (_VARINT, _BYTES):
            raise ValueError(f"field {name} has the wrong wire type")
        if isinstance(field, tuple):
            entries = found.setdefault(name, {})
            key, item = _entry(field[1], value)
            entries[key] = item
            if len(entries) > _MAX_MAP:
                raise ValueError(f"field {name} has too many entries")
        else:
            found[name] = _value(field, value)
            if field == "int" and not (-1 if name == "limit" else 0) <= found[name] <= (
                _MAX_ID if name == "id" else _MAX_INT64
            ):
                raise ValueError(f"field {name} is out of range")
    return kind(**found)


def _value(kind: Kind, value: Any) -> Any:
    if kind == "int":
        return value if value < _MAX_INT64 else value - 2 * _MAX_INT64
    if kind == "bool":
        return bool(value)
    if kind == "str":
        return value.decode()
    if kind == "raw":
        return Raw(value)
    return _decode(kind, value)


def _entry(kind: Kind, payload: bytes) -> tuple[str, Any]:
    key, item = "", b""
    for number, wire, value in _fields(payload):
        if wire == _BYTES and number == 1:
            key = value.decode()
        elif wire == _BYTES and number == 2:
            item = value
    return key, _value(kind, item)


def _fields(payload: bytes) -> Iterator[tuple[int, int, Any]]:
    at = 0
    while at < len(payload):
        tag, at = _read_varint(payload, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _read_varint(payload, at)
            yield number, wire, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(wire)
        if wire == _BYTES:
            size, at = _read_varint(payload, at)
        if size is None or number == 0 or size > len(payload) - at:
            raise ValueError("a field is malformed or cut off")
        yield number, wire, payload[at : at + size]
        at += size


def _read_varint(payload: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(_MAX_VARINT_BYTES):
        byte = payload[at]
        at += 1
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value & (2**64 - 1), at
    raise ValueError("a varint is too long")


def _varint(value: int) -> bytes:
    if value < 0:
        value += 2**64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _int(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


PROTOBUF = ProtobufCodec()
