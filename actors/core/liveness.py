"""Is the camera there? The only decisions of the core that look at a clock. They never touch what is derived from observations."""

from actors.core.reasons import EDGE_SILENT, LINK_LOST, PAUSED
from actors.core.settings import CameraSettings
from actors.core.states import Status


class Liveness:
    """Status and its reason. `heard_us`: when the edge was last heard; an activation counts as hearing it, so that a camera whose edge
    went away together with the old actor turns stale in time."""

    __slots__ = ("heard_us", "linked", "offline_us", "paused", "reason", "stale_us", "status")

    def __init__(self, settings: CameraSettings, status: Status, reason: str | None, now_us: int) -> None:
        self.stale_us = round(settings.stale_after_s * 1_000_000)
        self.offline_us = round(settings.offline_after_s * 1_000_000)
        self.status: Status = status
        self.reason = reason
        self.heard_us = now_us
        self.linked = False
        self.paused = False  # nothing new is taken in: signs of the edge do not make the camera online

    def heard(self, now_us: int) -> None:
        """A sign of the edge."""
        self.heard_us = now_us

    def clock_stepped(self, by_us: int) -> None:
        """The clock that `now_us` is read from was set: the silence until now stays as long as it was."""
        self.heard_us += by_us

    def became_online(self) -> bool:
        """A new observation was applied: True when the camera was not online before."""
        if self.status == "online" or self.paused:
            return False
        self.status, self.reason = "online", None
        return True

    def back(self) -> bool:
        """A sign of the edge alone: True when the camera was stale for want of one, and is online again."""
        return self.status == "stale" and self.reason in ("edge_silent", "link_lost") and self.became_online()

    def left(self, reason: str) -> bool:
        """The edge said goodbye: True when the camera was not offline before."""
        if self.status == "offline":
            return False
        self.status, self.reason = "offline", reason
        return True

    def check(self, now_us: int) -> bool:
        """Time has passed: True when the status fell."""
        if self.status == "offline":
            return False
        if self.paused and self.status == "online":
            self.status, self.reason = "stale", PAUSED
            return True
        silent_us = now_us - self.heard_us
        if silent_us >= self.offline_us:
            fallen: Status = "offline"
        elif silent_us >= self.stale_us and self.status == "online":
            fallen = "stale"
        else:
            return False
        self.status, self.reason = fallen, EDGE_SILENT if self.linked else LINK_LOST
        return True

    def deadline_us(self) -> int | None:
        """When `check` may next say True."""
        if self.status == "offline":
            return None
        return self.heard_us + (self.stale_us if self.status == "online" else self.offline_us)
