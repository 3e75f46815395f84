"""The encodings of the HTTP transports (pure): the messages are those of the websocket, only what
parts them differs.

A frame of :data:`SSE` is one event per message (WHATWG HTML, 9.2.6), one of :data:`JSON_STREAM` a
line per message, one of :data:`PROTOBUF_STREAM` each message after its length as a varint.
"""

from collections.abc import Sequence

from hub.protocol.messages import JsonCodec
from hub.protocol.protobuf_codec import ProtobufCodec


class SseCodec(JsonCodec):
    """JSON as server-sent events."""

    name = "sse"

    def frame(self, messages: Sequence[bytes]) -> bytes:
        return b"".join(b"data: %s\n\n" % message for message in messages)


class JsonStreamCodec(JsonCodec):
    """JSON, a line each."""

    name = "json-stream"

    def frame(self, messages: Sequence[bytes]) -> bytes:
        return b"".join(message + b"\n" for message in messages)


class ProtobufStreamCodec(ProtobufCodec):
    """Protobuf, delimited."""

    name = "protobuf-stream"

    def frame(self, messages: Sequence[bytes]) -> bytes:
        return self.delimited(messages)


SSE = SseCodec()
JSON_STREAM = JsonStreamCodec()
PROTOBUF_STREAM = ProtobufStreamCodec()
