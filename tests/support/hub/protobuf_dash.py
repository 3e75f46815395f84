"""A dashboard on the websocket in protobuf, by the codec of the stock Python client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from centrifuge.codecs import _ProtobufCodec as Protobuf
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.support.hub.hub import Dash, TestHub


class ProtobufDash(Dash):
    """The same client in the protocol's other encoding, by the stock Python client's codec; bytes
    are base64 in what it returns."""

    def encode(self, command: dict[str, Any]) -> str | bytes:
        return bytes(Protobuf.encode_commands([command]))

    def decode(self, frame: str | bytes) -> list[dict[str, Any]]:
        assert isinstance(frame, bytes)
        return list(Protobuf.decode_replies(frame))


@asynccontextmanager
async def protobuf_dashboard(hub: TestHub, token: str) -> AsyncIterator[ProtobufDash]:
    """Connected."""
    async with connect(
        hub.url, compression=None, subprotocols=[Subprotocol("centrifuge-protobuf")]
    ) as socket:
        dash = ProtobufDash(socket)
        dash.connected = await dash.ask("connect", token=token)
        yield dash
