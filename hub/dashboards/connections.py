"""The dashboards of one hub: who is let in, who is connected, and how they are sent away."""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TypeVar

from actors.core.settings import HubSettings
from hub.access import client_address
from hub.dashboards import connection_limits
from hub.dashboards.connection import ClientSocket, ConnectionServices, Dashboard
from hub.dashboards.connection_limits import Admission
from hub.dashboards.handshake import Refusal
from hub.dashboards.timed.canary import CanaryConnection
from hub.protocol.disconnects import CloseCode
from hub.protocol.messages import JSON, Codec
from hub.protocol.paths import DASHBOARD_PATHS

T = TypeVar("T")

log = logging.getLogger(__name__)


class Connections:
    """`connected` is shared with whoever asks about all dashboards; `admission` counts them. The
    hub's own canary is counted nowhere, and no limit is for it."""

    def __init__(
        self,
        hub: HubSettings,
        services: ConnectionServices,
        connected: dict[Dashboard, None],
        admission: Admission,
        canary: CanaryConnection,
        codecs: Iterable[Codec],
    ) -> None:
        self.connected = connected
        self.origins = client_address.named(hub.allowed_origins)
        self.admission = admission
        self.draining = False
        self.to_drain = 0  # dashboards there were when the drain began
        self._canary = canary
        self._codecs = {codec.name: codec for codec in codecs}
        self._services = services
        self._ended = self.ended  # one object for all connections

    def admit(self, path: str, origins: Sequence[str], address: str) -> Refusal | None:
        """Origin, drain and connection limits, of a handshake; None lets it in."""
        if self._canary.is_origin(origins):
            return None
        if not client_address.allowed(origins, self.origins):
            self._services.stats.refused += 1
            log.warning(
                "a socket for %s from origin %.200r is refused: not in hub.allowed_origins",
                path[:100],
                ", ".join(origins),
            )
            return Refusal(403, "This origin may not connect; add it to hub.allowed_origins.\n")
        if path not in DASHBOARD_PATHS and not self.draining:
            return None  # edges have their own limits
        denied = self.admission.check(
            address, len(self.connected), time.monotonic(), draining=self.draining
        )
        if denied is None:
            return None
        self._services.stats.refused += 1
        return Refusal(
            503,
            f"This hub takes no more connections ({denied.reason}).\n",
            {"Retry-After": str(denied.retry_s + secrets.randbelow(3))},
        )

    def open(
        self, link: ClientSocket, codec: str, address: str, origins: Sequence[str] = ()
    ) -> Dashboard:
        """A dashboard has connected, or the canary. JSON is spoken where `codec` is unknown."""
        dashboard = Dashboard(
            self._services,
            link,
            self._codecs.get(codec, JSON),
            secrets.token_hex(8),
            self._ended,
            spread=random.random(),
            address=address,
        )
        if not self._canary.is_origin(origins):
            self.connected[dashboard] = None
            self.admission.entered(address)
            self._services.stats.accepted += 1
        return dashboard

    def ended(self, dashboard: Dashboard, close: CloseCode | None) -> None:
        """A connection has ended, by this side when `close` is given."""
        services = self._services
        if close is not None:
            services.stats.closed(close.code)
        services.commands.ended(dashboard)
        services.fanout.forget(dashboard)
        if dashboard in self.connected:
            del self.connected[dashboard]
            user = None if dashboard.principal is None else dashboard.principal.sub
            self.admission.left(dashboard.address, user)

    async def drain(self, window_s: float = 0.0) -> None:
        """Take no more connections and close the ones there are with 3001, in batches over
        `window_s` seconds at most."""
        self.draining = True
        there = list(self.connected)
        random.shuffle(there)
        self.to_drain += len(there)
        async for dashboard in paced(there, window_s):
            dashboard.drop(connection_limits.goodbye(random.random()))
        for dashboard in list(self.connected):  # who came in while the others were closed
            dashboard.drop(connection_limits.goodbye(random.random()))


async def paced(items: Sequence[T], window_s: float) -> AsyncIterator[T]:
    """`items` in their batches (:func:`connection_limits.batches`), with a pause of
    `connection_limits.STEP_S` between two of them."""
    for number, batch in enumerate(connection_limits.batches(items, window_s)):
        if number:
            await asyncio.sleep(connection_limits.STEP_S)
        for item in batch:
            yield item
