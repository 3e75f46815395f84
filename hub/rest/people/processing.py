"""The record of processing by REST: what this deployment itself knows of it."""

import time

from starlette.requests import Request
from starlette.responses import Response

from actors.core.settings import Settings
from hub.web import endpoint
from hub.web.endpoint import Handler
from policy.identity.principal import Principal
from privacy.processing import record_of
from storage.ports.background.sinks import SinkList
from storage.ports.privacy import PrivacyStore
from storage.ports.registry import Registry

LATEST_US = 2**53
NEWEST = 1_000  # requests that are counted


class ProcessingReads:
    """The handler."""

    def __init__(
        self, settings: Settings, registry: Registry, sinks: SinkList, store: PrivacyStore
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._sinks = sinks
        self._store = store

    def all(self) -> dict[str, Handler]:
        """By its id."""
        return {"readProcessingRecord": self.read}

    async def read(self, request: Request, principal: Principal) -> Response:
        """As it is now: `ProcessingRecord`."""
        sites = [row.site for row in await self._registry.sites()]
        record = record_of(
            self._settings,
            sites,
            await self._sinks.all(),
            await self._store.requests(before_us=LATEST_US, limit=NEWEST),
            await self._store.holds(),
            time.time_ns() // 1000,
        )
        return endpoint.answer(record)
