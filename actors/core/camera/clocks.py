"""Clocks of one camera: the stream's own time, the offset to ours, the frame rate."""

from actors.core.messages.states import Quality

STEP_BACK_US = (
    2_000_000  # capture time going back by more than this is a stepped clock, not lateness
)
STEP_AHEAD_US = 86_400_000_000  # going ahead by more than this is one too, not a pause
STEP_REPORT_SEQS = 256  # at most one reported step in this many observations
HALF_WINDOW_US = (
    150_000_000  # the offset's envelope spans two halves: 2.5 to 5 minutes of receive time
)


class StreamClock:
    """Stream time: capture time made never to step back, per session, from observations alone
    (microseconds).

    A little lateness stands still; a step of the device's clock shifts all later times, so
    durations go on (video reference 2.2).
    """

    __slots__ = ("now_us", "shift_us")

    def __init__(self, now_us: int = 0, shift_us: int = 0) -> None:
        self.now_us = now_us
        self.shift_us = shift_us

    def advance(self, capture_us: int) -> int:
        """Move to a frame's capture time; the microseconds by which the clock was found stepped
        (ahead > 0, back < 0), else 0."""
        moved = capture_us + self.shift_us
        if moved >= self.now_us:
            ahead = moved - self.now_us
            if ahead > STEP_AHEAD_US and self.now_us:
                self.shift_us -= ahead
                return ahead
            self.now_us = moved
            return 0
        back = self.now_us - moved
        if back <= STEP_BACK_US:
            return 0
        self.shift_us += back
        return -back


class OffsetEstimate:
    """How far our clock is ahead of the device's: the lower envelope of receive minus capture. For
    people and health only."""

    __slots__ = ("current_us", "half_ends_us", "previous_us")

    def __init__(self) -> None:
        self.current_us: int | None = None
        self.previous_us: int | None = None
        self.half_ends_us = 0

    def sample(self, received_us: int, capture_us: int) -> None:
        """One observation's pair of times."""
        late = received_us - capture_us
        if received_us >= self.half_ends_us:
            self.previous_us = (
                self.current_us if received_us < self.half_ends_us + HALF_WINDOW_US else None
            )
            self.current_us = late
            self.half_ends_us = received_us + HALF_WINDOW_US
        elif self.current_us is None or late < self.current_us:
            self.current_us = late

    def offset_us(self) -> int | None:
        """The estimate, or None before the first sample."""
        if self.current_us is None:
            return None
        return (
            self.current_us if self.previous_us is None else min(self.current_us, self.previous_us)
        )

    def quality(self) -> Quality:
        """Good below 250 ms, fair below 2 s, bad below 5 min, else unusable."""
        offset = self.offset_us()
        if offset is None:
            return "unknown"
        size = abs(offset)
        if size < 250_000:
            return "good"
        if size < 2_000_000:
            return "fair"
        return "bad" if size < 300_000_000 else "unusable"


class FrameRate:
    """Frames per second of capture time, averaged over about 16 frames."""

    __slots__ = ("last_us", "mean_us")

    def __init__(self) -> None:
        self.last_us = 0
        self.mean_us = 0.0

    def frame(self, stream_us: int) -> None:
        """One frame at this stream time."""
        step_us = stream_us - self.last_us
        if self.last_us and step_us > 0:
            self.mean_us += (step_us - self.mean_us) * (0.0625 if self.mean_us else 1.0)
        self.last_us = stream_us

    def fps(self) -> float:
        """0.0 before the second frame."""
        return round(1_000_000 / self.mean_us, 2) if self.mean_us else 0.0
