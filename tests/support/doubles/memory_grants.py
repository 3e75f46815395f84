"""`storage.ports.rate_limits.GrantStore` in memory."""

import time
from collections.abc import Sequence

from tests.support.doubles.faults import Faults


class MemoryGrants:
    """Shared by as many hubs as get it. `faults` has the operations ``note`` and ``noted``."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.until: dict[str, float] = {}

    async def note(self, names: Sequence[str], ttl_s: int) -> None:
        await self.faults.run(
            "note", lambda: self.until.update(dict.fromkeys(names, time.monotonic() + ttl_s))
        )

    async def noted(self, name: str) -> bool:
        return await self.faults.run("noted", lambda: self.until.get(name, 0.0) > time.monotonic())
