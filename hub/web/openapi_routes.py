"""An OpenAPI document over HTTP: ``/openapi.json`` for programs, ``/docs`` for people. Public, the
same for everybody."""

from collections.abc import Mapping
from typing import Any

from starlette.routing import BaseRoute, Route

from hub.web.documents import Published
from hub.web.endpoint import OpenHandler
from hub.web.openapi_page import STYLE, page

DOCUMENT = "/openapi.json"
PAGE = "/docs"
STYLESHEET = "/docs.css"


def handlers(document: Mapping[str, Any]) -> dict[str, OpenHandler]:
    """All three, by the ids of `hub.special_table`."""
    whole = Published(document, "application/json")
    readable = Published(
        page(dict(document), stylesheet=STYLESHEET, address=DOCUMENT).encode(),
        "text/html; charset=utf-8",
    )
    style = Published(STYLE.encode(), "text/css; charset=utf-8")
    return {"openapi": whole.show, "docs": readable.show, "docsStyle": style.show}


def routes(document: Mapping[str, Any]) -> list[BaseRoute]:
    """All three as routes, for an app without a table of them."""
    shown = handlers(document)
    return [
        Route(path, shown[id])
        for path, id in ((DOCUMENT, "openapi"), (PAGE, "docs"), (STYLESHEET, "docsStyle"))
    ]
