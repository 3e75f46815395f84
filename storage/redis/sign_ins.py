"""`storage.ports.rate_limits.SignInStore` in Redis, which takes a key away in the moment it reads
it."""

from actors.core.settings import RedisSettings
from storage.redis import keys
from storage.redis.connection import RedisLink
from storage.redis.scripts import run


class RedisSignIns:
    """Sealed sign-ins as Redis keys that expire. Connects when it is first asked."""

    def __init__(self, settings: RedisSettings, *, name: str) -> None:
        self._link = RedisLink(settings, f"{name}:sign-ins")

    async def close(self) -> None:
        """Give the connection back."""
        await self._link.close()

    async def keep(self, name: str, sealed: bytes, ttl_s: int) -> None:
        await run(self._link, [("SET", keys.sign_in(name), sealed, "EX", ttl_s)], writing=True)

    async def pop(self, name: str) -> bytes | None:
        found = (await run(self._link, [("GETDEL", keys.sign_in(name))], writing=True))[0]
        return None if found is None else bytes(found)
