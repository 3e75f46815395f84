"""Routes out of the tables: REST from `hub.rest.table`, everything else from `hub.special_table`,
each with the handler of its id.

A row without a handler, or a handler without a row, is an error when the app is made.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from actors.core.errors import EyrieError
from hub.access.authorization import Access, about_system
from hub.access.credentials import address_of, bearer
from hub.special_table import Special
from hub.web.endpoint import Handler, OpenHandler
from hub.web.openapi import Endpoint
from hub.web.problems import problem

Socket = Callable[[WebSocket], Awaitable[None]]


def rest(
    access: Access,
    endpoints: Sequence[Endpoint],
    users: Mapping[str, Handler],
    others: Mapping[str, OpenHandler],
) -> list[BaseRoute]:
    """One route for each path. `users` are the handlers of endpoints that take a user's token,
    `others` those of the rest, by id.

    What is done to the deployment itself is asked here, by the row's action. About a camera, a site
    or a channel the handler asks, since it knows which.
    """
    of_users = {
        endpoint.id for endpoint in endpoints if endpoint.action and endpoint.token == "user"
    }
    _require_same(of_users, users)
    _require_same({endpoint.id for endpoint in endpoints} - of_users, others)
    by_path: dict[str, dict[str, OpenHandler]] = {}
    for endpoint in endpoints:
        handler = (
            _for_user(access, endpoint, users[endpoint.id])
            if endpoint.id in of_users
            else others[endpoint.id]
        )
        by_path.setdefault(endpoint.path, {})[endpoint.method] = handler
    return [_route(path, handlers) for path, handlers in by_path.items()]


def special(
    specials: Iterable[Special],
    handlers: Mapping[str, OpenHandler],
    sockets: Mapping[str, Socket] | None = None,
    files: Sequence[BaseRoute] = (),
) -> list[BaseRoute]:
    """The routes of everything else in the order of their rows. `files`: those of the row that is a
    folder."""
    rows, found = list(specials), list[BaseRoute]()
    sockets = sockets or {}
    _require_same({row.id for row in rows if row.kind == "http"}, handlers)
    _require_same({row.id for row in rows if row.kind == "websocket"}, sockets)
    for row in rows:
        if row.kind == "http":
            found.append(_route(row.path, dict.fromkeys(row.methods, handlers[row.id])))
        elif row.kind == "websocket":
            found.append(WebSocketRoute(row.path, sockets[row.id]))
        elif row.kind == "files":
            found += files
    return found


def _for_user(access: Access, endpoint: Endpoint, handler: Handler) -> OpenHandler:
    async def serve(request: Request) -> Response:
        principal = await access.identify_request(
            bearer(request.headers.get("authorization")), address_of(request)
        )
        if about_system(endpoint.action):
            await access.require_system(endpoint.action, principal)
        return await handler(request, principal)

    return serve


def _route(path: str, handlers: Mapping[str, OpenHandler]) -> Route:
    """Errors of the family become problem details (RFC 9457)."""

    async def serve(request: Request) -> Response:
        method = request.method
        try:
            return await handlers["GET" if method == "HEAD" and "HEAD" not in handlers else method](
                request
            )
        except EyrieError as error:
            return problem(error)

    return Route(path, serve, methods=list(handlers))


def _require_same(rows: set[str], handlers: Mapping[str, object]) -> None:
    if rows != set(handlers):
        raise ValueError(
            f"rows without a handler, or handlers without a row: {sorted(rows ^ set(handlers))}"
        )
