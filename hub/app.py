"""The hub's HTTP side: REST, ingest and the edge socket, health, metrics, the console.

The dashboard socket is not a route here: `hub.server.websocket_protocol` takes it before any ASGI
application runs.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import NotFound
from hub import routes, static_files
from hub.access import client_address
from hub.access.host_names import Hosts
from hub.compat.server_api import ServerApi
from hub.dashboards.node import Node
from hub.health import HealthCheck
from hub.ingest.routes import EdgeRoutes
from hub.metrics import CONTENT_TYPE, Metrics
from hub.rest import table
from hub.rest.sign_in import SignIns
from hub.server.http_stream import Fallbacks
from hub.special_table import SPECIALS
from hub.web import documents, endpoint, openapi_routes
from hub.web.endpoint import Handler, OpenHandler
from hub.web.health import Health
from hub.web.security_headers import SecurityHeaders


def create_app(
    node: Node,
    *,
    health: HealthCheck,
    metrics: Metrics,
    node_metrics: Callable[[], bytes],
    private_port: Callable[[], int],
    hosts: Hosts,
    handlers: Mapping[str, Handler],
    edge: EdgeRoutes,
    sign_ins: SignIns,
    static: Path = static_files.FOLDER,
    release: str = "development",
) -> SecurityHeaders:
    """The app of one hub. `handlers`: those of REST for users, by their ids. Metrics are shown on
    the private port alone: they tell what a deployment does, and ask nobody for a token. `hosts`:
    the names this hub goes by."""

    async def live(_request: Request) -> Response:
        return _answer(health.live())

    async def ready(_request: Request) -> Response:
        return _answer(health.ready())

    def scrape(read: Callable[[], bytes]) -> OpenHandler:
        async def answer(request: Request) -> Response:
            if request.scope["server"][1] != private_port():
                raise NotFound(
                    "metrics are not shown here",
                    hint="Scrape the hub's private port; `eyrie status` names it.",
                )
            return Response(await asyncio.to_thread(read), media_type=CONTENT_TYPE)

        return answer

    async def unknown(request: Request) -> Response:
        if endpoint.methods_of(request):
            return await endpoint.wrong_method(request, HTTPException(405))
        raise NotFound(
            f"there is nothing at {request.url.path[:200]}",
            hint="REST lives under /v1; see the documentation.",
        )

    others: dict[str, OpenHandler] = {
        "metrics": scrape(metrics.text),
        "metricsOfNode": scrape(node_metrics),
        **documents.handlers(release),
        **openapi_routes.handlers(table.openapi(release)),
        **Fallbacks(node).handlers(),
        "unknown": unknown,
    }
    api = None if node.plain is None else ServerApi(node.plain, name=node.name, release=release)
    if api is not None and api.exists:
        others["serverApi"] = api.answer
    specials = [row for row in SPECIALS if row.id != "serverApi" or "serverApi" in others]
    app = Starlette(
        routes=[
            *routes.rest(
                node.access,
                table.ENDPOINTS,
                handlers,
                {
                    "live": live,
                    "ready": ready,
                    "postObservations": edge.observations,
                    "signIn": sign_ins.exchange,
                },
            ),
            *routes.special(specials, others, {"edge": edge.socket}, static_files.routes(static)),
        ],
        exception_handlers={405: endpoint.wrong_method},
    )
    return SecurityHeaders(
        app,
        hosts,
        node.settings.hub.allowed_origins,
        client_address.networks(node.settings.hub.trusted_proxies),
    )


def _answer(health: Health) -> Response:
    headers = {"cache-control": "no-store"}
    status = 200 if health.ready else 503
    return Response(
        msgspec.json.encode(health),
        status_code=status,
        media_type="application/json",
        headers=headers,
    )
