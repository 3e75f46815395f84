"""What a shell may hand to a camera core besides deliveries, and what the core asks back."""

import msgspec

from actors.core.messages.deliveries import Answer, Item
from actors.core.scene.scene import Scene


class Configure(msgspec.Struct, frozen=True):
    """A changed scene from the registry: applied after the last applied observation and recorded as
    `camera.scene_changed`."""

    scene: Scene
    version: int


class ResetCounts(msgspec.Struct, frozen=True):
    """Lines (None: all) count from zero after the last applied observation, recorded as
    `camera.counts_reset`. `reason` is for people."""

    lines: list[str] | None = None
    reason: str | None = None

    def merged(self, later: "ResetCounts") -> "ResetCounts":
        """Both at once."""
        lines = (
            None
            if self.lines is None or later.lines is None
            else [*dict.fromkeys([*self.lines, *later.lines])]
        )
        return ResetCounts(lines, later.reason or self.reason)


class ClearAlert(msgspec.Struct, frozen=True):
    """A person says that the alert of a rule at a place is over; recorded as `alert.cleared`."""

    rule: str
    place: str = ""


class Tick(msgspec.Struct, frozen=True):
    """Time has passed: due at `next_deadline_us`."""


Input = Item | Configure | ResetCounts | ClearAlert | Tick  # of a step


class Effects(msgspec.Struct):
    """What a step asks of the shell (see the module's docstring)."""

    answers: list[Answer] = []
    opens: str | None = None
    urgent: bool = False
    live_changed: bool = False
