"""What waits for a camera's turn: bounded in items, bytes and age (design sections 4 and 8).

Credits admit no more than `mailbox_items` of new observations, so what is refused here came beyond
them or again: it is still at the edge, which is asked for it once there is room. Hellos and
goodbyes have a bound of their own, so data never keeps them out.
"""

from collections import deque

import msgspec

from actors.core.messages.deliveries import Alive, Data, DeclareGap, Detach, Item
from actors.core.settings import CameraSettings

MAX_CONTROL = 1_024  # hellos and goodbyes of one camera that may wait


class Mailbox:
    """The items of one camera in the order they came. `items` and `bytes` count observations (a
    declared gap counts as one)."""

    __slots__ = (
        "_control",
        "_max_age_s",
        "_max_bytes",
        "_max_items",
        "_queue",
        "bytes",
        "items",
        "refused",
        "refused_items",
    )

    def __init__(self, settings: CameraSettings) -> None:
        self._queue: deque[tuple[Item, float]] = deque()
        self._control = 0
        self._max_items = settings.mailbox_items
        self._max_bytes = settings.mailbox_bytes
        self._max_age_s = settings.mailbox_age_s
        self.items = 0
        self.bytes = 0
        # data was refused since the mailbox was last empty: its edge must be asked for it
        self.refused = False
        self.refused_items = 0

    def __len__(self) -> int:
        return len(self._queue)

    def age_s(self, now: float) -> float:
        """How long the oldest item waits, in seconds of the caller's monotonic clock."""
        return now - self._queue[0][1] if self._queue else 0.0

    def offer(self, item: Item, now: float) -> bool:
        """Take `item`; False when there is no room for it. A goodbye always has room, a sign of
        life only where nothing else tells it."""
        if isinstance(item, Data | DeclareGap):
            count, size = _cost(item)
            crowded = self._queue and (
                self.items + count > self._max_items or self.bytes + size > self._max_bytes
            )
            if self.refused or crowded or self.age_s(now) > self._max_age_s:
                self.refused = True
                self.refused_items += count
                return False
            self.items += count
            self.bytes += size
        elif isinstance(item, Alive):
            if self._queue:
                return True
        else:
            if self._control >= MAX_CONTROL and not isinstance(item, Detach):
                return False
            self._control += 1
        self._queue.append((item, now))
        return True

    def take(self, limit: int) -> list[Item]:
        """The next items with at most `limit` observations in all (at least 1); a delivery that is
        longer is cut."""
        taken: list[Item] = []
        while self._queue and limit > 0:
            item, since = self._queue.popleft()
            if isinstance(item, Data):
                if len(item.items) > limit:
                    item, rest = split(item, limit)
                    self._queue.appendleft((rest, since))
                limit -= max(len(item.items), 1)
            elif isinstance(item, DeclareGap):
                limit -= 1
            elif not isinstance(item, Alive):
                self._control -= 1
            if isinstance(item, Data | DeclareGap):
                count, size = _cost(item)
                self.items -= count
                self.bytes -= size
            taken.append(item)
        return taken

    def clear(self) -> None:
        """Forget everything: the camera starts again from its last commit, and its links ask for
        the rest."""
        self._queue.clear()
        self._control = self.items = self.bytes = 0
        self.refused = False


def split(data: Data, count: int) -> tuple[Data, Data]:
    """The first `count` observations of a delivery, and the rest."""
    return (
        msgspec.structs.replace(data, items=data.items[:count]),
        msgspec.structs.replace(data, first_seq=data.first_seq + count, items=data.items[count:]),
    )


def _cost(item: Data | DeclareGap) -> tuple[int, int]:
    if isinstance(item, DeclareGap):
        return 1, len(item.reason)
    return len(item.items), sum(map(len, item.items))
