"""Alerts by REST. Cameras that a view leaves out are left out here, and what happened at another
site than the camera's is told to nobody. Every act stands in the audit log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import BadInput, NotFound, Unavailable
from actors.core.identifiers import require_id
from actors.core.times import rfc3339, to_us
from actors.ports import Directory
from alerts import triage
from hub.access.authorization import Access
from hub.protocol import channels
from hub.protocol.channels import Channel
from hub.rest.alerts.endpoints import (
    MAX_ACTS,
    MAX_LISTED,
    ActShown,
    AlertAct,
    AlertList,
    AlertPage,
    AlertShown,
)
from hub.rest.registry import RegistryChanges
from hub.web import endpoint
from hub.web.endpoint import Handler
from policy.audit import Auditor
from policy.identity.principal import Principal
from storage.ports.alerts import Act, AlertRow, AlertStore

STATES = ("open", "all")


class AlertHandlers:
    """The handlers."""

    def __init__(
        self,
        access: Access,
        changes: RegistryChanges,
        alerts: AlertStore,
        auditor: Auditor,
        directory: Directory,
    ) -> None:
        self._access = access
        self._directory = directory
        self._changes = changes
        self._alerts = alerts
        self._auditor = auditor

    def all(self) -> dict[str, Handler]:
        """By the ids of `hub.rest.alerts.endpoints`."""
        return {
            "listAlerts": self.fleet,
            "listSiteAlerts": self.site,
            "listCameraAlerts": self.camera,
            "readAlert": self.read,
            "actOnAlert": self.act,
        }

    async def fleet(self, request: Request, principal: Principal) -> Response:
        """Of every camera that the principal sees."""
        return await self._list(request, principal, channels.parse("events:fleet"), {})

    async def site(self, request: Request, principal: Principal) -> Response:
        """Of every camera of a site that the principal sees."""
        site = require_id(request.path_params["site"], "site")
        channel = channels.parse(channels.site_events(site))
        return await self._list(request, principal, channel, {"site": site})

    async def camera(self, request: Request, principal: Principal) -> Response:
        """Of one camera."""
        camera = require_id(request.path_params["camera"], "camera")
        channel = channels.parse(channels.camera_events(camera))
        return await self._list(request, principal, channel, {"camera": camera})

    async def read(self, request: Request, principal: Principal) -> Response:
        """One, with what was done about it: ``?place=``."""
        camera, rule = _point(request)
        place = _place(request.query_params.get("place", ""))
        channel = channels.parse(channels.camera_events(camera))
        view = await self._access.told(principal, channel, set())
        row = await self._alerts.read(camera, rule, place)
        if row is None:
            raise _missing(camera, rule, place)
        acts = await self._alerts.acts(camera, rule, place, MAX_ACTS)
        texts = not view.redact_of(camera)
        told = [
            ActShown(a.act, a.who, _time(a.at), a.occurrence, a.note if texts else "") for a in acts
        ]
        return endpoint.answer(AlertPage(_shown(row, texts=texts), told))

    async def act(self, request: Request, principal: Principal) -> Response:
        """Do something about one: `AlertAct`. Who is late is told who was first."""
        camera, rule = _point(request)
        act = request.path_params["act"]
        if act not in get_args(Act):
            raise BadInput(f"acts are {', '.join(get_args(Act))}")
        await self._changes.camera("alert.operate", principal, camera)
        asked = await endpoint.body(request, AlertAct)
        wanted = triage.Asked(
            cast(Act, act),
            principal.sub,
            asked.occurrence,
            asked.version,
            asked.note,
            asked.to,
            asked.verdict,
            asked.for_s,
        )
        where = f"{camera}/{rule}/{asked.place}".rstrip("/")
        audit = None
        if wanted.act == "clear":
            await self._clear(principal, camera, rule, asked.place, where, wanted)
            wanted = msgspec.structs.replace(wanted, version=None)  # it was looked at
        else:
            audit = self._auditor.record(principal, f"alert.{act}", where, _detail(asked))
        row = await self._alerts.act(
            camera,
            rule,
            asked.place,
            lambda row: triage.decide(row, wanted),
            act=wanted.act,
            who=principal.sub,
            note=asked.note,
            audit=audit,
        )
        if row is None:
            raise _missing(camera, rule, asked.place)
        return endpoint.answer(_shown(row, texts=row.work.shelved_by == principal.sub))

    async def _clear(
        self,
        principal: Principal,
        camera: str,
        rule: str,
        place: str,
        where: str,
        wanted: triage.Asked,
    ) -> None:
        """Have the camera's actor end the condition, in its own commit; recorded before."""
        row = await self._alerts.read(camera, rule, place)
        if row is None:
            raise _missing(camera, rule, place)
        triage.decide(row, wanted)  # refused before anything is done
        actor = (await self._directory.locate([camera])).get(camera)
        if actor is None:
            raise Unavailable(
                f"camera {camera} has no actor yet",
                hint="Try again in a moment.",
                retry_after_s=2.0,
            )
        await self._auditor.announce(principal, "alert.clear", where, "")
        await actor.clear_alert(camera, rule, place)

    async def _list(
        self, request: Request, principal: Principal, channel: Channel, of: dict[str, str]
    ) -> Response:
        view = await self._access.told(principal, channel, set())
        state = request.query_params.get("state", STATES[0])
        if state not in STATES:
            raise BadInput(f"state is one of {', '.join(STATES)}")
        limit = endpoint.number(request, "limit", MAX_LISTED)
        if not 1 <= limit <= MAX_LISTED:
            raise BadInput(f"limit must be 1 to {MAX_LISTED}")
        rows = await self._alerts.select(
            **of, exclude=tuple(sorted(view.exclude)), every=state == "all", limit=limit + 1
        )
        # Policy is asked about cameras that came meanwhile too.
        view = await self._access.told(principal, channel, {row.camera for row in rows})
        kept = [row for row in rows[:limit] if row.camera not in view.exclude]
        shown = [_shown(row, texts=not view.redact_of(row.camera)) for row in kept]
        return endpoint.answer(AlertList(shown, len(rows) > limit))


def _point(request: Request) -> tuple[str, str]:
    names: Sequence[Any] = (request.path_params["camera"], request.path_params["rule"])
    return require_id(names[0], "camera"), require_id(names[1], "rule")


def _place(text: str) -> str:
    return require_id(text, "place") if text else ""


def _missing(camera: str, rule: str, place: str) -> NotFound:
    where = f" at {place}" if place else ""
    return NotFound(
        f"camera {camera} has no alert of rule {rule}{where}",
        hint="It is there once it was raised; a rule that looks at zones or lines needs `place`.",
    )


def _detail(asked: AlertAct) -> str:
    """What the audit log says; the note may name a person, and stands beside the alert alone."""
    told = {
        "occurrence": asked.occurrence,
        "to": asked.to,
        "verdict": asked.verdict,
        "for_s": asked.for_s,
    }
    return ", ".join(f"{name} {value}" for name, value in told.items() if value is not None)


def _shown(row: AlertRow, *, texts: bool) -> AlertShown:
    """`texts`: whether to show what people wrote, which may name somebody."""
    work = row.work
    shelved = triage.state_of(row) == "shelved"
    return AlertShown(
        camera=row.camera,
        site=row.site,
        rule=row.rule,
        place=row.place,
        severity=row.severity,
        state=triage.state_of(row),
        active=row.active,
        occurrence=row.occurrences,
        since=_time(row.since),
        changed=_time(row.changed),
        cause=row.cause,
        version=work.version,
        acknowledged=work.acknowledged,
        acknowledged_by=work.acknowledged_by or "",
        acknowledged_at=_time(work.acknowledged_at) if work.acknowledged_at else "",
        confirmed=work.confirmed,
        confirmed_by=work.confirmed_by or "",
        assignee=work.assignee or "",
        verdict=work.verdict,
        shelved_until=_time(work.shelved_until) if work.shelved_until and shelved else "",
        shelved_by=(work.shelved_by or "") if shelved else "",
        shelved_reason=(work.shelved_reason or "") if shelved and texts else "",
    )


def _time(moment: datetime) -> str:
    return rfc3339(to_us(moment))
