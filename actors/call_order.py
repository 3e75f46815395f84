"""Calls of a hub in the order they were sent: Ray promises none to an async actor, and two are in
flight.

Without it an overtaking call looks like a hole, and the edge sends everything from there again.
"""

import asyncio
from collections import OrderedDict

from actors.core.messages.deliveries import Numbered

OVERTAKEN_S = 0.25  # seconds a call waits for the one before it at most: that one may never come
MAX_QUEUES = 256  # queues of hubs known at once; a forgotten one begins again


class _Line:
    __slots__ = ("expected", "moved")

    def __init__(self) -> None:
        self.expected = 1
        self.moved = asyncio.Event()


class CallOrder:
    """Which call of which queue comes next."""

    def __init__(self, *, overtaken_s: float = OVERTAKEN_S) -> None:
        self._overtaken_s = overtaken_s
        self._lines: OrderedDict[tuple[str, str], _Line] = OrderedDict()

    async def turn(self, hub: str, call: Numbered) -> None:
        """Wait until it is this call's turn; at once when it is already, or when its turn has
        passed."""
        key = (hub, call.queue)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line()
            if len(self._lines) > MAX_QUEUES:
                self._lines.popitem(last=False)
        else:
            self._lines.move_to_end(key)
        if call.number > line.expected:
            try:
                async with asyncio.timeout(self._overtaken_s):
                    while call.number > line.expected:
                        line.moved.clear()
                        await line.moved.wait()
            except TimeoutError:
                pass
        line.expected = max(line.expected, call.number + 1)
        line.moved.set()
