"""Coarse timers for many connections: one loop timer turns one wheel (pure).

A loop timer per connection costs a heap entry and a handle each; here a connection costs one list
entry per deadline.
"""

import math
from typing import Generic, TypeVar

T = TypeVar("T")

RESOLUTION_S = 0.25


class Wheel(Generic[T]):
    """Items by the slot of their deadline. An item that no longer wants it is simply handed out and
    ignored. Monotonic seconds."""

    __slots__ = ("_at", "_slots")

    def __init__(self, now: float) -> None:
        self._at = self._slot(now)
        self._slots: dict[int, list[T]] = {}

    def add(self, deadline: float, item: T) -> None:
        """Hand `item` out at the first :meth:`advance` at or after `deadline`. An infinite deadline
        is none."""
        if deadline != math.inf:
            self._slots.setdefault(max(self._slot(deadline), self._at + 1), []).append(item)

    def advance(self, now: float) -> list[T]:
        """The items whose deadline has passed."""
        due: list[T] = []
        last = int(now / RESOLUTION_S)
        if (
            last - self._at > len(self._slots) + 1
        ):  # a long sleep: look at the slots there are, not at every number between
            for slot in sorted(slot for slot in self._slots if slot <= last):
                due += self._slots.pop(slot)
        else:
            for slot in range(self._at + 1, last + 1):
                due += self._slots.pop(slot, ())
        self._at = max(self._at, last)
        return due

    @staticmethod
    def _slot(moment: float) -> int:
        return math.ceil(moment / RESOLUTION_S)
