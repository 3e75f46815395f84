"""The hub's HTTP side: REST, ingest and the edge socket, health, metrics, the console.

The dashboard socket is not a route here: `hub.server.websocket_protocol` takes it before any ASGI
application runs.
"""

from collections.abc import Mapping
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import NotFound
from actors.core.settings import HubSettings
from hub import routes, static_files
from hub.access import client_address
from hub.access.authorization import Access
from hub.access.host_names import Hosts
from hub.rest import table
from hub.special_table import SPECIALS
from hub.web import documents, endpoint, openapi_routes
from hub.web.endpoint import Handler, OpenHandler
from hub.web.security_headers import SecurityHeaders


def create_app(
    hub: HubSettings,
    access: Access,
    users: Mapping[str, Handler],
    others: Mapping[str, OpenHandler],
    sockets: Mapping[str, routes.Socket],
    *,
    hosts: Hosts,
    release: str,
    static: Path = static_files.FOLDER,
) -> SecurityHeaders:
    """The app of one hub, out of handlers by their ids in the two tables: `users` take a user's
    token, `others` and `sockets` do not. `hosts`: the names this hub goes by."""
    others = {
        **others,
        **documents.handlers(release),
        **openapi_routes.handlers(table.openapi(release)),
        "unknown": _unknown,
    }
    rest = {endpoint.id for endpoint in table.ENDPOINTS}
    app = Starlette(
        routes=[
            *routes.rest(
                access,
                table.ENDPOINTS,
                users,
                {id: handler for id, handler in others.items() if id in rest},
            ),
            *routes.special(
                [row for row in SPECIALS if not row.optional or row.id in others],
                {id: handler for id, handler in others.items() if id not in rest},
                sockets,
                static_files.routes(static),
            ),
        ],
        exception_handlers={405: endpoint.wrong_method},
    )
    return SecurityHeaders(
        app, hosts, hub.allowed_origins, client_address.networks(hub.trusted_proxies)
    )


async def _unknown(request: Request) -> Response:
    if endpoint.methods_of(request):
        return await endpoint.wrong_method(request, HTTPException(405))
    raise NotFound(
        f"there is nothing at {request.url.path[:200]}",
        hint="REST lives under /v1; see the documentation.",
    )
