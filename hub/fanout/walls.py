"""Walls: one message per tick with the summaries that changed, joined from ready bytes (pure;
design section 7).

What policy says of single cameras is whether they are there, how often, and what of them is hidden
(`hub.access.redaction.summary`).

Ticks are counted by the clock, not by messages: how many lie between two of them tells nothing of
cameras that are not shown.
"""

from collections.abc import Callable, Collection, Iterable

import msgspec

from hub.access.redaction import View
from hub.access.redaction import summary as shown_to
from hub.fanout.pacing import Pacing

_quote = msgspec.json.encode


class WallFeed:
    """One wall: a site, or the fleet when `site` is empty. `summary` gives the bytes to show of a
    camera. Times are monotonic seconds."""

    __slots__ = ("_began", "_changed", "_echoing", "_later", "_pacing", "_summary", "site", "tick")

    def __init__(
        self,
        site: str,
        summary: Callable[[str], bytes | None],
        pacing: Pacing,
        echoing: Collection[str] = (),
    ) -> None:
        """`echoing`: the cameras whose summaries may say what is to be hidden; it is looked at anew
        for every message."""
        self.site = site
        self.tick = 0  # milliseconds since the first one
        self._began: float | None = None
        self._later: dict[str, float] = {}
        self._pacing = pacing
        self._echoing = echoing
        self._changed: dict[str, None] = {}
        self._summary = summary

    def mark(self, camera: str) -> None:
        """This camera's summary changed."""
        self._changed[camera] = None

    def end_tick(self, now: float) -> list[str]:
        """End the tick: the cameras that changed in it, or whose newest summary a rate held back
        until now; none when there is nothing to say."""
        if self._later:
            for camera in [camera for camera, due in self._later.items() if now >= due]:
                del self._later[camera]
                self._changed[camera] = None
        changed = list(self._changed)
        if changed:
            self._changed = {}
            self.count(now)
        return changed

    def count(self, now: float) -> None:
        """What is shown from now on has a later tick."""
        if self._began is None:
            self._began = now
        self.tick = max(self.tick + 1, 1 + int((now - self._began) * 1_000))

    def message(
        self, cameras: Iterable[str], view: View, now: float, *, full: bool
    ) -> bytes | None:
        """The message with these cameras in it; None when none of them may be shown and it is not a
        full one."""
        exclude, summary = view.exclude, self._summary
        paced = view.limit_hz is not None or bool(view.rules)
        if paced:
            summary = self._paced(view, now)
        if (paced or self._echoing) and (view.redact or view.rules):
            summary = _hiding(summary, view)
        bodies = [
            body
            for camera in cameras
            if camera not in exclude and (body := summary(camera)) is not None
        ]
        if not bodies and not full:
            return None
        site = b'"site":%s,' % _quote(self.site) if self.site else b""
        return b'{%s"tick":%d,"full":%s,"cameras":[%s]}' % (
            site,
            self.tick,
            b"true" if full else b"false",
            b",".join(bodies),
        )

    def _paced(self, view: View, now: float) -> Callable[[str], bytes | None]:
        def summary(camera: str) -> bytes | None:
            newest, limit = self._summary(camera), view.limit_of(camera)
            if newest is None or limit is None:
                return newest
            shown: bytes = self._pacing.shown(("summary", camera), limit, newest, now)
            due = self._pacing.again(("summary", camera), limit, newest)
            if due is not None:
                self._later[camera] = min(due, self._later.get(camera, due))
            return shown

        return summary


def _hiding(summary: Callable[[str], bytes | None], view: View) -> Callable[[str], bytes | None]:
    def hiding(camera: str) -> bytes | None:
        body = summary(camera)
        return None if body is None else shown_to(body, view.redact_of(camera))

    return hiding
