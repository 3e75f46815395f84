"""Is the camera there, and does it see? The only decisions of the core that look at a clock.
Nothing derived from observations rests on it.

Liveness has two halves: a device that is heard (its pings, or observations of it that were applied)
is there; a camera that gives frames is seeing. One that is there and gives none is ``stale`` with
the reason ``no_frames``, unless its scene says that it is `event_only`.
"""

from actors.core.messages.states import Status
from actors.core.reasons import EDGE_SILENT, LINK_LOST, NEVER_SEEN, NO_FRAMES, PAUSED
from actors.core.settings import CameraSettings

MISSED_FRAMES = 3  # so many that should have come and did not are no frames
MAX_MEASURED_US = 3_600_000_000  # a rate that was measured is waited for that long at most


class Liveness:
    """Status and its reason. `heard_us`: when the edge was last heard, `seen_us`: when a frame last
    came, `waited_us`: since when the next one is waited for; an activation counts as all three, so
    that a camera whose edge went away together with the old actor turns stale in time. `blind`: no
    frame came for so long that what the last one showed is not what is there now; `unseeing`: and
    that was told."""

    __slots__ = (
        "blind",
        "event_only",
        "expected_us",
        "heard_us",
        "linked",
        "measured_us",
        "offline_us",
        "paused",
        "reason",
        "seen_us",
        "stale_us",
        "status",
        "unseeing",
        "waited_us",
    )

    def __init__(
        self, settings: CameraSettings, status: Status, reason: str | None, now_us: int
    ) -> None:
        self.stale_us = round(settings.stale_after_s * 1_000_000)
        self.offline_us = round(settings.offline_after_s * 1_000_000)
        self.status: Status = status
        self.reason = reason
        self.heard_us = self.seen_us = self.waited_us = now_us
        self.expected_us: int | None = None
        self.measured_us = 0.0  # between two frames, 0 unknown
        self.event_only = False
        self.blind = self.unseeing = reason == NO_FRAMES
        self.linked = False
        self.paused = (
            False  # nothing new is taken in: signs of the edge do not make the camera online
        )

    def expect(self, fps: float | None, *, event_only: bool) -> None:
        """What the scene says of the frames to come."""
        self.event_only = event_only
        self.expected_us = round(MISSED_FRAMES * 1_000_000 / fps) if fps is not None else None

    @property
    def frames_us(self) -> int:
        """Without a frame for so long the camera is not seeing."""
        if self.expected_us is not None:
            return max(self.stale_us, self.expected_us)
        return max(self.stale_us, min(round(MISSED_FRAMES * self.measured_us), MAX_MEASURED_US))

    @property
    def unknown(self) -> bool:
        """What is there now is not known."""
        return self.blind or self.status != "online"

    def heard(self, now_us: int) -> None:
        """A sign of the edge."""
        self.heard_us = now_us

    def clock_stepped(self, by_us: int) -> None:
        """The clock that `now_us` is read from was set: the silence until now stays as long as it
        was."""
        self.heard_us += by_us
        self.seen_us += by_us
        self.waited_us += by_us

    def frame(self, now_us: int, measured_us: float) -> bool:
        """A new frame was applied: True when the camera was not online before. `measured_us`:
        between two frames, 0 unknown."""
        self.seen_us = self.waited_us = now_us
        self.blind = self.unseeing = False
        self.measured_us = measured_us
        return self.status != "online" and self._became_online()

    def alarm(self) -> bool:
        """A new alarm without a frame was applied: True when the camera was not online before. One
        that sees nothing stays so."""
        return self.reason != NO_FRAMES and self._became_online()

    def back(self, now_us: int) -> bool:
        """A sign of the edge alone: True when the camera is another than before."""
        self.heard_us = now_us
        if self.status == "online" or self.paused or self.reason in (PAUSED, NO_FRAMES):
            return False
        if self.event_only:
            return self._became_online()
        if self.reason == NEVER_SEEN:
            return False
        if self.unseeing:
            self.status, self.reason = "stale", NO_FRAMES
            return True
        self.blind = self.blind or now_us - self.seen_us >= self.frames_us
        self.waited_us = now_us  # a link that comes back has its time to bring frames
        return self._became_online()

    def left(self, reason: str) -> bool:
        """The edge said goodbye: True when the camera was not offline before."""
        if self.status == "offline":
            return False
        self.status, self.reason = "offline", reason
        return True

    def check(self, now_us: int) -> bool:
        """Time has passed: True when the status fell, or its reason is another."""
        if self.status == "offline":
            return False
        if self.paused and self.status == "online":
            self.status, self.reason = "stale", PAUSED
            return True
        silent_us = now_us - self.heard_us
        silent = EDGE_SILENT if self.linked else LINK_LOST
        if silent_us >= self.offline_us:
            self.status, self.reason = "offline", silent
            return True
        if silent_us >= self.stale_us and (self.status == "online" or self.reason == NO_FRAMES):
            self.status, self.reason = "stale", silent
            return True
        if now_us - self.seen_us >= self.frames_us:
            self.blind = True
        if (
            self.status == "online"
            and not self.event_only
            and now_us - self.waited_us >= self.frames_us
        ):
            self.status, self.reason, self.unseeing = "stale", NO_FRAMES, True
            return True
        return False

    def deadline_us(self) -> int | None:
        """When `check` may next say True, or find that nothing is seen any more."""
        if self.status == "offline":
            return None
        silent = (
            self.stale_us
            if self.status == "online" or self.reason == NO_FRAMES
            else self.offline_us
        )
        due = self.heard_us + silent
        if self.status == "online" and not self.event_only:
            due = min(due, self.waited_us + self.frames_us)
        return due if self.blind else min(due, self.seen_us + self.frames_us)

    def _became_online(self) -> bool:
        if self.status == "online" or self.paused:
            return False
        self.status, self.reason = "online", None
        return True
