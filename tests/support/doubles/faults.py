"""Failure switches of the doubles: what the next calls of an operation meet."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Literal, TypeVar

from actors.core.errors import Unavailable, UnknownOutcome

How = Literal["fail", "hang", "after"]
T = TypeVar("T")


class Faults:
    """`plan("commit", "fail", "after")`: the next commit fails and does nothing, the one after it
    is done and then says UnknownOutcome.

    ``hang`` never answers (until cancelled). `down` holds operations that fail until they are taken
    out of it; `calls` counts all calls.
    """

    def __init__(self) -> None:
        self._plans: dict[str, deque[How]] = defaultdict(deque)
        self.down: set[str] = set()
        self.calls: dict[str, int] = defaultdict(int)

    def plan(self, operation: str, *hows: How) -> None:
        """What the next calls of `operation` meet, one each."""
        self._plans[operation].extend(hows)

    async def run(self, operation: str, action: Callable[[], T]) -> T:
        """Carry `action` out under the plan. Yields to the loop once, as a round trip would; a call
        that is cancelled meanwhile has met its plan all the same."""
        self.calls[operation] += 1
        how = self._plans[operation].popleft() if self._plans[operation] else None
        await asyncio.sleep(0)
        if how == "fail" or operation in self.down:
            raise Unavailable(f"{operation}: planned failure")
        if how == "hang":
            await asyncio.Event().wait()
        result = action()
        if how == "after":
            raise UnknownOutcome(f"{operation}: planned loss of the answer")
        return result
