"""The HTTP transports of the Centrifuge protocol, for networks that break websockets: a stream that
never ends as the answer to the connect command, and the later commands as requests to
``/emulation`` (hubs.md 2.10).

The stream is written as raw frames to the transport, like a websocket's: the same groups, ladder,
drain and limits, one encoding for all.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import BadInput, EyrieError, NotFound
from actors.core.settings import HubSettings
from hub.access import client_address
from hub.access.credentials import address_of
from hub.access.rate_limits import Limiter, place
from hub.dashboards.connection import MAX_FIRST_BYTES, Dashboard
from hub.dashboards.connections import Connections
from hub.dashboards.emulation import Emulation
from hub.protocol.disconnects import CloseCode
from hub.protocol.messages import Codec
from hub.protocol.stream_codecs import JSON_STREAM, PROTOBUF_STREAM, SSE
from hub.server.http_protocol import PROTOCOL, BoundedHttp
from hub.server.websocket_protocol import CLOSE_S, bound_buffers
from hub.web.endpoint import OpenHandler, read_body
from hub.web.problems import problem

PROTOBUF_TYPE = "application/octet-stream"
CONTENT_TYPES = {
    SSE.name: b"text/event-stream",
    JSON_STREAM.name: b"application/json",
    PROTOBUF_STREAM.name: PROTOBUF_TYPE.encode(),
}
_STREAMED = [(b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"), (b"vary", b"origin")]


class _Link:
    """The transport under one stream, a `ClientSocket`. Its commands come elsewhere, so there is no
    reading to pause."""

    def __init__(self, http: BoundedHttp, codec: Codec) -> None:
        self._http = http
        self._codec = codec

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport."""
        if not self._http.transport.is_closing():
            self._http.transport.write(data)

    def close(self, close: CloseCode) -> None:
        """Say why as a push, and end the stream within `CLOSE_S`."""
        self.write(self._codec.frame((self._codec.disconnect(close.code, close.reason),)))
        self._http.transport.close()
        asyncio.get_running_loop().call_later(CLOSE_S, self._http.transport.abort)

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def resume_reading(self) -> None:
        """Nothing is read here."""


class _Stream:
    """A connection taken over, as `http_protocol.Taker`."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard
        self.lost = asyncio.Event()

    def on_blocked(self) -> None:
        self._dashboard.on_blocked()

    def on_drained(self) -> None:
        self._dashboard.on_drained()

    def on_lost(self) -> None:
        self._dashboard.on_lost()
        self.lost.set()


class Fallbacks:
    """The handlers of one hub."""

    def __init__(
        self, hub: HubSettings, connections: Connections, emulation: Emulation, limiter: Limiter
    ) -> None:
        self._connections = connections
        self._emulation = emulation
        self._limiter = limiter
        self._origins = client_address.named(hub.allowed_origins)
        self._max_bytes = hub.max_message_bytes

    def handlers(self) -> dict[str, OpenHandler]:
        """All of them by the ids of `hub.special_table`."""
        return {"sse": self._sse, "httpStream": self._http_stream, "emulation": self._emulate}

    async def _sse(self, request: Request) -> Response:
        try:
            asked = (
                request.query_params.get("cf_connect", "").encode()
                if request.method == "GET"
                else await _commands(request, MAX_FIRST_BYTES)
            )
        except EyrieError as error:
            return problem(error)
        return await self._stream(request, SSE, asked)

    async def _http_stream(self, request: Request) -> Response:
        try:
            asked = await _commands(request, MAX_FIRST_BYTES)
        except EyrieError as error:
            return problem(error)
        return await self._stream(
            request, PROTOBUF_STREAM if _is_protobuf(request) else JSON_STREAM, asked
        )

    async def _emulate(self, request: Request) -> Response:
        if not client_address.allowed(request.headers.getlist("origin"), self._connections.origins):
            return Response("This origin may not connect.\n", status_code=403)
        codec: Codec = PROTOBUF_STREAM if _is_protobuf(request) else JSON_STREAM
        try:
            asked = codec.emulated(
                await _commands(request, 2 * self._max_bytes)
            )  # quotes in JSON take two bytes
            if len(asked.data) > self._max_bytes:
                raise BadInput("the commands are larger than hub.max_message_bytes")
            await self._deliver(
                place(address_of(request)), asked.node, asked.session, bytes(asked.data)
            )
        except EyrieError as error:
            return problem(error)
        return Response(status_code=204)

    async def _deliver(self, address: str, node: str, session: str, data: bytes) -> None:
        """Commands of a session, whose name is a secret: guesses at one count as failures of their
        address, and nothing else does.

        Raises NotFound, TooMany, Unavailable.
        """
        if self._emulation.passes(node, session):
            self._limiter.spend(
                "session_passed", session
            )  # first: one session drains nothing that its neighbours need
            await self._limiter.charge(("address_passed", address))
        try:
            await self._emulation.deliver(node, session, data)
        except NotFound:
            await self._limiter.failed(address, "")
            raise

    async def _stream(self, request: Request, codec: Codec, asked: bytes) -> Response:
        address = address_of(request)
        refusal = self._connections.admit(
            request.url.path, request.headers.getlist("origin"), address
        )
        if refusal is not None:
            return Response(refusal.text, status_code=refusal.status, headers=refusal.headers)
        http = request.scope["state"][PROTOCOL]
        if http.transport.is_closing():
            return Response(status_code=499)
        bound_buffers(http.transport)
        dashboard = self._connections.open(_Link(http, codec), codec.name, address)
        self._emulation.enter(dashboard)
        stream = _Stream(dashboard)
        http.hand_over(stream)
        http.transport.write(
            http.head(
                b"200 OK",
                [
                    (b"content-type", CONTENT_TYPES[codec.name]),
                    *_STREAMED,
                    *self._readable(request),
                ],
            )
        )
        dashboard.on_message(asked)
        try:
            await stream.lost.wait()
        finally:
            self._emulation.forget(dashboard)
        return Response(status_code=499)  # goes nowhere: the answer was the stream

    def _readable(self, request: Request) -> list[tuple[bytes, bytes]]:
        """What `hub.web.security_headers` says to pages of other, allowed origins; the head of a
        stream does not pass there."""
        origin = request.headers.get("origin", "")
        return (
            [(b"access-control-allow-origin", origin.encode())] if origin in self._origins else []
        )


def _is_protobuf(request: Request) -> bool:
    return (
        request.headers.get("content-type", "").partition(";")[0].strip().lower() == PROTOBUF_TYPE
    )


async def _commands(request: Request, limit: int) -> bytes:
    """The body of at most `limit` bytes. Raises BadInput for more, or none."""
    read = await read_body(request, limit)
    if not read:
        raise BadInput("there are no commands")
    return read
