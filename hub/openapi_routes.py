"""An OpenAPI document over HTTP: ``/openapi.json`` for programs, ``/docs`` for people. Public, the same for everybody."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hub.openapi_page import STYLE, page
from hub.schema_routes import Published

DOCUMENT = "/openapi.json"
PAGE = "/docs"
STYLESHEET = "/docs.css"


def routes(document: Mapping[str, Any]) -> list[BaseRoute]:
    """All three."""
    whole = Published(document, "application/json")
    readable = Published(page(dict(document), stylesheet=STYLESHEET, address=DOCUMENT).encode(), "text/html; charset=utf-8")
    style = Published(STYLE.encode(), "text/css; charset=utf-8")

    def at(path: str, published: Published) -> Route:
        async def show(request: Request) -> Response:
            return published.answer(request)

        return Route(path, show)

    return [at(DOCUMENT, whole), at(PAGE, readable), at(STYLESHEET, style)]
