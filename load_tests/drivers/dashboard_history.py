"""What one dashboard of a run is shown, as its history has it: events by camera, states as far as
they change, and words of loss.

One parsed message serves all dashboards that were given the same bytes.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import msgspec

from load_tests.harness.recording import Recorder

EVERY_S = 2.0  # seconds by which a state's time must differ to be noted for that alone


class ShownSummary(msgspec.Struct, frozen=True):
    """What counts of a summary on a wall."""

    camera: str
    generation: int = 0
    offset: int = 0
    status: str = ""
    received: str | None = None
    reason: str | None = None


class ShownFact(msgspec.Struct, frozen=True):
    """What counts of an event."""

    camera: str
    epoch: str
    offset: int
    type: str
    time: str


class _Wall(msgspec.Struct, frozen=True):
    cameras: list[ShownSummary] = []


class WallPub(msgspec.Struct, frozen=True):
    """A publication of a wall."""

    data: _Wall


class _FactPub(msgspec.Struct, frozen=True):
    data: ShownFact
    offset: int = 0


class _WallPush(msgspec.Struct, frozen=True):
    pub: WallPub | None = None


class _FactPush(msgspec.Struct, frozen=True):
    pub: _FactPub | None = None


class _WallLine(msgspec.Struct, frozen=True):
    push: _WallPush


class _FactLine(msgspec.Struct, frozen=True):
    push: _FactPush


_wall = msgspec.json.Decoder(_WallLine)
_fact = msgspec.json.Decoder(_FactLine)


@lru_cache(maxsize=32)
def summaries(line: bytes) -> Sequence[ShownSummary]:
    """The summaries of a wall's push; none for another push."""
    pub = _wall.decode(line).push.pub
    return () if pub is None else pub.data.cameras


@lru_cache(maxsize=64)
def fact(line: bytes) -> ShownFact | None:
    """The event of a push, if it is one."""
    pub = _fact.decode(line).push.pub
    return None if pub is None else pub.data


class DashboardHistory:
    """The history of one dashboard, `by` name."""

    def __init__(self, by: str, recorder: Recorder) -> None:
        self._by = by
        self._recorder = recorder
        self._states: dict[str, ShownSummary] = {}
        self._noted: dict[str, float] = {}  # camera → when what was noted last was received
        self._events: set[str] = set()

    def event(self, event: ShownFact) -> None:
        """It was shown."""
        if event.camera not in self._events:
            self._events.add(event.camera)
            self._recorder.note(
                "ok",
                "watch",
                camera=event.camera,
                by=self._by,
                epoch=event.epoch,
                offset=event.offset - 1,
            )
        self._recorder.note(
            "ok",
            "event",
            camera=event.camera,
            by=self._by,
            epoch=event.epoch,
            offset=event.offset,
            type=event.type,
            time=event.time,
        )

    def told_gap(self) -> None:
        """The hub said that the events since the last one are not to be had here: of every camera
        the next one is another beginning."""
        for camera in self._events:
            self._recorder.note("ok", "told-gap", camera=camera, by=self._by, last=-1)
        self._events.clear()

    def states(self, shown: Sequence[ShownSummary]) -> None:
        """Summaries on the wall; those are left out in which nothing changed that the checker looks
        at and whose time differs by less than `EVERY_S`."""
        for one in shown:
            old = self._states.get(one.camera)
            if (
                old is None
                or _changed(old, one)
                or abs(received_s(one) - self._noted[one.camera]) >= EVERY_S  # clocks go back too
            ):
                self._noted[one.camera] = received_s(one)
                self._note(one, one.status)
            self._states[one.camera] = one

    def lost(self) -> None:
        """It does not look any more: the connection is gone, which every dashboard shows to its
        user, or nobody reads. What comes next is a session of its own."""
        for one in self._states.values():
            self._note(one, "disconnected")
        self._states.clear()

    def end(self) -> None:
        """Until now the last states stood."""
        for one in self._states.values():
            self._note(one, one.status)

    def _note(self, one: ShownSummary, status: str) -> None:
        self._recorder.note(
            "ok",
            "state",
            camera=one.camera,
            by=self._by,
            generation=one.generation,
            offset=one.offset,
            status=status,
            received_s=received_s(one),
            reason=one.reason or "",
        )


def received_s(one: ShownSummary) -> float:
    """When the newest observation in it was received, in seconds of the wall clock; 0 where there
    was none."""
    return datetime.fromisoformat(one.received).timestamp() if one.received else 0.0


def _changed(old: ShownSummary, one: ShownSummary) -> bool:
    return (old.generation, old.offset, old.status, old.reason) != (
        one.generation,
        one.offset,
        one.status,
        one.reason,
    )
