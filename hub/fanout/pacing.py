"""Rates that policy sets for a camera: what is seen of it under one is a single signal, by whatever
way it is looked at (pure).

A push, the reply to a subscribe, a wall and a read by REST show the same sample until its time is
over, so asking again, or by several ways, tells no more than the rate allows. Each hub keeps its
own samples.
"""

from collections import OrderedDict
from typing import Any

# there are as many as (cameras, rates of the policy); beyond it the oldest is forgotten
MAX_SAMPLES = 100_000

Key = tuple[str, str]  # what of it (state or summary), camera


class Pacing:
    """Samples by (what, camera, rate). `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._samples: OrderedDict[tuple[Key, float], tuple[float, Any]] = OrderedDict()

    def shown(self, key: Key, hz: float | None, newest: Any, now: float) -> Any:
        """`newest`, or what was shown last where that is less than 1 / `hz` seconds ago."""
        if hz is None:
            return newest
        held = self._samples.get((key, hz))
        if held is not None and now - held[0] < 1.0 / hz:
            return held[1]
        self._samples[key, hz] = (now, newest)
        self._samples.move_to_end((key, hz))
        if len(self._samples) > MAX_SAMPLES:
            self._samples.popitem(last=False)
        return newest

    def again(self, key: Key, hz: float | None, newest: Any) -> float | None:
        """When `newest` may be shown, None where it is what is shown."""
        held = None if hz is None else self._samples.get((key, hz))
        if hz is None or held is None or held[1] == newest:
            return None
        return held[0] + 1.0 / hz
