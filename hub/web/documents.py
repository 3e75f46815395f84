"""The generated schemas over HTTP: public, the same for everybody, cacheable."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import NotFound
from hub.web import schemas
from hub.web.endpoint import OpenHandler

MAX_AGE_S = 3600  # how long a reader may keep a document without asking; then the ETag decides
SCHEMA_TYPE = "application/schema+json"


class Published:
    """One document, ready to be sent."""

    def __init__(self, document: Mapping[str, Any] | bytes, media_type: str) -> None:
        self.body = document if isinstance(document, bytes) else msgspec.json.encode(document)
        self.media_type = media_type
        self.headers = {
            "etag": f'"{hashlib.sha256(self.body).hexdigest()[:32]}"',
            "cache-control": f"public, max-age={MAX_AGE_S}",
            "access-control-allow-origin": "*",
        }

    async def show(self, request: Request) -> Response:
        """The same as a handler."""
        return self.answer(request)

    def answer(self, request: Request) -> Response:
        """The document, or 304 for who has it."""
        asked = {
            tag.strip().removeprefix("W/")
            for tag in request.headers.get("if-none-match", "").split(",")
        }
        if self.headers["etag"] in asked:
            return Response(status_code=304, headers=self.headers)
        return Response(self.body, media_type=self.media_type, headers=self.headers)


def handlers(release: str) -> dict[str, OpenHandler]:
    """``/asyncapi.json``, ``/schemas/`` (what there is) and ``/schemas/v1/…``, by the ids of
    `hub.special_table`. `release`: Eyrie's."""
    found = {
        schemas.url(name): Published(document, SCHEMA_TYPE)
        for name, document in schemas.documents().items()
    }
    index = Published(schemas.index(), "application/json")
    sockets = Published(schemas.asyncapi(release), "application/json")

    async def document(request: Request) -> Response:
        published = found.get(request.url.path)
        if published is None:
            raise NotFound(
                f"there is no schema at {request.url.path[:200]}",
                hint="/schemas/ lists what there is.",
            )
        return published.answer(request)

    return {
        "asyncapi": sockets.show,
        "schemas": index.show,
        "schemasListed": index.show,
        "schema": document,
    }
