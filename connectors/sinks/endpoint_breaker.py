"""The breaker of a receiver, kept in PostgreSQL: a restart remembers that it is down."""

import msgspec

from connectors.sinks.context import SinkContext
from storage.ports.background.sinks import connector_of
from workers.breaker import SECOND_US, Breaker, BreakerPolicy, admit, failed, succeeded

POLICY = BreakerPolicy(failures=5, open_s=10.0, longest_s=600.0, trial_s=30.0)


class EndpointBreaker:
    """Of one sink, by its one owner."""

    def __init__(self, sink: str, context: SinkContext) -> None:
        self._name = connector_of(sink)
        self._context = context
        self._breaker = Breaker()
        self._version = 0

    async def load(self) -> None:
        """As it was left."""
        stored = await self._context.breakers.get(self._name)
        if stored is not None:
            self._breaker = msgspec.json.decode(stored.body, type=Breaker)
            self._version = stored.version

    @property
    def closed(self) -> bool:
        """Whether everybody may try."""
        return self._breaker.state == "closed"

    def waits_s(self) -> float:
        """Seconds until somebody may try; 0: now."""
        if self.closed:
            return 0.0
        return max(0.0, self._breaker.until_us / SECOND_US - self._context.now_s())

    async def admit(self) -> bool:
        """Whether an attempt may be made now."""
        admitted = admit(self._breaker, POLICY, self._now_us())
        if admitted is not None:
            await self._keep(admitted)
        return admitted is not None

    async def note(self, healthy: bool) -> None:
        """How it ended."""
        now_us = self._now_us()
        await self._keep(
            succeeded(self._breaker) if healthy else failed(self._breaker, POLICY, now_us)
        )

    async def _keep(self, changed: Breaker) -> None:
        if changed == self._breaker:
            return
        self._breaker = changed
        body = msgspec.json.encode(changed).decode()
        version = await self._context.breakers.swap(self._name, body, version=self._version)
        if version is None:
            await self.load()
        else:
            self._version = version

    def _now_us(self) -> int:
        return round(self._context.now_s() * SECOND_US)
