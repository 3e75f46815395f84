"""The registry as a hub needs it: which site a camera belongs to, and what a site holds. Cached for a short while and bounded."""

import time
from collections.abc import Callable
from typing import Protocol

from storage.ports import CameraRecord

KEPT_S = 2.0  # how old an answer may be; a new camera or tag is seen after that
MAX_ENTRIES = 10_000


class Records(Protocol):
    """The part of `storage.ports.Registry` that is read here."""

    async def camera(self, camera: str) -> CameraRecord | None:
        """One camera."""

    async def cameras(self, site: str | None = None) -> list[CameraRecord]:
        """All cameras, or those of one site, by id."""


class CameraCache:
    """Reads through to the registry. Raises what the registry raises when it is away and nothing fresh is known."""

    def __init__(self, registry: Records, now: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._now = now
        self._cameras: dict[str, tuple[float, CameraRecord | None]] = {}
        self._sites: dict[str | None, tuple[float, list[CameraRecord]]] = {}

    async def camera(self, camera: str) -> CameraRecord | None:
        """One camera, None when it is not registered."""
        found = self._cameras.get(camera)
        if found is not None and self._now() - found[0] < KEPT_S:
            return found[1]
        record = await self._registry.camera(camera)
        if len(self._cameras) >= MAX_ENTRIES:
            self._cameras.clear()
        self._cameras[camera] = (self._now(), record)
        return record

    async def cameras(self, site: str | None = None) -> list[CameraRecord]:
        """The cameras of a site, or all."""
        found = self._sites.get(site)
        if found is not None and self._now() - found[0] < KEPT_S:
            return found[1]
        records = await self._registry.cameras(site)
        if len(self._sites) >= MAX_ENTRIES:
            self._sites.clear()
        self._sites[site] = (self._now(), records)
        return records

    def forget(self, camera: str, site: str) -> None:
        """They were changed through this hub: read them again."""
        self._cameras.pop(camera, None)
        self._sites.pop(site, None)
        self._sites.pop(None, None)

    async def sites(self) -> list[str]:
        """All sites that have cameras, by id."""
        return sorted({record.site for record in await self.cameras()})
