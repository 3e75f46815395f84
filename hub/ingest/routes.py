"""The edge side's handlers for the hub's app: ``/v1/edge`` and HTTP ingest."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from actors.core.errors import BadInput, Unauthorized, Unavailable
from actors.core.identifiers import require_id
from actors.core.messages.edge_protocol import MSGPACK_TYPES
from hub.access.credentials import shown_by
from hub.ingest.http import MAX_BODY_BYTES, Ingest
from hub.ingest.node import EdgeNode
from hub.ingest.socket import serve_edge
from hub.web.endpoint import read_body
from policy.identity.http_signatures import claimed_key, is_signed


class EdgeRoutes:
    """The handlers over `node`, which the app starts and stops."""

    def __init__(self, node: EdgeNode) -> None:
        self._node = node
        self._ingest = Ingest(node)

    async def socket(self, websocket: WebSocket) -> None:
        """``/v1/edge``."""
        self._ingest.sweep()
        await serve_edge(self._node, websocket)

    async def observations(self, request: Request) -> Response:
        """HTTP ingest: `actors.core.messages.edge_protocol.Post`, under an edge's token, key or
        certificate."""
        return await _post(self._node, self._ingest, request)


async def _post(node: EdgeNode, ingest: Ingest, request: Request) -> Response:
    if node.stopping:
        raise Unavailable("this hub stops", retry_after_s=1.0)
    camera = require_id(request.path_params["camera"], "camera")
    shown, signature = shown_by(request), None
    headers = request.scope["headers"]
    if is_signed(headers):
        try:
            shown, signature = node.access.signed(
                request.method, request.scope["raw_path"].decode("ascii"), headers, shown
            )
        except Unauthorized:
            await node.access.failed(shown, claimed_key(headers))
            raise
    principal = await node.access.identify(shown)
    await node.context.limiter.charge(("device_posts", principal.sub))
    await node.access.admit(principal, camera)
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and kind not in MSGPACK_TYPES:
        raise BadInput(
            f"content type {kind[:80]!r} is not read here",
            hint="Send application/json or application/msgpack.",
        )
    body = await read_body(request, MAX_BODY_BYTES, hint="Post fewer observations at once.")
    if signature is not None:
        signature.require_body(body)
    ingest.sweep()
    answer = await ingest.post(camera, body, packed=kind != "application/json")
    return Response(msgspec.json.encode(answer), media_type="application/json")
