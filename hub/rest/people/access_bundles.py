"""What is known of a person who asked for access, by REST: each reading has its purpose and its
record in the audit log before it is done, and shows nothing that its reader may not see anyway."""

from collections.abc import Sequence
from itertools import groupby

from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import Conflict, Forbidden, NotFound
from actors.core.times import rfc3339
from hub.access.authorization import Access
from hub.protocol import channels
from hub.rest.people import privacy_models as shapes
from hub.web import endpoint
from hub.web.endpoint import Handler
from policy.audit import Auditor
from policy.identity.principal import Principal
from privacy.access_bundle import bundled
from storage.ports.events import EventStore
from storage.ports.privacy import PrivacyStore, ValuePlace

READABLE = ("asked", "done")


class AccessBundles:
    """The handler."""

    def __init__(
        self, store: PrivacyStore, events: EventStore, access: Access, auditor: Auditor
    ) -> None:
        self._store = store
        self._events = events
        self._access = access
        self._auditor = auditor

    def all(self) -> dict[str, Handler]:
        """By its id."""
        return {"bundlePrivacy": self.bundle}

    async def bundle(self, request: Request, principal: Principal) -> Response:
        """A page of the events of an access request: `AccessAsked`. With the last one the request
        is done."""
        asked = await endpoint.body(request, shapes.AccessAsked)
        id = request.path_params["request"][:64]
        row = await self._store.get(id)
        if row is None:
            raise NotFound(f"there is no request {id}", hint="GET /v1/privacy/requests lists them.")
        if row.kind != "access" or row.state not in READABLE:
            raise Conflict(f"request {id} is one of {row.kind}, {row.state}: it has no bundle")
        events = _by_event(await self._store.places(id))
        page = events[asked.after : asked.after + asked.limit]
        for camera in sorted({places[0].camera for places in page}):
            await self._require(principal, camera)
        detail = f"events {asked.after + 1} to {asked.after + len(page)} of {len(events)}"
        purpose = f"{detail}; purpose: {asked.purpose}"
        await self._auditor.announce(principal, "privacy.disclose", id, purpose)
        shown, missing = list[shapes.BundledShown](), list[str]()
        for places in page:
            one = await self._one(places)
            if one is None:
                missing.append(_id(places[0]))
            else:
                shown.append(one)
        end = asked.after + len(page)
        following = end if end < len(events) else None
        if following is None and row.state == "asked":
            audit = self._auditor.record(principal, "privacy.answered", id)
            await self._store.answer(id, audit=audit)
        return endpoint.answer(
            shapes.AccessBundle(id, len(events), shown, missing, following),
        )

    async def _require(self, principal: Principal, camera: str) -> None:
        """Who reads it must see every class at this camera by itself. Raises Forbidden."""
        channel = channels.parse(channels.camera_events(camera))
        view = await self._access.told(principal, channel, {camera})
        if view.redact_of(camera):
            raise Forbidden(
                f"values of camera {camera} are hidden from you, so you cannot hand them out",
                hint="Use a token that may see every class (pii:read).",
            )

    async def _one(self, places: Sequence[ValuePlace]) -> shapes.BundledShown | None:
        """None: retention dropped the event."""
        at = places[0]
        rows = await self._events.after(at.camera, at.epoch, at.offset - 1, 1)
        if not rows or (rows[0].epoch, rows[0].offset) != (at.epoch, at.offset):
            return None
        found = bundled(rows[0], {place.path for place in places})
        return shapes.BundledShown(
            _id(at), rfc3339(rows[0].received_us), found.event, found.unreadable
        )


def _by_event(places: Sequence[ValuePlace]) -> list[list[ValuePlace]]:
    ordered = sorted(places, key=_key)
    return [list(group) for _, group in groupby(ordered, key=_key)]


def _key(place: ValuePlace) -> tuple[str, str, int]:
    return place.camera, place.epoch, place.offset


def _id(place: ValuePlace) -> str:
    return f"{place.camera}/{place.epoch}/{place.offset}"
