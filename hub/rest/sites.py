"""Sites by REST: ``/v1/sites`` and ``/v1/sites/{site}``."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import Conflict
from actors.core.identifiers import require_id
from actors.core.messages.registry import NewSite, SiteFields, place_json, read_place
from hub.access.registry_cache import CameraCache
from hub.rest.registry import RegistryChanges
from hub.web import endpoint
from policy.identity.principal import Principal
from storage.ports.registry import SiteRecord


class Sites:
    """The handlers."""

    def __init__(self, changes: RegistryChanges, cache: CameraCache) -> None:
        self._changes = changes
        self._cache = cache

    async def all(self, request: Request, principal: Principal) -> Response:
        """The sites that this principal may see, a page at a time: ``?after=&limit=``."""
        limit, after = endpoint.limit_of(request), endpoint.after_of(request)
        found: list[dict[str, Any]] = []
        while True:
            records = await self._changes.registry.sites(after=after, limit=endpoint.MAX_PAGE)
            for record in records:
                after = record.site
                if await self._changes.may_read_site(principal, record.site):
                    if len(found) == limit:
                        return endpoint.answer({"sites": found, "next": found[-1]["site"]})
                    named = {key: value for key, value in _site(record).items() if value}
                    cameras = [
                        one.camera for one in await self._cache.cameras(record.site)
                    ]  # first: policy is asked about no fewer
                    hidden = await self._changes.hidden(principal, record.site)
                    found.append(
                        {**named, "cameras": sum(camera not in hidden for camera in cameras)}
                    )
            if len(records) < endpoint.MAX_PAGE:
                return endpoint.answer({"sites": found})

    async def add(self, request: Request, principal: Principal) -> Response:
        """Add a site: `NewSite`. 409 when it is there."""
        new = await endpoint.body(request, NewSite)
        await self._changes.require_site(principal, new.site)
        if not await self._changes.registry.add_site(
            new.site,
            name=new.name,
            place=place_json(new.place),
            audit=self._changes.auditor.record(principal, "site.add", new.site),
        ):
            raise Conflict(
                f"site {new.site} is registered already", hint="Change it with PUT and its ETag."
            )
        self._changes.changed(principal, f"site {new.site} added")
        record = await self._changes.site(principal, new.site, write=True)
        return endpoint.answer(
            _site(record), status=201, version=record.version, location=f"/v1/sites/{new.site}"
        )

    async def read(self, request: Request, principal: Principal) -> Response:
        """One site, with its ETag."""
        record = await self._changes.site(principal, _name(request), write=False)
        return endpoint.answer(_site(record), version=record.version)

    async def change(self, request: Request, principal: Principal) -> Response:
        """Set `SiteFields`; If-Match."""
        record = await self._changes.site(principal, _name(request), write=True)
        expected = endpoint.require_match(request, record.version)
        fields = await endpoint.body(request, SiteFields)
        place = place_json(fields.place)
        audit = self._changes.auditor.record(principal, "site.change", record.site)
        version = await self._changes.registry.update_site(
            record.site, name=fields.name, place=place, expected_version=expected, audit=audit
        )
        if version is None:
            raise endpoint.stale(f"site {record.site}")
        self._changes.changed(principal, f"site {record.site} changed to version {version}")
        return endpoint.answer(
            _site(SiteRecord(record.site, fields.name, place, version)), version=version
        )

    async def remove(self, request: Request, principal: Principal) -> Response:
        """Delete a site without cameras; If-Match. 409 while it has some."""
        record = await self._changes.site(principal, _name(request), write=True)
        expected = endpoint.require_match(request, record.version)
        audit = self._changes.auditor.record(principal, "site.delete", record.site)
        if not await self._changes.registry.remove_site(
            record.site, expected_version=expected, audit=audit
        ):
            raise endpoint.stale(f"site {record.site}")
        self._changes.changed(principal, f"site {record.site} deleted")
        return endpoint.gone()


def _name(request: Request) -> str:
    return require_id(request.path_params["site"], "site")


def _site(record: SiteRecord) -> dict[str, Any]:
    return {"site": record.site, "name": record.name, "place": read_place(record.place)}
