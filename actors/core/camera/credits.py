"""Credits: how far ahead of its last ack an edge may send."""

from actors.core.settings import CameraSettings

MIN_WINDOW = 64  # items: less would make every ack a stop
SLOW_COMMIT_S = 0.5  # a commit slower than this halves the window at every doubling
SLOW_LOOP_S = 0.1  # and so does a loop lag above this


def window(
    settings: CameraSettings,
    cameras: int = 1,
    *,
    commit_latency_s: float = 0.0,
    loop_lag_s: float = 0.0,
) -> int:
    """The credit window in items of one of `cameras` that a process may host: their sum stays
    within `process_items`.

    Credits count from the ack, so what a camera has in the mailbox or uncommitted is taken off them
    already: they are its free space. `cameras` is how many the process may host, not how many it
    does: credits never move back, so a camera that comes later must find its share still there.
    Full while commits and the loop keep up; halved with every doubling of the commit latency over
    `SLOW_COMMIT_S` or of the loop lag over `SLOW_LOOP_S`. Never below `MIN_WINDOW` (or the share
    where that is less): a window of nothing would never open again.
    """
    share = max(min(settings.mailbox_items, settings.process_items // max(cameras, 1)), 1)
    pressure = max(commit_latency_s / SLOW_COMMIT_S, loop_lag_s / SLOW_LOOP_S, 1.0)
    return max(int(share / pressure), min(MIN_WINDOW, share))


class CreditLine:
    """`limit`: the highest seq that may be sent in this session. It never moves back, and nothing
    is given before the first grant."""

    __slots__ = ("limit", "window")

    def __init__(self, acked: int, window_items: int) -> None:
        self.window = window_items
        self.limit = acked

    def grant(self, acked: int) -> int:
        """Credits to tell with an ack of `acked`."""
        self.limit = max(self.limit, acked + self.window)
        return self.limit - acked
