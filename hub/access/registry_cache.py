"""The registry as a hub needs it: which site a camera belongs to, and what a site holds. Cached for
a short while and bounded."""

import time
from collections.abc import Callable, Collection
from typing import Protocol

import msgspec

from storage.ports.registry import CameraRecord

KEPT_S = 2.0  # how old an answer may be; a new camera or tag is seen after that
MAX_ENTRIES = 10_000


class Records(Protocol):
    """The part of `storage.ports.registry.Registry` that is read here."""

    async def camera(self, camera: str) -> CameraRecord | None:
        """One camera."""

    async def cameras(
        self, site: str | None = None, *, deleted: bool = False
    ) -> list[CameraRecord]:
        """All cameras, or those of one site, by id; with `deleted` also those that were deleted."""


class _Site(msgspec.Struct):
    """What was read of a site at a moment. `strangers`: ids that were looked for since, in vain."""

    read: float
    ever: list[CameraRecord]
    present: list[CameraRecord]
    names: frozenset[str]
    strangers: set[str]


class CameraCache:
    """Reads through to the registry. Raises what the registry raises when it is away and nothing
    fresh is known."""

    def __init__(self, registry: Records, now: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._now = now
        self._cameras: dict[str, tuple[float, CameraRecord | None]] = {}
        self._sites: dict[str | None, _Site] = {}
        # times; what was read before the last may be older than what was changed, and is not kept
        self._forgotten = 0

    async def camera(self, camera: str) -> CameraRecord | None:
        """One camera, None when it is not registered."""
        found = self._cameras.get(camera)
        if found is not None and self._now() - found[0] < KEPT_S:
            return found[1]
        before = self._forgotten
        record = await self._registry.camera(camera)
        if len(self._cameras) >= MAX_ENTRIES:
            self._cameras.clear()
        if before == self._forgotten:
            self._cameras[camera] = (self._now(), record)
        return record

    async def cameras(self, site: str | None = None) -> list[CameraRecord]:
        """The cameras of a site, or all."""
        return (await self._site(site)).present

    async def ever(self, site: str | None = None) -> list[CameraRecord]:
        """The cameras of a site, or all, and those that were deleted: what is stored of them goes
        by their site and tags still."""
        return (await self._site(site)).ever

    async def strangers(self, site: str | None, cameras: Collection[str]) -> frozenset[str]:
        """Those of `cameras` that never belonged to the site (None: to any). Who is unknown is
        looked for afresh, once."""
        known = await self._site(site)
        missing = frozenset(cameras) - known.names
        if missing - known.strangers:
            known = await self._read(site)
            missing -= known.names
            known.strangers |= set(sorted(missing)[:MAX_ENTRIES])
        return missing

    async def _site(self, site: str | None) -> _Site:
        found = self._sites.get(site)
        return (
            found
            if found is not None and self._now() - found.read < KEPT_S
            else await self._read(site)
        )

    async def _read(self, site: str | None) -> _Site:
        before = self._forgotten
        ever = await self._registry.cameras(site, deleted=True)
        present = [record for record in ever if not record.deleted]
        if len(self._sites) >= MAX_ENTRIES:
            self._sites.clear()
        found = _Site(
            self._now(), ever, present, frozenset(record.camera for record in ever), set()
        )
        if before == self._forgotten:
            self._sites[site] = found
        return found

    def forget(self, camera: str, site: str) -> None:
        """They were changed through this hub: read them again."""
        self._forgotten += 1
        self._cameras.pop(camera, None)
        self._sites.pop(site, None)
        self._sites.pop(None, None)

    async def sites(self) -> list[str]:
        """All sites that have cameras, by id."""
        return sorted({record.site for record in await self.cameras()})
