"""Requests of data subjects and holds by REST. Every change, and every search, has its record in
the audit log; no record and no answer holds a value."""

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import BadInput, Conflict, NotFound
from actors.core.messages.personal_search import plain, wanted_of
from actors.core.times import parse_rfc3339, rfc3339
from hub.rest.people import privacy_models as shapes
from hub.web import endpoint
from hub.web.endpoint import Handler
from policy.audit import Auditor
from policy.identity.principal import Principal
from storage.ports.privacy import (
    MAX_CAMERAS,
    Hold,
    NewRequest,
    PrivacyStore,
    RequestRow,
    Scope,
    ValuePlace,
)
from storage.ports.registry import Registry

DUE_S = 30 * 86_400.0  # one month to answer (GDPR, article 12(3))
MAX_SHOWN = 1_000  # places in one answer
LATEST = 2**53


class PrivacyHandlers:
    """The handlers."""

    def __init__(self, store: PrivacyStore, registry: Registry, auditor: Auditor) -> None:
        self._store = store
        self._registry = registry
        self._auditor = auditor

    def all(self) -> dict[str, Handler]:
        """By the ids of `hub.rest.people.privacy_endpoints`."""
        return {
            "searchPrivacy": self.search,
            "listPrivacyRequests": self.list,
            "askPrivacy": self.ask,
            "readPrivacyRequest": self.read,
            "approvePrivacyRequest": self.approve,
            "withdrawPrivacyRequest": self.withdraw,
            "listHolds": self.holds,
            "placeHold": self.hold,
            "releaseHold": self.release,
        }

    async def search(self, request: Request, principal: Principal) -> Response:
        """Where values say what is looked for: `PrivacySearch`. It is recorded before it is
        done."""
        asked = await endpoint.body(request, shapes.PrivacySearch)
        scope, wanted = await self._scope(asked), _wanted(asked.values, asked.purpose)
        await self._auditor.announce(
            principal, "privacy.search", _where(scope), f"purpose: {asked.purpose}"
        )
        found = await self._store.search(scope, wanted)
        if len(found.places) > MAX_SHOWN:
            raise BadInput(
                f"more than {MAX_SHOWN} values say that", hint="Take fewer cameras or less time."
            )
        places = [_place(one) for one in found.places]
        return endpoint.answer(shapes.PrivacyFound(places, found.looked, found.unreadable))

    async def list(self, request: Request, principal: Principal) -> Response:
        """The newest first: ``?before=&limit=``."""
        limit = endpoint.limit_of(request)
        before = endpoint.number(request, "before", LATEST)
        rows = await self._store.requests(before_us=before, limit=limit)
        more = rows[-1].asked_us if len(rows) == limit else None
        page = shapes.PrivacyRequestPage([_request(row) for row in rows], more)
        return endpoint.answer(page)

    async def ask(self, request: Request, principal: Principal) -> Response:
        """Keep a request: `NewPrivacyRequest`. What it is about is found now."""
        asked = await endpoint.body(request, shapes.NewPrivacyRequest)
        scope, wanted = await self._scope(asked), _wanted(asked.values, asked.purpose)
        whole = not wanted and not asked.events
        places: Sequence[ValuePlace] = []
        if not whole or asked.kind == "access":
            events = set(asked.events)
            found = await self._store.search(scope, wanted)
            places = [one for one in found.places if not events or _event(one) in events]
        if not places and not whole:
            raise NotFound(
                "no value there says that",
                hint="Take more time around it, or search for less of the value.",
            )
        id = secrets.token_hex(16)
        new = NewRequest(id, asked.kind, scope, whole, places, asked.purpose, principal.sub, DUE_S)
        detail = f"{_where(scope)}; {len(places)} values; purpose: {asked.purpose}"
        audit = self._auditor.record(principal, f"privacy.ask.{asked.kind}", id, detail)
        await self._store.ask(new, audit=audit)
        row = await self._row(id)
        return endpoint.answer(_request(row), status=201, location=f"/v1/privacy/requests/{id}")

    async def read(self, request: Request, principal: Principal) -> Response:
        """One, with its receipt."""
        return endpoint.answer(_request(await self._row(request.path_params["request"])))

    async def approve(self, request: Request, principal: Principal) -> Response:
        """Have an erasure carried out, by another person than who asked for it."""
        row = await self._row(request.path_params["request"])
        if row.asked_by == principal.sub:
            raise Conflict(
                "an erasure is approved by another person than who asked for it",
                hint="Ask a colleague; the token's subject says who you are.",
            )
        audit = self._auditor.record(principal, "privacy.approve", row.id, _where(row.scope))
        if not await self._store.approve(row.id, principal.sub, audit=audit):
            raise Conflict(f"request {row.id} is {row.state}, so there is nothing to approve")
        return endpoint.answer(_request(await self._row(row.id)))

    async def withdraw(self, request: Request, principal: Principal) -> Response:
        """End a request that was not begun."""
        row = await self._row(request.path_params["request"])
        audit = self._auditor.record(principal, "privacy.withdraw", row.id)
        if not await self._store.withdraw(row.id, audit=audit):
            raise Conflict(f"request {row.id} is {row.state}, so there is nothing to withdraw")
        return endpoint.answer(_request(await self._row(row.id)))

    async def holds(self, request: Request, principal: Principal) -> Response:
        """All of them."""
        return endpoint.answer(shapes.HoldList([_hold(one) for one in await self._store.holds()]))

    async def hold(self, request: Request, principal: Principal) -> Response:
        """ValuePlace one: `NewHold`."""
        asked = await endpoint.body(request, shapes.NewHold)
        scope = await self._scope(asked)
        id = secrets.token_hex(16)
        hold = Hold(id, scope, asked.reason, principal.sub, _us(asked.ends))
        detail = f"{_where(scope)}; until {asked.ends}: {asked.reason}"
        audit = self._auditor.record(principal, "privacy.hold", id, detail)
        await self._store.place_hold(hold, audit=audit)
        return endpoint.answer(_hold(hold), status=201, location=f"/v1/privacy/holds/{id}")

    async def release(self, request: Request, principal: Principal) -> Response:
        """End one; retention and erasures go on without it."""
        id = request.path_params["hold"][:64]
        audit = self._auditor.record(principal, "privacy.release", id)
        if not await self._store.release_hold(id, principal.sub, audit=audit):
            raise NotFound(
                f"there is no hold {id} in force", hint="GET /v1/privacy/holds lists them."
            )
        return endpoint.gone()

    async def _row(self, id: str) -> RequestRow:
        row = await self._store.get(id[:64])
        if row is None:
            raise NotFound(
                f"there is no request {id[:64]}", hint="GET /v1/privacy/requests lists them."
            )
        return row

    async def _scope(self, asked: shapes.Where) -> Scope:
        since, until = _us(asked.since), _us(asked.until)
        if since >= until:
            raise BadInput("`from` lies before `to`")
        if (asked.site is None) is (not asked.cameras):
            raise BadInput("where is told by `cameras` or by `site`", hint="Give one of them.")
        cameras = asked.cameras
        if asked.site is not None:
            cameras = [row.camera for row in await self._registry.cameras(asked.site, deleted=True)]
        if not cameras or len(cameras) > MAX_CAMERAS:
            raise BadInput(f"there are 1 to {MAX_CAMERAS} cameras in a request")
        return Scope(tuple(sorted(set(cameras))), since, until)


def _us(text: str) -> int:
    try:
        return parse_rfc3339(text)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{text[:40]!r} is no time", hint="Such as 2026-11-30T08:00:00Z.") from error


def _wanted(values: Sequence[str], purpose: str) -> frozenset[str]:
    wanted = wanted_of(values)
    if any(one in plain(purpose) for one in wanted):
        raise BadInput(
            "the purpose repeats a value that is looked for, and is kept in the open",
            hint="Say why, not who.",
        )
    return wanted


def _where(scope: Scope) -> str:
    """For the audit log."""
    cameras = ",".join(scope.cameras)
    shown = cameras if len(cameras) <= 200 else f"{len(scope.cameras)} cameras"
    return f"{shown} {rfc3339(scope.since_us)}/{rfc3339(scope.until_us)}"


def _event(place: ValuePlace) -> str:
    return f"{place.camera}/{place.epoch}/{place.offset}"


def _place(place: ValuePlace) -> shapes.PlaceShown:
    received = rfc3339(place.received_us)
    return shapes.PlaceShown(_event(place), place.camera, received, place.path, place.class_)


def _time(us: int) -> str | None:
    return rfc3339(us) if us else None


def _request(row: RequestRow) -> shapes.PrivacyRequestShown:
    receipt: dict[str, Any] | None = None
    if row.receipt:
        receipt = msgspec.json.decode(row.receipt, type=dict[str, Any])
    return shapes.PrivacyRequestShown(
        row.id,
        row.kind,
        row.state,
        list(row.scope.cameras),
        rfc3339(row.scope.since_us),
        rfc3339(row.scope.until_us),
        row.whole,
        row.places,
        row.purpose,
        row.asked_by,
        rfc3339(row.asked_us),
        rfc3339(row.due_us),
        row.approved_by,
        _time(row.approved_us),
        _time(row.ended_us),
        row.outcome,
        receipt,
    )


def _hold(hold: Hold) -> shapes.HoldShown:
    return shapes.HoldShown(
        hold.id,
        list(hold.scope.cameras),
        rfc3339(hold.scope.since_us),
        rfc3339(hold.scope.until_us),
        hold.reason,
        hold.owner,
        rfc3339(hold.ends_us),
        _time(hold.placed_us),
        _time(hold.released_us),
        hold.released_by,
    )
