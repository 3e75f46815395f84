"""When a peer that owes something has been silent for too long (pure; all times in seconds)."""

from enum import Enum

PINGS = 4  # questions within the time that a silence may last


class Say(Enum):
    """What to do at a tick."""

    NOTHING = "nothing"  # and no tick is needed until something is owed again
    WAIT = "wait"
    PING = "ping"
    LOST = "lost"


class Silence:
    """Watches one peer. It owes something while `owed` is set, and after :meth:`sent` until it is
    heard. A tick that comes late says that this process stood still, and proves nothing about the
    peer."""

    __slots__ = ("_heard", "_next", "_silent_s", "_unanswered", "owed", "tick_s")

    def __init__(self, silent_s: float) -> None:
        self._silent_s = silent_s
        self.tick_s = silent_s / PINGS
        self.owed = False
        self._unanswered = False
        self._heard = self._next = 0.0

    @property
    def watching(self) -> bool:
        """Whether ticks are needed."""
        return self.owed or self._unanswered

    def start(self, now: float) -> None:
        """The first tick comes in `tick_s`."""
        self._heard = now
        self._next = now + self.tick_s

    def sent(self) -> None:
        """Something went to the peer."""
        self._unanswered = True

    def heard(self, now: float) -> None:
        """Something came from it."""
        self._unanswered = False
        self._heard = now

    def tick(self, now: float) -> Say:
        """Call every `tick_s` while `watching`."""
        late_s = now - self._next
        if late_s > self.tick_s:
            self._heard += late_s
        self._next = now + self.tick_s
        if not self.watching:
            return Say.NOTHING
        silent_s = now - self._heard
        if silent_s >= self._silent_s:
            return Say.LOST
        return Say.PING if silent_s >= self.tick_s / 2 else Say.WAIT
