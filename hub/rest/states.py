"""Reads by REST, under the same tokens, decisions and views as the socket. Errors are RFC 9457
problem details."""

import time
from collections import defaultdict
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import Forbidden, NotFound
from actors.core.identifiers import require_id
from hub.access import redaction
from hub.access.authorization import Access
from hub.access.redaction import View
from hub.access.registry_cache import CameraCache
from hub.dashboards.timed.polled_sites import Polls
from hub.fanout import live_states
from hub.fanout.live_states import LiveStates
from hub.protocol import channels
from hub.rest.cameras import described
from hub.rest.history.events import EventReads
from hub.web.endpoint import Handler, answer, limit_of
from policy.identity.principal import Principal
from storage.ports.events import EventStore
from storage.ports.live import Broker
from storage.ports.registry import CameraRecord


def handlers(
    access: Access,
    cameras: CameraCache,
    live: LiveStates,
    polls: Polls,
    broker: Broker,
    events: EventStore,
) -> dict[str, Handler]:
    """The reads by the ids of `hub.rest.table`."""
    reads = StateHandlers(access, cameras, live, polls, broker)
    of_events = EventReads(access, cameras, events)
    return {
        "listCameras": reads.cameras,
        "readState": reads.state,
        "readSiteState": reads.site_state,
        "readFleetState": reads.fleet_state,
        "listCameraEvents": of_events.camera,
        "listSiteEvents": of_events.site,
        "listFleetEvents": of_events.fleet,
    }


class StateHandlers:
    """The handlers."""

    def __init__(
        self, access: Access, cameras: CameraCache, live: LiveStates, polls: Polls, broker: Broker
    ) -> None:
        self._access = access
        self._cameras = cameras
        self._live = live
        self._polls = polls
        self._broker = broker

    async def site_state(self, request: Request, principal: Principal) -> Response:
        """A site's whole wall, now."""
        site = require_id(request.path_params["site"], "site")
        await self._access.require_cameras(principal, site)
        records = await self._cameras.cameras(site)  # first: policy is asked about no fewer
        view, _ = await self._access.view(
            "subscribe", principal, channels.parse(channels.site(site))
        )
        await self._polls.settle([site])
        return answer({"site": site, "cameras": self._summaries(site, records, view)})

    async def fleet_state(self, request: Request, principal: Principal) -> Response:
        """The fleet's whole wall, now."""
        records = await self._cameras.cameras()  # first: policy is asked about no fewer
        view, _ = await self._access.view("subscribe", principal, channels.parse("fleet"))
        bodies: list[msgspec.Raw] = []
        by_site = defaultdict[str, list[CameraRecord]](list)
        for record in records:
            by_site[record.site].append(record)
        await self._polls.settle(sorted(by_site))
        for site in sorted(by_site):
            bodies += self._summaries(site, by_site[site], view)
        return answer({"cameras": bodies})

    def _summaries(self, site: str, records: list[CameraRecord], view: View) -> list[msgspec.Raw]:
        live = self._live
        bodies = []
        for record in records:
            if record.camera not in view.exclude:
                found = live.summary(record.camera)
                newest = (
                    live.vouched(record.camera, found)
                    if found
                    else live_states.without_news(site, record.camera, seen=record.seen)
                )
                shown = live.pacing.shown(
                    ("summary", record.camera),
                    view.limit_of(record.camera),
                    newest,
                    time.monotonic(),
                )
                bodies.append(msgspec.Raw(redaction.summary(shown, view.redact_of(record.camera))))
        return bodies

    async def cameras(self, request: Request, principal: Principal) -> Response:
        """Cameras by id, a page at a time: ``?site=&after=&limit=``."""
        site = request.query_params.get("site")
        records = await self._cameras.cameras(require_id(site, "site") if site else None)
        after, limit = request.query_params.get("after", ""), limit_of(request)
        found: list[dict[str, Any]] = []
        for record in records:
            if record.camera <= after or not await self._may_read(principal, record):
                continue
            if len(found) == limit:
                return answer({"cameras": found, "next": found[-1]["camera"]})
            found.append(described(record))
        return answer({"cameras": found})

    async def state(self, request: Request, principal: Principal) -> Response:
        """Its state now, as the live channel would show it."""
        camera = require_id(request.path_params["camera"], "camera")
        view, _ = await self._access.view(
            "subscribe", principal, channels.parse(channels.camera(camera))
        )
        known = await self._cameras.camera(camera)
        if known is None:
            raise NotFound(f"camera {camera} is not registered")
        await self._polls.settle([known.site])
        live = self._live
        body, version = live.state(known.camera), -1
        if body is None:
            found = await self._broker.state(known.site, known.camera)
            body = (
                found.body
                if found is not None
                else live_states.state_without_news(known.site, known.camera, seen=known.seen)
            )
        elif (watched := live.known(known.camera)) is not None:
            version = watched.state_version
        newest = (live.vouched(known.camera, body), version)
        body, _ = live.pacing.shown(
            ("state", known.camera), view.limit_hz, newest, time.monotonic()
        )
        return Response(
            redaction.state(body, view),
            media_type="application/json",
            headers={"cache-control": "no-store"},
        )

    async def _may_read(self, principal: Principal, record: CameraRecord) -> bool:
        try:
            await self._access.require(
                "registry.read", principal, record.camera, record.site, record.tags
            )
        except Forbidden:
            return False
        return True
