"""Zones: where an object is inside, with hysteresis in frames and in milliseconds on both sides.

An object is inside a zone after `enter_frames` consecutive frames *and* `enter_ms` of capture time
inside, and outside after `exit_frames` consecutive frames *and* `exit_ms` outside. Consecutive is
meant: one frame that disagrees starts the count anew (Frigate's is cumulative, video reference 2.1,
finding 1).
"""

import msgspec

from actors.core.boxes import Box
from actors.core.scene.geometry import Polygon
from actors.core.scene.scene import Zone

ENTERED, EXITED = 1, -1


class Stay(msgspec.Struct, array_like=True):
    """One object and one zone. No stay at all is: outside, and seen outside in the last frame.
    Times are stream time (µs).

    `against` counts the consecutive frames that contradict `inside`, the first of them at
    `since_us`.
    """

    inside: bool = False
    against: int = 0
    since_us: int = 0
    entered_us: int = 0
    loitering: bool = False


class CompiledZone:
    """A zone ready for the hot path."""

    __slots__ = (
        "anchor",
        "digest",
        "enter_frames",
        "enter_us",
        "exit_frames",
        "exit_us",
        "id",
        "labels",
        "loitering_us",
        "polygon",
    )

    def __init__(self, zone_id: str, zone: Zone, digest: str) -> None:
        self.id = zone_id
        self.digest = digest
        self.polygon = Polygon(zone.points)
        self.anchor = zone.anchor
        self.labels = frozenset(zone.labels) if zone.labels is not None else None
        self.enter_frames = zone.enter_frames
        self.enter_us = zone.enter_ms * 1000
        self.exit_frames = zone.exit_frames
        self.exit_us = zone.exit_ms * 1000
        self.loitering_us = (
            round(zone.loitering_s * 1_000_000) if zone.loitering_s is not None else None
        )

    def locate(self, box: Box) -> tuple[bool, float]:
        """(inside, clearance): no box whose sides all lie within `clearance` of these gives another
        answer."""
        x1, y1, x2, y2 = box
        if self.anchor == "bottom_center":
            return self.polygon.locate((x1 + x2) * 0.5, y2)
        if self.anchor == "center":
            return self.polygon.locate((x1 + x2) * 0.5, (y1 + y2) * 0.5)
        corners = [self.polygon.locate(x, y) for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))]
        test = any if self.anchor == "any_corner" else all
        return test(inside for inside, _ in corners), min(clearance for _, clearance in corners)


def advance(stay: Stay, zone: CompiledZone, inside: bool, now_us: int, *, confirmed: bool) -> int:
    """One more frame: `ENTERED`, `EXITED` or 0. Only a confirmed track enters. A transition is
    dated by its first frame."""
    if inside == stay.inside:
        stay.against = 0
        return 0
    if stay.against == 0:
        stay.since_us = now_us
    stay.against += 1
    passed = now_us - stay.since_us
    if inside:
        if confirmed and stay.against >= zone.enter_frames and passed >= zone.enter_us:
            stay.inside, stay.against, stay.entered_us = True, 0, stay.since_us
            return ENTERED
    elif stay.against >= zone.exit_frames and passed >= zone.exit_us:
        stay.inside, stay.against = False, 0
        return EXITED
    return 0


def occupy(here: dict[str, int], label: str, more: int) -> None:
    """So many more (or fewer) objects of a label in a zone that holds `here`; a label without
    objects is left out."""
    here[label] = here.get(label, 0) + more
    if not here[label]:
        del here[label]
