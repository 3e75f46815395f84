"""Which cameras get a process of their own for their cost, and which are packed again: pure, with
hysteresis.

One Python process has one core's worth of steps. A camera that takes a good part of it delays its
neighbours; one that became quiet is packed again only when it is clearly below that, and not before
it was alone for a while, so that a camera near the bound does not move to and fro. Few of them
change at a time, the dearest first.
"""

from collections.abc import Sequence

import msgspec

SPLIT_AT = 0.25  # share of a core from which a camera is split out
PACK_AT = 0.1  # share below which it is packed again
ALONE_S = 300.0  # seconds it stays alone at least
PER_ROUND = 2  # cameras that change at a time


class CameraCost(msgspec.Struct, frozen=True):
    """A camera's share of a core, the density that it would have otherwise, and since when
    (monotonic) it is split out; None: it is not."""

    camera: str
    cpu: float
    density: int
    alone_since: float | None = None


def repack(costs: Sequence[CameraCost], now: float) -> list[tuple[str, bool, str]]:
    """(camera, whether it is to be alone, why) of those that change now."""
    dear = sorted(
        (c for c in costs if c.alone_since is None and c.density > 1 and c.cpu >= SPLIT_AT),
        key=lambda c: (-c.cpu, c.camera),
    )
    quiet = sorted(
        (
            c
            for c in costs
            if c.alone_since is not None and c.cpu < PACK_AT and now - c.alone_since >= ALONE_S
        ),
        key=lambda c: (c.cpu, c.camera),
    )
    changes = [
        (c.camera, True, f"it takes {c.cpu:.0%} of a core, from {SPLIT_AT:.0%} it is alone")
        for c in dear
    ]
    changes += [
        (c.camera, False, f"it takes {c.cpu:.0%} of a core, below {PACK_AT:.0%} it is packed")
        for c in quiet
    ]
    return changes[:PER_ROUND]
