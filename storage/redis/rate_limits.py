"""`storage.ports.rate_limits.Buckets` in Redis, over a connection of its own: a slow read of the
broker must not hold who waits for a token."""

from collections.abc import Sequence

from actors.core.settings import RedisSettings
from storage.ports.rate_limits import Ask, Grant
from storage.redis import keys
from storage.redis.connection import RedisLink
from storage.redis.scripts import call_of, run


class RedisBuckets:
    """Token buckets of all hubs, kept by one Redis script."""

    def __init__(self, settings: RedisSettings, *, name: str) -> None:
        self._link = RedisLink(settings, f"{name}:limits")

    async def close(self) -> None:
        """Give the connection back."""
        await self._link.close()

    async def charge(self, asks: Sequence[Ask]) -> list[Grant]:
        calls = [
            call_of("bucket", [keys.bucket(ask.name)], [repr(ask.rate), ask.burst, ask.want])
            for ask in asks
        ]
        return [
            Grant(int(given), int(wait_ms) / 1000)
            for given, wait_ms in await run(self._link, calls, writing=True)
        ]
