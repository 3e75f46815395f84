"""What plain channels need of a store: `storage.redis.plain_channels.RedisChannels` has it."""

from typing import Protocol

from storage.redis.plain_channels import Kept


class Channels(Protocol):
    """`storage.redis.plain_channels.RedisChannels`."""

    async def publish(
        self, channel: str, envelope: bytes, *, size: int, ttl_s: int
    ) -> tuple[str, int]:
        """(epoch, offset)."""

    async def history(
        self,
        channel: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int,
        newest_first: bool = False,
    ) -> tuple[str, int, list[Kept]]:
        """(epoch, top, publications)."""

    async def appear(self, channel: str, clients: dict[str, bytes]) -> None:
        """Note or renew who is there."""

    async def vanish(self, channel: str, client: str) -> None:
        """Somebody has left."""

    async def present(self, channel: str) -> dict[str, bytes]:
        """Who is there."""

    async def watch(self, channel: str) -> None:
        """Listen to a channel."""

    async def unwatch(self, channel: str) -> None:
        """Listen no more."""

    async def forget(self, channel: str) -> None:
        """Empty its history."""
