"""`storage.ports.rate_limits.SignInStore` in memory."""

import time

from tests.support.doubles.faults import Faults


class MemorySignIns:
    """Shared by as many hubs as get it. `faults` has the operations ``put`` and ``take``."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.kept: dict[str, tuple[bytes, float]] = {}

    async def keep(self, name: str, sealed: bytes, ttl_s: int) -> None:
        await self.faults.run(
            "keep", lambda: self.kept.__setitem__(name, (sealed, time.monotonic() + ttl_s))
        )

    async def pop(self, name: str) -> bytes | None:
        sealed, until = await self.faults.run("pop", lambda: self.kept.pop(name, (None, 0.0)))
        return sealed if time.monotonic() < until else None
