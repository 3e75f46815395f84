"""Keeping the supervisor at work, and knowing whether it is (independent of Ray).

Ray restarts a supervisor that died, as an empty process: it supervises once it is opened. So
everybody who lives on asks for its turn again and again, which opens it: the driver and every hub.
What they hear, or do not hear, is what health and metrics say of it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from actors.core.errors import EyrieError

LOOK_S = 2.0  # seconds between two questions
LOST_S = 6.0  # seconds without a good answer after which it does not work
# seconds since it last compared what should run with what runs, after which it does not work either
IDLE_S = 8.0

log = logging.getLogger("eyrie.supervision")


class Turn(msgspec.Struct, frozen=True):
    """What the supervisor answers. `age_s`: seconds since its last comparison; `node`, `pid`,
    `started`: where it runs, and since when (clock ticks since boot: a pid is given out again)."""

    age_s: float
    node: str = ""
    pid: int = 0
    started: int = 0


class Watched(Protocol):
    """What answers for the supervisor."""

    async def turn(self) -> Turn:
        """Open it where it is not open, and hear of its last comparison. Raises Unavailable."""


class SupervisorWatch:
    """`run` for ever. `mend(turn, silent_s)` is called at every look that finds it not working,
    with what it said last; it says whether it ended the supervisor, whose silence then counts from
    there."""

    def __init__(
        self,
        supervisor: Watched,
        *,
        mend: Callable[[Turn | None, float], Awaitable[bool]] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._supervisor = supervisor
        self._mend = mend
        self._now = now
        self._worked_at = self._ended_at = now()
        self._last: Turn | None = None
        self._why = ""
        self._told = False

    def problem(self) -> str | None:
        """What is wrong with the supervisor, or None."""
        silent_s = self._now() - self._worked_at
        if silent_s < LOST_S:
            return None
        return (
            f"the supervisor has not worked for {silent_s:.0f} s, nothing that fails is "
            f"replaced: {self._why or 'it does not answer'}"
        )

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Ask once."""
        try:
            turn = await self._supervisor.turn()
        except EyrieError as error:
            self._why = error.detail
        else:
            self._last = turn
            self._why = f"its last comparison is {turn.age_s:.0f} s old"
            if turn.age_s < IDLE_S:
                self._worked_at = self._now()
        problem = self.problem()
        if problem is None:
            if self._told:
                log.warning("the supervisor works again")
            self._told = False
            return
        if not self._told:
            self._told = True
            log.error("%s", problem)
        if self._mend is not None:
            try:
                silent_s = self._now() - max(self._worked_at, self._ended_at)
                if await self._mend(self._last, silent_s):
                    self._ended_at = self._now()
            except EyrieError as error:
                log.warning("the supervisor cannot be mended now: %s", error)
