"""What the REST handlers of a hub share: bounded bodies, pages, ETags, answers and problems."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from actors.core.errors import BadInput, NoPrecondition, StaleTag, WrongMethod
from actors.core.identifiers import is_id
from hub.web.problems import problem
from policy.identity.principal import Principal

MAX_BODY_BYTES = (
    512 * 1024
)  # a scene of 64 zones and 64 lines with every point takes less than 300 KiB
MAX_PAGE = 500
DEFAULT_PAGE = 100
ANY = "*"
EVERYTHING = "/v1/{rest:path}"  # the route of what is not there

T = TypeVar("T")
Handler = Callable[[Request, Principal], Awaitable[Response]]
OpenHandler = Callable[[Request], Awaitable[Response]]  # looks itself who asks, where it matters


def methods_of(request: Request) -> set[str]:
    """The methods that other routes than the one of all paths take at this path."""
    scope = request.scope
    found = [
        one
        for one in request.app.routes
        if isinstance(one, Route)
        and one.path != EVERYTHING
        and one.matches(scope)[0] is Match.PARTIAL
    ]
    return {method for route in found for method in route.methods or ()}


async def wrong_method(request: Request, error: Exception) -> Response:
    """What Starlette answers to a method that a path does not take, as a problem."""
    answered = problem(WrongMethod(f"{request.url.path[:200]} does not take {request.method[:20]}"))
    if isinstance(error, HTTPException):
        answered.headers.update(error.headers or {})
    if allowed := methods_of(request):  # Starlette names those of the first route with this path
        answered.headers["allow"] = ", ".join(sorted(allowed))
    return answered


async def read_body(request: Request, limit: int, *, hint: str | None = None) -> bytes:
    """The whole body of at most `limit` bytes. Raises BadInput as soon as more has come."""
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > limit:
            raise BadInput(f"a body has at most {limit} bytes", hint=hint)
    return bytes(read)


async def body(
    request: Request, kind: type[T], *, limit: int = MAX_BODY_BYTES, any_type: bool = False
) -> T:
    """The JSON body of at most `limit` bytes as `kind`.

    Raises BadInput for another type of content (unless `any_type`: the caller knows who asks by
    more than a cookie), too much of it, or what `kind` does not take.
    """
    content = (
        request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    )
    if content != "application/json" and not any_type:
        raise BadInput(
            f"content type {content[:80]!r} is not read here", hint="Send application/json."
        )
    read = await read_body(request, limit)
    try:
        return msgspec.json.decode(read, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"the body is not what is asked for: {str(error)[:500]}") from error


def answer(
    document: object, *, status: int = 200, version: int | None = None, location: str = ""
) -> Response:
    """JSON that nobody may cache; `version` becomes the ETag."""
    headers = {"cache-control": "no-store"}
    if version is not None:
        headers["etag"] = etag(version)
    if location:
        headers["location"] = location
    return Response(
        msgspec.json.encode(document),
        status_code=status,
        media_type="application/json",
        headers=headers,
    )


def gone() -> Response:
    """204: done, and there is nothing to show."""
    return Response(status_code=204, headers={"cache-control": "no-store"})


def etag(version: int) -> str:
    """A version as a strong ETag."""
    return f'"{version}"'


def require_match(request: Request, version: int) -> int | None:
    """The version that the change expects, None for ``If-Match: *``.

    Raises NoPrecondition without If-Match, StaleTag when it does not name `version` (RFC 9110,
    13.1.1: strong comparison).
    """
    given = request.headers.get("if-match")
    if given is None:
        raise NoPrecondition("a change must say what it changes")
    tags = [tag.strip() for tag in given.split(",")]
    if tags == [ANY]:
        return None
    if etag(version) not in tags:
        raise StaleTag(f"the ETag is now {etag(version)}, not {given[:80]}")
    return version


def stale(what: str) -> StaleTag:
    """Somebody was faster between our reading and our writing."""
    return StaleTag(f"{what} was changed at the same moment")


def limit_of(request: Request) -> int:
    """``?limit=``: 1 to `MAX_PAGE`."""
    limit = number(request, "limit", DEFAULT_PAGE)
    if not 1 <= limit <= MAX_PAGE:
        raise BadInput(f"limit must be 1 to {MAX_PAGE}")
    return limit


def number(request: Request, name: str, default: int) -> int:
    """A whole number of the query. Raises BadInput."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadInput(f"{name} must be a whole number, not {text[:40]!r}")
    return int(text)


def after_of(request: Request) -> str:
    """``?after=``: the `next` of the page before. Raises BadInput for what is no id."""
    text = request.query_params.get("after", "")
    if text and not is_id(text):
        raise BadInput("after must be the `next` of a page", hint="Leave it out to begin.")
    return text
