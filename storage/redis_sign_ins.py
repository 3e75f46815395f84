"""`storage.limit_ports.SignInStore` in Redis, which takes a key away in the moment it reads it."""

from actors.core.settings import RedisSettings
from storage import redis_keys as keys
from storage.redis_link import RedisLink
from storage.redis_scripts import run


class RedisSignIns:
    """See the port. Connects when it is first asked."""

    def __init__(self, settings: RedisSettings, *, name: str) -> None:
        self._link = RedisLink(settings, f"{name}:sign-ins")

    async def close(self) -> None:
        """Give the connection back."""
        await self._link.close()

    async def put(self, name: str, sealed: bytes, ttl_s: int) -> None:
        """See the port."""
        await run(self._link, [("SET", keys.sign_in(name), sealed, "EX", ttl_s)], writing=True)

    async def take(self, name: str) -> bytes | None:
        """See the port."""
        found = (await run(self._link, [("GETDEL", keys.sign_in(name))], writing=True))[0]
        return None if found is None else bytes(found)
