"""Frigate's review items as alarms (pure): one when an item begins, one when a detection becomes an
alert, one when it ends; each once."""

from actors.core.messages.observations import Alarm, Observation
from actors.core.times import from_us
from edge.adapters.readings import RefusedInput
from edge.sources.frigate.messages import Review, ReviewItem, us_of
from edge.sources.receipts import Given, Memory

KEPT = 1_024  # items that are still known
SEVERITIES = {"alert": "warning", "detection": "notice"}
ENDED = "end"


class ReviewLog:
    """What was said of each item: its severity, or that it ended."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._said = memory.under("review/", str)

    def alarm(self, review: Review) -> Given | str:
        """The alarm of a message, or why it gives none. Raises :class:`RefusedInput`."""
        item = review.after
        if item.severity not in SEVERITIES or review.type not in ("new", "update", "end"):
            raise RefusedInput(
                "unknown_type", f"a review {review.type[:40]!r} of severity {item.severity[:40]!r}"
            )
        before = self._said.get(item.id)
        now = ENDED if review.type == "end" else item.severity
        if before in (now, ENDED) or (before == "alert" and now == "detection"):
            return "duplicate" if before == now else "late"
        moment = item.end_time if now == ENDED and item.end_time is not None else item.start_time
        time = from_us(us_of(moment))
        self._keep(item.id, now)
        kind = "ended" if now == ENDED else "started" if before is None else "raised"
        return Given(item.camera, Observation(time, alarm=_alarm(kind, item)))

    def _keep(self, key: str, said: str) -> None:
        self._said[key] = said
        self._memory.keep(f"review/{key}", said)
        while len(self._said) > KEPT:
            oldest = next(iter(self._said))
            del self._said[oldest]
            self._memory.forget(f"review/{oldest}")


def _alarm(kind: str, item: ReviewItem) -> Alarm:
    about = item.data
    return Alarm(
        f"review.{kind}",
        "info" if kind == "ended" else SEVERITIES[item.severity],
        label=_first(about.objects),
        track=_first(about.detections),
        data={
            "review": item.id,
            "review_severity": item.severity,
            "labels": about.objects[:16],
            "tracks": about.detections[:64],
            "source_zones": about.zones[:16],
            "audio": about.audio[:16],
        },
    )


def _first(names: list[str]) -> str | None:
    """The first that is a label."""
    return next((name for name in names if 0 < len(name) <= 64 and name.isprintable()), None)
