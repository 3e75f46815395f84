"""Stored events by REST: of a camera, a site or the fleet; filtered, newest or oldest first, paged
both ways or streamed (NDJSON).

The same decisions and views as on the socket. A stream asks again before every page, so a revoked
token or a changed policy ends it. Cameras that the view leaves out are left out by the statement,
so neither a page nor a cursor tells of them; rows that a filter would give away are left out by
`hub.rest.history.event_pages`.
"""

from collections.abc import AsyncIterator, Collection
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from actors.core.errors import BadInput, EyrieError
from actors.core.identifiers import require_id
from hub.access.authorization import Access
from hub.access.redaction import View
from hub.access.registry_cache import CameraCache
from hub.protocol import channels
from hub.protocol.channels import Channel
from hub.rest.history import event_pages
from hub.rest.history.event_filters import (
    EventPageQuery,
    key_of_text,
    require_filters,
    text_of_key,
    wanted,
)
from hub.rest.history.event_pages import SeenRow
from hub.web.endpoint import answer, limit_of
from policy.identity.principal import Principal
from storage.ports.cameras import key_of
from storage.ports.event_queries import LATEST_US, EventQuery, Key
from storage.ports.events import EventRow, EventStore

NDJSON = "application/x-ndjson"
PAGE = 500  # events a stream reads at once
END: Key = (LATEST_US, "", "", -1)


class Page(msgspec.Struct, frozen=True):
    """Rows as they are shown, and the cursors of the pages after and before them (empty: there is
    none)."""

    rows: list[SeenRow]
    next: str | int = ""
    previous: str = ""


class EventReads:
    """The handlers."""

    def __init__(self, access: Access, cameras: CameraCache, events: EventStore) -> None:
        self._access = access
        self._cameras = cameras
        self._events = events

    async def camera(self, request: Request, principal: Principal) -> Response:
        """The newest `limit`, oldest first, when nothing else is asked for;
        ``?epoch=&after=<offset>`` in order; else as for sites."""
        camera = require_id(request.path_params["camera"], "camera")
        channel = channels.parse(channels.camera_events(camera))
        require_filters(request.query_params, await self._view(principal, channel))
        asked = wanted(request)
        query = msgspec.structs.replace(
            asked.base, camera=camera, epoch=request.query_params.get("epoch")
        )
        if _streamed(request) and asked.offset is None and asked.plain and asked.after is None:
            asked = msgspec.structs.replace(asked, offset=0)
        if asked.offset is not None:
            query = msgspec.structs.replace(
                query, epoch=query.epoch or await self._epoch(camera), after_offset=asked.offset
            )
        elif (
            not _streamed(request)
            and asked.after is None
            and asked.before is None
            and "order" not in request.query_params
        ):
            asked = msgspec.structs.replace(asked, before=END)
        return await self._deliver(request, principal, channel, asked, query, {"camera": camera})

    async def site(self, request: Request, principal: Principal) -> Response:
        """As they were received; ``?order=newest`` the other way. `after` takes the `next` of a
        page, `before` its `previous`."""
        site = require_id(request.path_params["site"], "site")
        channel = channels.parse(channels.site_events(site))
        asked = await self._of_many(request, principal, channel)
        return await self._deliver(
            request,
            principal,
            channel,
            asked,
            msgspec.structs.replace(asked.base, sites=(site,)),
            {"site": site},
        )

    async def fleet(self, request: Request, principal: Principal) -> Response:
        """The same of all sites."""
        channel = channels.parse("events:fleet")
        asked = await self._of_many(request, principal, channel)
        sites = tuple(await self._cameras.sites())
        return await self._deliver(
            request, principal, channel, asked, msgspec.structs.replace(asked.base, sites=sites), {}
        )

    async def _of_many(
        self, request: Request, principal: Principal, channel: Channel
    ) -> EventPageQuery:
        require_filters(request.query_params, await self._view(principal, channel))
        asked = wanted(request)
        if asked.offset is not None or "epoch" in request.query_params:
            raise BadInput(
                "offsets and epochs are those of one camera",
                hint="after takes the `next` of a page.",
            )
        return asked

    async def _epoch(self, camera: str) -> str:
        newest = await self._events.latest(camera, 1)
        return newest[-1].epoch if newest else ""

    async def _view(
        self, principal: Principal, channel: Channel, rows: Collection[EventRow] = ()
    ) -> View:
        return await self._access.told(principal, channel, {row.camera for row in rows})

    async def _read(
        self,
        principal: Principal,
        channel: Channel,
        asked: EventPageQuery,
        query: EventQuery,
        limit: int,
    ) -> Page:
        """One page in the order asked for: beyond `after`, or the one that ends before `before`.
        Access is asked for anew."""
        told = partial(self._view, principal, channel)
        view = await told(())
        if asked.offset is not None and asked.plain and query.camera is not None:
            rows = await self._events.after(query.camera, query.epoch or "", asked.offset, limit)
            return Page(
                event_pages.seen(rows, await told(rows), query),
                rows[-1].offset if len(rows) == limit else "",
            )
        if query.camera is None:
            query = msgspec.structs.replace(query, exclude=tuple(sorted(view.exclude)))
        if asked.before is None:
            page = await event_pages.read(
                self._events, query, told, newest=asked.newest, beyond=asked.after, limit=limit
            )
            previous = (
                text_of_key(key_of(page.rows[0].row))
                if asked.after is not None and page.rows
                else ""
            )
            return Page(page.rows, _text(page.more), previous)
        page = await event_pages.read(
            self._events, query, told, newest=not asked.newest, beyond=asked.before, limit=limit
        )
        seen = page.rows[::-1]
        following = text_of_key(key_of(seen[-1].row)) if seen and asked.before != END else ""
        return Page(seen, following, _text(page.more))

    async def _deliver(
        self,
        request: Request,
        principal: Principal,
        channel: Channel,
        asked: EventPageQuery,
        query: EventQuery,
        head: dict[str, Any],
    ) -> Response:
        if not _streamed(request):
            return _answer(
                head, await self._read(principal, channel, asked, query, limit_of(request))
            )
        if asked.before is not None:
            raise BadInput("a stream goes on after a cursor, not before one")
        first = await self._read(
            principal, channel, asked, query, PAGE
        )  # what fails now is still told by a status

        async def lines() -> AsyncIterator[bytes]:
            page, at = first, asked
            try:
                while True:
                    yield b"".join(seen.body + b"\n" for seen in page.rows)
                    if page.next == "":
                        return
                    self._access.revocations.require(principal)
                    if self._access.ttl_s(principal) <= 0:
                        yield b'{"error":"token_expired","next":%s}\n' % msgspec.json.encode(
                            page.next
                        )
                        return
                    at = _onward(at, page)
                    page = await self._read(principal, channel, at, query, PAGE)
            except EyrieError as error:
                yield (
                    msgspec.json.encode(
                        {"error": error.code, "detail": error.detail, "next": page.next}
                    )
                    + b"\n"
                )

        return StreamingResponse(lines(), media_type=NDJSON, headers={"cache-control": "no-store"})


def _answer(head: dict[str, Any], page: Page) -> Response:
    document = (
        head | {"epoch": page.rows[-1].row.epoch if page.rows else ""}
        if "camera" in head
        else dict(head)
    )
    document["events"] = [msgspec.Raw(seen.body) for seen in page.rows]
    document |= {
        name: cursor
        for name, cursor in (("next", page.next), ("previous", page.previous))
        if cursor != ""
    }
    return answer(document)


def _onward(at: EventPageQuery, page: Page) -> EventPageQuery:
    if isinstance(page.next, int):
        return msgspec.structs.replace(at, offset=page.next)
    return msgspec.structs.replace(at, after=key_of_text(page.next))


def _text(key: Key | None) -> str:
    return "" if key is None else text_of_key(key)


def _streamed(request: Request) -> bool:
    return NDJSON in request.headers.get("accept", "")
