"""Stored counts by REST: how often the lines of a camera, or of a site's cameras, were crossed and
their zones entered and left, by minute, hour or day.

Who may read the events may read what they add up to; cameras that the view leaves out are left out
here, and what happened at another site than the camera's is told to nobody.
"""

import time
from typing import Any

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import BadInput
from actors.core.identifiers import require_id
from actors.core.times import rfc3339
from hub.access.authorization import Access
from hub.access.redaction import View
from hub.protocol import channels
from hub.protocol.channels import Channel
from hub.rest.history.event_filters import MAX_TEXT, MAX_US, moment
from hub.web.endpoint import Handler, answer
from policy.identity.principal import Principal
from storage.ports.background.counts import STEPS, CountQuery, CountRow, CountStore, Step

PARAMETERS = frozenset({"step", "from", "to", "line", "zone", "label", "limit"})
DEFAULT_STEP: Step = "hour"
DEFAULT_BUCKETS = 60  # up to now
MAX_BUCKETS = 1_500  # between `from` and `to`
MAX_ROWS = 5_000  # of one answer


class CountReads:
    """The handlers."""

    def __init__(self, access: Access, counts: CountStore) -> None:
        self._access = access
        self._counts = counts

    async def camera(self, request: Request, principal: Principal) -> Response:
        """Of one camera."""
        camera = require_id(request.path_params["camera"], "camera")
        channel = channels.parse(channels.camera_events(camera))
        return await self._deliver(request, principal, channel, {"camera": camera})

    async def site(self, request: Request, principal: Principal) -> Response:
        """Of every camera of a site that the principal sees."""
        site = require_id(request.path_params["site"], "site")
        channel = channels.parse(channels.site_events(site))
        return await self._deliver(request, principal, channel, {"site": site})

    def handlers(self) -> dict[str, Handler]:
        """By the ids of `hub.rest.history.count_table`."""
        return {"readCameraCounts": self.camera, "readSiteCounts": self.site}

    async def _deliver(
        self, request: Request, principal: Principal, channel: Channel, head: dict[str, str]
    ) -> Response:
        view = await self._access.told(principal, channel, set())
        asked = wanted(request.query_params, int(time.time() * 1_000_000))
        query = msgspec.structs.replace(asked, **head, exclude=tuple(sorted(view.exclude)))
        limit = most_rows(request.query_params.get("limit", str(MAX_ROWS)))
        rows = await self._counts.read(query, limit + 1)
        behind = await self._counts.behind(**head, exclude=query.exclude)
        # Policy is asked about cameras that came meanwhile too.
        view = await self._access.told(principal, channel, {row.camera for row in rows})
        return answer(_document(head, query, rows, view, limit) | {"behind": behind})


def wanted(query: QueryParams, now_us: int) -> CountQuery:
    """What a request asks for, without whose. Raises BadInput."""
    for name in query:
        if name not in PARAMETERS:
            raise BadInput(
                f"counts cannot be filtered by {name[:40]!r}",
                hint=f"There are {', '.join(sorted(PARAMETERS))}.",
            )
        if len(query.getlist(name)) > 1:
            raise BadInput(f"{name} is given more than once")
        if len(query[name]) > MAX_TEXT or "\x00" in query[name]:
            raise BadInput(f"{name} has at most {MAX_TEXT} characters, none of them zero")
    step = query.get("step", DEFAULT_STEP)
    if step not in STEPS:
        raise BadInput(f"step is one of {', '.join(STEPS)}")
    size_us = STEPS[step] * 1_000_000
    high_us = moment(query["to"], "to") if "to" in query else now_us
    default_us = (high_us // size_us - DEFAULT_BUCKETS + 1) * size_us
    low_us = moment(query["from"], "from") if "from" in query else default_us
    if high_us - low_us > MAX_BUCKETS * size_us:
        raise BadInput(
            f"there are more than {MAX_BUCKETS} {step}s between from and to",
            hint="Ask for a shorter time, or a larger step.",
        )
    if "line" in query and "zone" in query:
        raise BadInput("only one of line and zone")
    place: Any = next((kind for kind in ("line", "zone") if kind in query), None)
    return CountQuery(
        step,
        min(max(low_us, 0), MAX_US),
        min(max(high_us, 0), MAX_US),
        place=place,
        name=query[place] if place else None,
        label=query.get("label"),
    )


def most_rows(text: str) -> int:
    """The `limit` of a request. Raises BadInput."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_ROWS:
        raise BadInput(f"limit is a whole number from 1 to {MAX_ROWS}")
    return int(text[:9])


def _document(
    head: dict[str, str], query: CountQuery, rows: list[CountRow], view: View, limit: int
) -> dict[str, Any]:
    """Whole buckets alone; `next` is the first that did not fit."""
    following = rows[-1].bucket_us if len(rows) > limit else None
    whole = [row for row in rows if following is None or row.bucket_us < following]
    if following is not None and not whole:
        raise BadInput(
            f"one {query.step} has more than {limit} counts", hint="Name a line, zone or label."
        )
    shown = [_shown(row) for row in whole if row.camera not in view.exclude]
    ends = {"from": rfc3339(query.low_us), "to": rfc3339(query.high_us)}
    document: dict[str, Any] = {**head, "step": query.step, **ends, "counts": shown}
    return document if following is None else document | {"next": rfc3339(following)}


def _shown(row: CountRow) -> dict[str, Any]:
    return {
        "time": rfc3339(row.bucket_us),
        "camera": row.camera,
        row.place: row.name,
        "label": row.label,
        "in": row.came,
        "out": row.went,
    }
