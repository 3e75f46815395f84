"""What every change of the registry through a hub brings about: policy before it, the log and the
actors after it."""

import asyncio
import logging

from actors.core.errors import EyrieError, Forbidden, NotFound
from actors.ports import Directory
from hub.access.authorization import Access, CameraAction
from hub.access.registry_cache import CameraCache
from hub.ingest.authorization import EdgeAccess
from hub.protocol import channels
from policy.audit import Auditor
from policy.identity.principal import Principal
from storage.ports.cameras import CameraStore
from storage.ports.registry import CameraRecord, Registry, SiteRecord

TELL_S = 2.0  # seconds an actor may take to follow; later it does so by itself

log = logging.getLogger("eyrie.hub.registry")


class RegistryChanges:
    """Reads past the caches of this hub: what is to be changed is read fresh, and its ETag with
    it."""

    def __init__(
        self,
        registry: Registry,
        rows: CameraStore,
        directory: Directory,
        access: Access,
        cache: CameraCache,
        edges: EdgeAccess,
        auditor: Auditor,
    ) -> None:
        self.registry = registry
        self.auditor = auditor
        self._rows = rows
        self._directory = directory
        self._access = access
        self._cache = cache
        self._edges = edges

    async def camera(self, action: CameraAction, principal: Principal, camera: str) -> CameraRecord:
        """The camera, when `principal` may do `action` to it. Raises Forbidden, NotFound:
        `Access.require_camera`."""
        return await self._access.require_camera(
            action, principal, camera, await self.registry.camera(camera)
        )

    async def site(self, principal: Principal, site: str, *, write: bool) -> SiteRecord:
        """The site, when it may be read or changed. Raises Forbidden, NotFound."""
        await self._access.require_site(
            "registry.write" if write else "registry.read", principal, site
        )
        record = await self.registry.site(site)
        if record is None:
            raise NotFound(f"site {site} is not registered")
        return record

    async def may_read_site(self, principal: Principal, site: str) -> bool:
        """Whether a list may show it: to who may watch its wall, and to who may read the
        registry."""
        try:
            await self._access.view("subscribe", principal, channels.parse(channels.site(site)))
        except Forbidden:
            try:
                await self._access.require_site("registry.read", principal, site)
            except Forbidden:
                return False
        return True

    async def hidden(self, principal: Principal, site: str) -> frozenset[str]:
        """The cameras of a site that are not counted for this principal: those that its wall does
        not show them."""
        try:
            view, _ = await self._access.view(
                "subscribe", principal, channels.parse(channels.site(site))
            )
        except Forbidden:  # who may read the registry alone reads camera by camera
            return frozenset(record.camera for record in await self._cache.cameras(site))
        return view.exclude

    async def require(
        self, action: CameraAction, principal: Principal, camera: str, site: str, tags: list[str]
    ) -> None:
        """Raises Forbidden where the camera, as it would become, is not theirs to have."""
        await self._access.require(action, principal, camera, site, tags)

    async def require_site(self, principal: Principal, site: str) -> None:
        """Raises Forbidden where a site may not be changed."""
        await self._access.require_site("registry.write", principal, site)

    def changed(self, principal: Principal, what: str) -> None:
        """Who changed what, for the log."""
        log.info("registry: %s by %s (token %s)", what, principal.sub, principal.jti)

    async def announce(self, camera: str, site: str) -> int | None:
        """Have the caches and the actor of a camera read it again; the scene version in force
        there, None when no actor said so in time.

        Nothing depends on it: actors and caches look by themselves within seconds.
        """
        self._cache.forget(camera, site)
        self._edges.forget(camera)
        try:
            async with asyncio.timeout(TELL_S):
                owner = (await self._rows.ownership([camera])).get(camera)
                actor = (
                    None
                    if owner is None or owner.owner is None
                    else await self._directory.living(owner.owner)
                )
                return None if actor is None else (await actor.refresh([camera])).get(camera)
        except (EyrieError, TimeoutError) as error:
            log.info(
                "the actor of camera %s was not told of its change, it looks by itself: %s",
                camera,
                error,
            )
            return None
