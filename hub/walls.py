"""Walls: one message per tick with the summaries that changed, joined from ready bytes (pure; design section 7)."""

from collections.abc import Callable, Iterable

import msgspec

_quote = msgspec.json.encode


class Wall:
    """One wall: a site, or the fleet when `site` is empty. `summary` gives the bytes to show of a camera."""

    __slots__ = ("_changed", "_summary", "site", "tick")

    def __init__(self, site: str, summary: Callable[[str], bytes | None]) -> None:
        self.site = site
        self.tick = 0
        self._changed: dict[str, None] = {}
        self._summary = summary

    def mark(self, camera: str) -> None:
        """This camera's summary changed."""
        self._changed[camera] = None

    def take(self) -> list[str]:
        """End the tick: the cameras that changed in it, none when there is nothing to say."""
        changed = list(self._changed)
        if changed:
            self._changed = {}
            self.tick += 1
        return changed

    def message(self, cameras: Iterable[str], *, full: bool, exclude: frozenset[str] = frozenset()) -> bytes | None:
        """The message with these cameras in it; None when none of them may be shown and it is not a full one."""
        bodies = [body for camera in cameras if camera not in exclude and (body := self._summary(camera)) is not None]
        if not bodies and not full:
            return None
        site = b'"site":%s,' % _quote(self.site) if self.site else b""
        return b'{%s"tick":%d,"full":%s,"cameras":[%s]}' % (site, self.tick, b"true" if full else b"false", b",".join(bodies))
