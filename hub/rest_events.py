"""Stored events by REST: of a camera by its cursor (epoch, offset), of a site or the fleet by time; filtered, paged or streamed (NDJSON).

The same decisions and views as on the socket. A stream asks again before every page, so a revoked token or a changed policy ends it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from actors.core.errors import BadInput, EyrieError, Forbidden
from actors.core.events import published
from actors.core.identifiers import require_id
from hub import channels, views
from hub.channels import Channel
from hub.node import Node
from hub.views import View
from hub.web import answer, limit_of, number, route
from policy.ports import Principal
from storage.ports import EventRow, EventStore

NDJSON = "application/x-ndjson"
PAGE = 500  # events a stream reads at once
FILTERS = frozenset({"epoch", "after", "limit", "from", "to", "type", "severity"})
SEVERITIES = ("info", "notice", "warning", "critical")
MAX_TYPES = 32
MAX_TIED = 10_000  # events of one microsecond that a cursor may have behind it


class Head(msgspec.Struct):
    """What filters look at."""

    type: str = ""
    severity: str = "info"


class Filter(msgspec.Struct, frozen=True):
    """`types`: those or all; `least`: index of the lowest severity; `to_us`: received before, microseconds since 1970."""

    types: frozenset[str] = frozenset()
    least: int = 0
    to_us: int | None = None

    def takes(self, row: EventRow) -> bool:
        """Whether a row passes."""
        if self.to_us is not None and row.received_us >= self.to_us:
            return False
        if not self.types and not self.least:
            return True
        head = _heads.decode(row.body)
        if self.types and head.type not in self.types:
            return False
        return head.severity in SEVERITIES[self.least :]


_heads = msgspec.json.Decoder(Head)
Page = tuple[list[EventRow], str]  # rows, and the cursor after them ("" at the end)
Read = Callable[[str, int], Awaitable[Page]]


def routes(node: Node, events: EventStore) -> list[BaseRoute]:
    """The routes of events."""
    reads = EventReads(node, events)
    return [
        route(node.access, "/v1/cameras/{camera}/events", get=reads.camera),
        route(node.access, "/v1/sites/{site}/events", get=reads.site),
        route(node.access, "/v1/fleet/events", get=reads.fleet),
    ]


class EventReads:
    """The handlers."""

    def __init__(self, node: Node, events: EventStore) -> None:
        self._node = node
        self._events = events

    async def camera(self, request: Request, principal: Principal) -> Response:
        """``?epoch=&after=&limit=`` in order after an offset, or the newest `limit` without `after`; filters as for sites."""
        camera = require_id(request.path_params["camera"], "camera")
        channel = channels.parse(channels.camera_events(camera))
        require_filters(request, await self._view(principal, channel))
        epoch = request.query_params.get("epoch", "")
        if not epoch:
            newest = await self._events.latest(camera, 1)
            epoch = newest[-1].epoch if newest else ""
        wanted = filter_of(request)
        if "after" not in request.query_params and not _streamed(request):
            rows = await self._events.latest(camera, limit_of(request))
            return self._answer({"camera": camera}, rows, await self._view(principal, channel), wanted, "")

        async def read(cursor: str, limit: int) -> Page:
            rows = await self._events.after(camera, epoch, int(cursor or 0), limit)
            return rows, str(rows[-1].offset) if len(rows) == limit else ""

        return await self._deliver(request, principal, channel, read, str(number(request, "after", 0)), {"camera": camera})

    async def site(self, request: Request, principal: Principal) -> Response:
        """``?from=&to=&type=&severity=&limit=&after=``: as they were received; `after` is the `next` of the page before."""
        site = require_id(request.path_params["site"], "site")
        channel = channels.parse(channels.site_events(site))
        return await self._deliver(request, principal, channel, self._since([site]), _start(request), {"site": site})

    async def fleet(self, request: Request, principal: Principal) -> Response:
        """The same of all sites."""
        channel = channels.parse("events:fleet")
        await self._view(principal, channel)
        sites = await self._node.cameras.sites()
        return await self._deliver(request, principal, channel, self._since(sites), _start(request), {})

    def _since(self, sites: Sequence[str]) -> Read:
        async def read(cursor: str, limit: int) -> Page:
            received_us, tied = split(cursor)
            rows: list[EventRow] = []
            for site in sites:
                rows += await self._events.since(site, received_us, limit + tied)
            rows.sort(key=lambda row: (row.received_us, row.camera, row.epoch, row.offset))
            page = rows[tied : tied + limit]
            if len(page) < limit:
                return page, ""
            last = page[-1].received_us
            behind = sum(row.received_us == last for row in rows[: tied + limit])
            return page, f"{last}.{behind}"

        return read

    async def _view(self, principal: Principal, channel: Channel) -> View:
        return (await self._node.access.view("history", principal, channel))[0]

    async def _deliver(
        self, request: Request, principal: Principal, channel: Channel, read: Read, cursor: str, head: dict[str, Any]
    ) -> Response:
        view = await self._view(principal, channel)
        require_filters(request, view)
        wanted = filter_of(request)
        if not _streamed(request):
            rows, after = await read(cursor, limit_of(request))
            return self._answer(head, rows, view, wanted, after)
        first = await read(cursor, PAGE)  # what fails now is still told by a status

        async def lines() -> AsyncIterator[bytes]:
            (rows, after), shown = first, view
            try:
                while True:
                    yield b"".join(line + b"\n" for line in _shown(rows, shown, wanted))
                    if not after or _beyond(rows, wanted):
                        return
                    self._node.access.revocations.require(principal)
                    if self._node.access.ttl_s(principal) <= 0:
                        yield b'{"error":"token_expired","next":%s}\n' % msgspec.json.encode(after)
                        return
                    shown = await self._view(principal, channel)
                    rows, after = await read(after, PAGE)
            except EyrieError as error:
                yield msgspec.json.encode({"error": error.code, "detail": error.detail, "next": after}) + b"\n"

        return StreamingResponse(lines(), media_type=NDJSON, headers={"cache-control": "no-store"})

    def _answer(self, head: dict[str, Any], rows: list[EventRow], view: View, wanted: Filter, after: str) -> Response:
        document = head | {"epoch": rows[-1].epoch if rows else ""} if "camera" in head else dict(head)
        document["events"] = [msgspec.Raw(body) for body in _shown(rows, view, wanted)]
        if after and not _beyond(rows, wanted):
            document["next"] = int(after) if after.isdigit() else after
        return answer(document)


def require_filters(request: Request, view: View) -> None:
    """Refuse what no filter is called, so that nobody takes everything for what they asked for.

    Raises Forbidden for one on an attribute that `view` hides (by what comes back it would tell the value), BadInput for any other.
    """
    for name in request.query_params.keys() - FILTERS:
        hidden = views.class_of(name, view.redact)
        if hidden is not None:
            raise Forbidden(f"events cannot be filtered by {name[:40]!r}: its class ({hidden}) is redacted for you")
        raise BadInput(f"events cannot be filtered by {name[:40]!r}", hint=f"There are {', '.join(sorted(FILTERS))}.")


def filter_of(request: Request) -> Filter:
    """The filter of a query. Raises BadInput."""
    query = request.query_params
    types = frozenset(name for text in query.getlist("type") for name in text.split(",") if name)
    if len(types) > MAX_TYPES:
        raise BadInput(f"at most {MAX_TYPES} types")
    severity = query.get("severity", SEVERITIES[0])
    if severity not in SEVERITIES:
        raise BadInput(f"severity is one of {', '.join(SEVERITIES)}")
    return Filter(types, SEVERITIES.index(severity), moment(query["to"], "to") if "to" in query else None)


def moment(text: str, name: str) -> int:
    """An RFC 3339 time with its zone as microseconds since 1970. Raises BadInput."""
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise BadInput(f"{name} must be a time like 2026-03-01T12:00:00Z, not {text[:40]!r}") from error
    if found.tzinfo is None:
        raise BadInput(f"{name} needs a time zone, Z for UTC")
    return int(found.timestamp() * 1_000_000)


def split(cursor: str) -> tuple[int, int]:
    """A cursor by time: microseconds, and how many events of that microsecond lie behind it. Raises BadInput."""
    received, _, tied = cursor.partition(".")
    if not received.isdigit() or len(received) > 18 or not (tied or "0").isdigit() or len(tied) > 6 or int(tied or 0) > MAX_TIED:
        raise BadInput("after must be the `next` of a page", hint="Leave it out to begin.")
    return int(received), int(tied or 0)


def _start(request: Request) -> str:
    query = request.query_params
    if "after" in query:
        split(query["after"])
        return query["after"]
    return str(moment(query["from"], "from")) if "from" in query else "0"


def _streamed(request: Request) -> bool:
    return NDJSON in request.headers.get("accept", "")


def _beyond(rows: Sequence[EventRow], wanted: Filter) -> bool:
    return wanted.to_us is not None and bool(rows) and rows[-1].received_us >= wanted.to_us


def _shown(rows: Sequence[EventRow], view: View, wanted: Filter) -> list[bytes]:
    seen = (views.of_camera(published(row.body, row.hash), view) for row in rows if wanted.takes(row))
    return [body for body in seen if body is not None]
