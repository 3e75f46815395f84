"""What a hub remembers of cameras that were not registered for their number, so that who tries on
costs the database nothing and floods no log. The bounds themselves are kept by the database
(`storage.ports.registration_bounds`)."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from actors.core.errors import TooManyCameras
from storage.ports.registration_bounds import FULL_S

TOLD_S = 3_600.0  # between two records of one device and site in the audit log
MAX_KNOWN = (
    4_096  # devices and sites remembered; beyond that the one refused longest ago is forgotten
)


class Registrations:
    """`counts`: how many were refused, by reason."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        self._now = now
        self._known: OrderedDict[tuple[str, str], tuple[float, float, TooManyCameras]] = (
            OrderedDict()
        )  # refused at, told at, why

    def check(self, device: str, site: str) -> None:
        """Raises TooManyCameras where the database said so a moment ago."""
        known = self._known.get((device, site))
        if known is not None and (left_s := known[0] + FULL_S - self._now()) > 0:
            self.counts["remembered"] += 1
            raise TooManyCameras(known[2].detail, retry_after_s=max(1.0, left_s))

    def refused(self, device: str, site: str, error: TooManyCameras) -> bool:
        """The database said so: remember it. Whether it is to be told."""
        self.counts["asked"] += 1
        now = self._now()
        known = self._known.pop((device, site), None)
        tell = known is None or now - known[1] >= TOLD_S
        self._known[device, site] = (now, now if tell or known is None else known[1], error)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return tell
