"""The Centrifuge client protocol's second encoding: protobuf (pure).

Field numbers are those of `definitions/client.proto` (centrifugal/protocol). Google's library reads
and writes, by message classes that are made of the structs in `hub.protocol.messages` and the
numbers below. Unknown fields are skipped; a known one of the wrong wire type is refused. Every
message in a frame is preceded by its length as a varint.
"""

from collections.abc import Sequence
from types import UnionType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

import msgspec
from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from actors.core.errors import BadInput
from hub.protocol import errors, frames, messages
from hub.protocol.messages import (
    MAX_COMMANDS,
    NOTHING,
    Command,
    Disconnect,
    EmulationRequest,
    InfoPush,
    Publication,
    Raw,
    Unsubscribe,
)

_MAX_VARINT_BYTES = 10
_MAX_INT64 = 2**63 - 1
_MAX_ID = 2**32 - 1
_MAX_MAP = 1024  # entries of one map


class TaggedPublication(Publication):
    """A publication with tags, which only the hub's own pushes have."""

    tags: dict[str, str] = {}


class Push(msgspec.Struct):
    """What a server sends unasked: one of these."""

    channel: str = ""
    pub: TaggedPublication | None = None
    join: InfoPush | None = None
    leave: InfoPush | None = None
    unsubscribe: Unsubscribe | None = None
    disconnect: Disconnect | None = None


class Reply(msgspec.Struct):
    """What a server sends: an answer, an error or a push."""

    id: int = 0
    error: errors.ReplyError | None = None
    push: Push | None = None
    connect: messages.ConnectResult | None = None
    subscribe: messages.SubscribeResult | None = None
    unsubscribe: messages.Empty | None = None
    publish: messages.Empty | None = None
    presence: messages.PresenceResult | None = None
    presence_stats: messages.PresenceStatsResult | None = None
    history: messages.HistoryResult | None = None
    ping: messages.Empty | None = None
    rpc: messages.Empty | None = None
    refresh: messages.RefreshResult | None = None
    sub_refresh: messages.SubRefreshResult | None = None


# The numbers of the fields, in the order of the struct's.
NUMBERS: dict[type[msgspec.Struct], tuple[int, ...]] = {
    messages.StreamPosition: (1, 2),
    messages.ClientInfo: (1, 2, 3, 4),
    messages.Publication: (4, 5, 6),
    TaggedPublication: (4, 5, 6, 7),
    messages.SubscribeRequest: (1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 14, 15, 13),
    messages.SubscribeResult: (1, 2, 3, 6, 7, 8, 9, 10, 11, 12),
    messages.ConnectRequest: (1, 2, 3, 4, 5, 6, 7),
    messages.ConnectResult: (1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
    messages.ChannelRequest: (1,),
    messages.PublishRequest: (1, 2),
    messages.HistoryRequest: (1, 7, 8, 9),
    messages.HistoryResult: (1, 2, 3),
    messages.PresenceResult: (1,),
    messages.PresenceStatsResult: (1, 2),
    messages.RpcRequest: (1, 2),
    messages.SendRequest: (1,),
    messages.RefreshRequest: (1,),
    messages.RefreshResult: (1, 2, 3, 4),
    messages.SubRefreshRequest: (1, 2),
    messages.SubRefreshResult: (1, 2),
    messages.PingRequest: (),
    messages.Empty: (),
    messages.EmulationRequest: (1, 2, 3),
    Command: (1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    InfoPush: (1,),
    Unsubscribe: (2, 3),
    Disconnect: (1, 2),
    errors.ReplyError: (1, 2, 3),
    Push: (2, 4, 5, 6, 7, 11),
    Reply: (1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
}
_SCALARS = {
    int: FieldDescriptorProto.TYPE_INT64,  # whatever the width: ranges are checked after reading
    bool: FieldDescriptorProto.TYPE_BOOL,
    str: FieldDescriptorProto.TYPE_STRING,
    Raw: FieldDescriptorProto.TYPE_BYTES,
}
_PACKAGE = "eyrie.centrifuge"


def _kinds(struct: type[msgspec.Struct]) -> dict[int, tuple[str, Any]]:
    """Number → name and type of its fields. An optional struct is that struct."""
    hints = get_type_hints(struct)
    found = {}
    for number, name in zip(NUMBERS[struct], struct.__struct_fields__, strict=True):
        kind = hints[name]
        found[number] = name, get_args(kind)[0] if get_origin(kind) is UnionType else kind
    return found


def _classes() -> dict[type[msgspec.Struct], Any]:
    """A message class of the library for every struct."""
    file = FileDescriptorProto(name="centrifuge.proto", package=_PACKAGE, syntax="proto3")
    for struct, table in TABLES.items():
        message = file.message_type.add(name=struct.__name__)
        for number, (name, kind) in table.items():
            field = message.field.add(name=name, number=number)
            if get_origin(kind) in (list, dict):
                field.label = FieldDescriptorProto.LABEL_REPEATED
            if get_origin(kind) is dict:
                entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
                entry.options.map_entry = True
                _type(entry.field.add(name="key", number=1), str)
                _type(entry.field.add(name="value", number=2), get_args(kind)[1])
                field.type = FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{struct.__name__}.{entry.name}"
            else:
                _type(field, get_args(kind)[0] if get_origin(kind) is list else kind)
    pool = DescriptorPool()
    pool.Add(file)
    return {
        struct: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{_PACKAGE}.{struct.__name__}")
        )
        for struct in TABLES
    }


def _type(field: Any, kind: Any) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind.__name__}"


TABLES = {struct: _kinds(struct) for struct in NUMBERS}
_CLASSES = _classes()
_Reply, _Push, _Publication = _CLASSES[Reply], _CLASSES[Push], _CLASSES[TaggedPublication]


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
        except (ValueError, IndexError, DecodeError) as error:
            raise BadInput(f"not commands of the Centrifuge protocol: {error}") from error
        if not commands:
            raise BadInput("an empty frame")
        return commands

    def emulated(self, body: bytes) -> EmulationRequest:
        try:
            return cast("EmulationRequest", _decode(EmulationRequest, body))
        except (ValueError, DecodeError) as error:
            raise BadInput(f"not an emulation request: {error}") from error

    def reply(self, command_id: int, method: str, result: Any) -> bytes:
        return _bytes(_Reply(id=command_id, **{method: _message(result)}))

    def error(self, command_id: int, error: errors.ReplyError) -> bytes:
        return _bytes(_Reply(id=command_id, error=_message(error)))

    def publication(
        self, channel: str, data: bytes, offset: int = 0, tags: dict[str, str] | None = None
    ) -> bytes:
        publication = _Publication(data=data, offset=offset, tags=tags)
        return _bytes(_Reply(push=_Push(channel=channel, pub=publication)))

    def unsubscribe(self, channel: str, code: int, reason: str) -> bytes:
        ended = _message(Unsubscribe(code, reason))
        return _bytes(_Reply(push=_Push(channel=channel, unsubscribe=ended)))

    def push(
        self, channel: str, kind: Literal["pub", "join", "leave"], message: msgspec.Struct
    ) -> bytes:
        push = _Push(channel=channel)
        getattr(push, kind).SetInParent()
        _fill(getattr(push, kind), message)
        return _bytes(_Reply(push=push))

    def frame(self, messages: Sequence[bytes]) -> bytes:
        return frames.frame(frames.BINARY, self.delimited(messages))

    @staticmethod
    def delimited(messages: Sequence[bytes]) -> bytes:
        """Each message after its length."""
        return b"".join(_varint(len(message)) + message for message in messages)

    def disconnect(self, code: int, reason: str) -> bytes:
        return _bytes(_Reply(push=_Push(disconnect=_message(Disconnect(code, reason)))))


def encode(value: msgspec.Struct) -> bytes:
    """`value` as protobuf; zero values are left out."""
    return _bytes(_message(value))


def _bytes(message: Any) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))  # maps in the order of their keys


def _message(value: msgspec.Struct) -> Any:
    message = _CLASSES[type(value)]()
    _fill(message, value)
    return message


def _fill(message: Any, value: msgspec.Struct) -> None:
    for name in value.__struct_fields__:
        item = getattr(value, name)
        if isinstance(item, msgspec.Struct):
            getattr(message, name).SetInParent()
            _fill(getattr(message, name), item)
        elif isinstance(item, list):
            for one in item:
                _fill(getattr(message, name).add(), one)
        elif isinstance(item, dict):
            for key, one in item.items():
                if isinstance(one, str):
                    getattr(message, name)[key] = one
                else:
                    _fill(getattr(message, name)[key], one)
        elif isinstance(item, Raw):
            if item is not NOTHING:
                setattr(message, name, bytes(item))
        elif item:
            setattr(message, name, item)


def _decode(kind: type[Any], payload: bytes) -> Any:
    return _struct(kind, _CLASSES[kind].FromString(payload))


def _struct(kind: type[Any], message: Any) -> Any:
    table = TABLES[kind]
    for unknown in UnknownFieldSet(message):
        if unknown.field_number in table:
            raise ValueError(f"field {table[unknown.field_number][0]} has the wrong wire type")
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        name, form = table[field.number]
        if form is Raw:
            value = Raw(value)
        elif form is int:
            least, most = -1 if name == "limit" else 0, _MAX_ID if name == "id" else _MAX_INT64
            if not least <= value <= most:
                raise ValueError(f"field {name} is out of range")
        elif get_origin(form) is dict:
            if len(value) > _MAX_MAP:
                raise ValueError(f"field {name} has too many entries")
            of = get_args(form)[1]
            value = {k: one if of is str else _struct(of, one) for k, one in value.items()}
        elif form not in _SCALARS:
            value = _struct(form, value)
        found[name] = value
    return kind(**found)


def _read_varint(payload: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(_MAX_VARINT_BYTES):
        byte = payload[at]
        at += 1
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, at
    raise ValueError("a varint is too long")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


PROTOBUF = ProtobufCodec()
