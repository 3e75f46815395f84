"""The order in which a hub sends its dashboards away: batches spread over a bounded time, so that their return is spread as well (pure)."""

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

from hub.protocol.disconnects import SHUTDOWN, Close

T = TypeVar("T")

STEP_S = 0.05  # between two batches
LEAST = 25  # dashboards of a batch: few of them leave at once
RETURN_S = 2.0  # within how many seconds after its close a client is asked to come back


def batches(items: Sequence[T], window_s: float) -> Iterator[Sequence[T]]:
    """`items` in batches that, one each :data:`STEP_S`, take `window_s` seconds at most."""
    steps = max(1, int(window_s / STEP_S))
    size = max(LEAST, math.ceil(len(items) / steps))
    for start in range(0, len(items), size):
        yield items[start : start + size]


def goodbye(share: float) -> Close:
    """3001 with the client's own delay in its reason; `share` in 0..1 is its place in :data:`RETURN_S`.

    Stock SDKs reconnect after 3001 with their own jittered back-off and show the reason; a client that reads it waits as long as it says.
    """
    return Close(SHUTDOWN.code, f"{SHUTDOWN.reason}; reconnect_after_ms={round(share * RETURN_S * 1000)}")
