"""`storage.ports.rate_limits.GrantStore` in Redis, over a connection of its own: nobody who waits
for a token or a state waits for it."""

from collections.abc import Sequence

from actors.core.settings import RedisSettings
from storage.redis import keys
from storage.redis.connection import RedisLink
from storage.redis.scripts import run


class RedisGrants:
    """What was allowed lately, as Redis keys that expire."""

    def __init__(self, settings: RedisSettings, *, name: str) -> None:
        self._link = RedisLink(settings, f"{name}:grants")

    async def close(self) -> None:
        """Give the connection back."""
        await self._link.close()

    async def note(self, names: Sequence[str], ttl_s: int) -> None:
        await run(
            self._link,
            [("SET", keys.grant(name), b"", "EX", ttl_s) for name in names],
            writing=True,
        )

    async def noted(self, name: str) -> bool:
        return bool((await run(self._link, [("EXISTS", keys.grant(name))], writing=False))[0])
