"""The one rule for boxes, at every entrance: ``(x1, y1, x2, y2)``, 0..1 of the picture, origin top
left, and what may stick out of it.

A box that leaves the picture is kept as it is: zones and lines test its true anchor, and only what
is shown is clipped. A box that shows nothing of the picture is left out. Both are counted, and
neither costs its neighbours.
"""

from math import isfinite
from typing import Final

Box = tuple[float, float, float, float]

REACH = (
    10.0  # picture sizes that a side may lie outside; beyond it a box is in another unit (pixels)
)

CLIPPED: Final = "clipped"
BOX_OUTSIDE: Final = "box_outside"
BOX_WITHOUT_AREA: Final = "box_without_area"
BOX_NOT_FINITE: Final = "box_not_finite"


def fault(box: Box) -> str | None:
    """None for a box within the picture, `CLIPPED` for one that leaves it, else why it is left
    out."""
    x1, y1, x2, y2 = box
    if 0.0 <= x1 < x2 <= 1.0 and 0.0 <= y1 < y2 <= 1.0:
        return None
    if not all(map(isfinite, box)):
        return BOX_NOT_FINITE
    if not (x1 < x2 and y1 < y2):
        return BOX_WITHOUT_AREA
    if (
        x2 <= 0.0
        or y2 <= 0.0
        or x1 >= 1.0
        or y1 >= 1.0
        or min(box) < -REACH
        or max(box) > 1.0 + REACH
    ):
        return BOX_OUTSIDE
    return CLIPPED


def shown(box: Box) -> Box:
    """The part of a kept box that lies inside the picture."""
    x1, y1, x2, y2 = box
    return (max(x1, 0.0), max(y1, 0.0), min(x2, 1.0), min(y2, 1.0))
