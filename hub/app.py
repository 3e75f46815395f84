"""The hub's HTTP side: REST, ingest and the edge socket, health, metrics, the console.

The dashboard socket is not a route here: `hub.socket_protocol` takes it before any ASGI application runs.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from actors.core.errors import NotFound
from hub import openapi_routes, peers, rest, rest_table, schema_routes, static_files, web
from hub.edge_routes import problem
from hub.fallbacks import Fallbacks
from hub.health import Health, HealthCheck
from hub.hosts import Hosts
from hub.metrics import CONTENT_TYPE, Metrics
from hub.node import Node
from hub.server_api import ServerApi
from hub.web_guard import WebGuard
from storage.ports import Broker, EventStore

NODE_PATH = "/metrics/node"  # all processes of the machine, merged


def create_app(
    node: Node, *, broker: Broker, events: EventStore, health: HealthCheck, metrics: Metrics, node_metrics: Callable[[], bytes],
    private_port: Callable[[], int], hosts: Hosts,
    edge_routes: Sequence[BaseRoute] = (), static: Path = static_files.FOLDER, release: str = "development",
) -> WebGuard:  # fmt: skip
    """The app of one hub. `edge_routes` are those of `hub.edge_routes`. Metrics are shown on the private port alone: they tell what a
    deployment does, and ask nobody for a token. `hosts`: the names this hub goes by."""

    async def live(_request: Request) -> Response:
        return _answer(health.live())

    async def ready(_request: Request) -> Response:
        return _answer(health.ready())

    async def scrape(request: Request) -> Response:
        if request.scope["server"][1] != private_port():
            return problem(NotFound("metrics are not shown here", hint="Scrape the hub's private port; `eyrie status` names it."))
        merged = request.scope["path"] == NODE_PATH
        return Response(await asyncio.to_thread(node_metrics) if merged else metrics.text(), media_type=CONTENT_TYPE)

    async def unknown(request: Request) -> Response:
        if web.methods_of(request):
            return await web.wrong_method(request, HTTPException(405))
        return problem(NotFound(f"there is nothing at {request.url.path[:200]}", hint="REST lives under /v1; see the documentation."))

    app = Starlette(
        routes=[
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/metrics", scrape),
            Route(NODE_PATH, scrape),
            *schema_routes.routes(release),
            *openapi_routes.routes(rest_table.openapi(release)),
            *edge_routes,
            *rest.routes(node, broker, events),
            *Fallbacks(node).routes(),
            *([] if node.plain is None else ServerApi(node.plain, name=node.name, release=release).routes()),
            Route(web.EVERYTHING, unknown, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
            *static_files.routes(static),
        ],
        exception_handlers={405: web.wrong_method},
    )
    return WebGuard(app, hosts, node.settings.hub.allowed_origins, peers.networks(node.settings.hub.trusted_proxies))


def _answer(health: Health) -> Response:
    headers = {"cache-control": "no-store"}
    status = 200 if health.ready else 503
    return Response(msgspec.json.encode(health), status_code=status, media_type="application/json", headers=headers)
