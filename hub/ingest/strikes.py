"""How often in a row a camera's frames could not be used, remembered over reconnections: a few
times may be the link, always is the device.

Pure. A camera whose data goes on is forgiven at once; without news it is forgiven after `FORGET_S`.
"""

LIMIT = 5  # unusable frames in a row after which the camera's stream ends for good
FORGET_S = 600.0
MAX_KNOWN = 4_096  # cameras remembered; the oldest is forgotten first


class Strikes:
    """The count of each (camera, session). `now` is a monotonic clock in seconds."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[int, float]] = {}

    def count(self, camera: str, session: str, now: float) -> bool:
        """One more: True when it was one too many."""
        hits = self._hits(camera, session, now) + 1
        self._known.pop((camera, session), None)
        self._known[camera, session] = (hits, now)
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return hits >= LIMIT

    def out(self, camera: str, session: str, now: float) -> bool:
        """Whether this session of the camera has used them up."""
        return self._hits(camera, session, now) >= LIMIT

    def forgive(self, camera: str, session: str) -> None:
        """Its data goes on."""
        if self._known:
            self._known.pop((camera, session), None)

    def _hits(self, camera: str, session: str, now: float) -> int:
        hits, since = self._known.get((camera, session), (0, now))
        return hits if now - since <= FORGET_S else 0
