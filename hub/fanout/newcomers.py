"""Which cameras policy has been asked about for everybody who watches walls and events of sites on
this hub (pure).

What came to the registry a moment ago may be hidden from some of them, and unknown means hidden:
until their views are made anew, walls leave it out and events of its site wait in Redis
(`hub.fanout.feed`). Who comes meanwhile does not wait: it starts where the site's events stand.
What the registry does not know belongs to no site and is shown on none; it is waited for once, and
not at all beyond `MAX_STRANGERS`.
"""

from collections.abc import Iterable

# ids remembered for a site, that were looked for in vain; beyond it nobody waits for one more
MAX_STRANGERS = 10_000


class Newcomers:
    """Site → cameras. `_waiting`: those that a site waits for, and the epoch and offset after which
    its events go on."""

    def __init__(self) -> None:
        self._known: dict[str, set[str]] = {}
        self._waiting: dict[str, tuple[set[str], str, int]] = {}
        self._strangers: dict[str, set[str]] = {}

    def begin(self, site: str, cameras: Iterable[str]) -> None:
        """The first who watches a site was asked about these."""
        if site not in self._known:
            self._known[site] = set(cameras)

    def shown(self, site: str, camera: str) -> bool:
        """Whether walls and events of the site may tell of the camera."""
        return camera in self._known.get(site, ())

    def waits(self, site: str, cameras: Iterable[str], epoch: str, offset: int) -> bool:
        """Whether events of a site must wait, because of one of `cameras` or since before. They go
        on after `offset` of `epoch`."""
        known, strangers = self._known.get(site, set()), self._strangers.get(site, set())
        full = len(strangers) >= MAX_STRANGERS
        new = (
            set[str]()
            if full
            else {camera for camera in cameras if camera not in known and camera not in strangers}
        )
        if new or site in self._waiting:
            self._waiting.setdefault(site, (set(), epoch, offset))[0].update(new)
        return site in self._waiting

    def waiting(self) -> list[str]:
        """The sites whose events wait."""
        return list(self._waiting)

    def place(self, site: str) -> tuple[str, int] | None:
        """The epoch and offset after which the site's events go on, None when they do not wait."""
        waiting = self._waiting.get(site)
        return None if waiting is None else waiting[1:]

    def admit(self, site: str, cameras: Iterable[str]) -> tuple[list[str], tuple[str, int] | None]:
        """Everybody's views are made of these: the new ones among them, and the place where waiting
        events go on."""
        known = self._known.setdefault(site, set())
        new = sorted(set(cameras) - known)
        known.update(new)
        strangers = self._strangers.get(site)
        if strangers:
            strangers.difference_update(new)
        for_whom, epoch, offset = self._waiting.pop(site, (set[str](), "", 0))
        if for_whom - known:
            strangers = self._strangers.setdefault(site, set())
            strangers.update(sorted(for_whom - known)[: MAX_STRANGERS - len(strangers)])
        return new, (epoch, offset) if for_whom else None

    def forget(self, site: str) -> None:
        """Nobody watches this site any more."""
        self._known.pop(site, None)
        self._waiting.pop(site, None)
        self._strangers.pop(site, None)
