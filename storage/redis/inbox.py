"""What a hub has received and not yet read: bounded in items and bytes.

On overflow it is emptied and says so, instead of losing in silence.
"""

import asyncio
from collections import deque

from storage.ports.live import BrokerMessage

MAX_ITEMS = 20_000
MAX_BYTES = 32 * 1024 * 1024

LOST = b"lost"
RESUBSCRIBED = b"resubscribed"
OVERFLOWED = b"overflowed"


def notice(body: bytes) -> BrokerMessage:
    """A notice (`storage.ports.live.Broker.run`)."""
    return BrokerMessage("notice", "", body=body)


class Inbox:
    """A queue for one reader. `overflows` counts how often it was emptied."""

    def __init__(self, max_items: int = MAX_ITEMS, max_bytes: int = MAX_BYTES) -> None:
        self._limits = (max_items, max_bytes)
        self._items: deque[tuple[BrokerMessage, int]] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._lost = False
        self.overflows = 0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, publication: BrokerMessage, size: int) -> None:
        """Add what arrived; `size` in bytes."""
        if len(self._items) >= self._limits[0] or self._bytes + size > self._limits[1]:
            self._items.clear()
            self._bytes = 0
            self.overflows += 1
            self._add(notice(OVERFLOWED), 0)
            if self._lost:
                self._add(notice(LOST), 0)
        self._add(publication, size)

    def notify(self, body: bytes) -> None:
        """Add a notice. That the connection is lost is told once."""
        lost = body == LOST
        if lost and self._lost:
            return
        self._lost = lost
        self.add(notice(body), 0)

    async def get(self) -> BrokerMessage:
        """The oldest, as soon as there is one."""
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        publication, size = self._items.popleft()
        self._bytes -= size
        return publication

    def _add(self, publication: BrokerMessage, size: int) -> None:
        self._items.append((publication, size))
        self._bytes += size
        self._filled.set()
