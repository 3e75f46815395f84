"""Keeps dead letters and the sessions that are over within their bounds, every few minutes. The
supervisor runs one; two do no harm."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any

from actors.core.errors import EyrieError
from storage.postgres.row_retention import Forgotten

ROUND_S = 600.0  # between two rounds; so much longer a flood of refused items may exceed its bound
RETRY_S = 60.0  # after a failure

log = logging.getLogger("eyrie.cluster.rows")


class RowRetention:
    """`forget` makes one round; `chance` gives 0..1."""

    def __init__(
        self,
        forget: Callable[[], Awaitable[Forgotten]],
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._forget = forget
        self._chance = chance
        self._last = Forgotten(0, 0, 0)
        self._trouble = ""

    def status(self) -> dict[str, Any]:
        """How many rows went in the last round, and its trouble."""
        last = self._last
        letters = {"old_letters": last.old_letters, "large_letters": last.large_letters}
        return {**letters, "sessions": last.sessions, "trouble": self._trouble}

    async def round(self) -> float:
        """Forget, tell; seconds until the next."""
        try:
            self._last = await self._forget()
        except EyrieError as error:
            self._trouble = f"{error.code}: {error.detail}"
            log.warning("dead letters and sessions are not looked after now: %s", error)
            return RETRY_S * (0.5 + 0.5 * self._chance())
        self._trouble = ""
        gone = self._last
        if gone.old_letters or gone.large_letters or gone.sessions:
            log.info(
                "retention: %d dead letters for their age, %d for their size, and %d sessions "
                "that are over are gone",
                gone.old_letters,
                gone.large_letters,
                gone.sessions,
            )
        return ROUND_S * (0.75 + 0.25 * self._chance())

    async def run(self) -> None:
        """A round at once, then again and again. What is under way when it is cancelled is rolled
        back."""
        while True:
            await asyncio.sleep(await self.round())
