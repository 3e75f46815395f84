"""Frigate over MQTT as observations (pure).

Frigate tells what changed about one object; a frame of a camera is all that Frigate holds open on
it, with the boxes it told last. So an object stays while Frigate keeps it, and is gone from the
first frame after its ``end``. What Frigate does not tell is not made up: there is no frame rate,
and an object whose ``end`` was lost goes when nothing was heard of it for 130 s of Frigate's clock
(which repeats standing ones every 60 s), or when the count of its label is zero.

Object ids are Frigate's own, so a restart of the broker or of this program changes no track. A
receipt that comes again (same id, not newer, nothing else in it) gives nothing. A camera's capture
times never go back, but when Frigate's clock was set: `AWAY_RUN` receipts in a row, none of them
sent again, that are `AWAY_US` behind.
"""

from collections import Counter
from typing import Any, TypeVar

import msgspec

from actors.core.messages.object_faults import Faults, mended
from actors.core.messages.observations import MAX_OBJECTS, Object, Observation
from actors.core.times import from_us
from edge.adapters.readings import RefusedInput, label
from edge.sources.frigate.messages import (
    METRES_PER_SECOND,
    FrigateConfig,
    Review,
    Tracked,
    TrackedEvent,
    Update,
    learned,
    seen_object,
    us_of,
)
from edge.sources.frigate.objects import CameraMemory, HeldObjects, OpenObject
from edge.sources.frigate.reviews import ReviewLog
from edge.sources.receipts import Given, Memory, Outcome, Presence, Receipt

AWAY_US = 10_000_000
AWAY_RUN = 3
AVAILABLE, STATUS = "available", "status/detect"

_events = msgspec.json.Decoder(TrackedEvent)
_reviews = msgspec.json.Decoder(Review)
_updates = msgspec.json.Decoder(Update)
M = TypeVar("M")


class FrigateOptions(msgspec.Struct, frozen=True):
    """`prefix`: Frigate's `mqtt.topic_prefix`. `frame_size` (pixels) for cameras that the
    configuration does not name. `settle_s`: so long after the last change of its objects a camera's
    frame is said once more, so that what ended is let go (more than the scene's `lost_after_s`); 0:
    never."""

    prefix: str = "frigate"
    frame_size: tuple[int, int] | None = None
    settle_s: float = 6.0


class FrigateMapping:
    """One Frigate. `CANNOT_TELL`: what it does not say and nobody guesses."""

    CANNOT_TELL: tuple[str, ...] = (
        "frame rate: Frigate tells of changes, not of frames",
        "leaving, where an end was lost: such an object goes 130 s later, or with a count of zero",
    )

    def __init__(self, options: FrigateOptions, memory: Memory) -> None:
        self.options = options
        self.counts: Counter[str] = Counter()
        self._memory = memory
        self._held = HeldObjects(memory)
        self._reviews = ReviewLog(memory)
        self._config = memory.read("config", FrigateConfig) or FrigateConfig()

    @property
    def topics(self) -> list[str]:
        """What to subscribe to."""
        names = ("events", "reviews", "tracked_object_update", AVAILABLE, f"+/{STATUS}", "+/+")
        return [f"{self.options.prefix}/{name}" for name in names]

    @property
    def cameras(self) -> list[str]:
        """All that are known, configured or heard of."""
        return sorted({*self._config.cameras, *self._held.cameras})

    @property
    def is_configured(self) -> bool:
        """Whether a configuration is known, also from before a restart."""
        return bool(self._config.cameras)

    def configured(self, config: FrigateConfig) -> None:
        """Frigate's configuration, again whenever it may have changed."""
        if config != self._config:
            self._config = config
            self._memory.keep("config", config)

    def size(self, camera: str) -> tuple[int, int] | None:
        """The detect stream of a camera in pixels, where it is known."""
        known = self._config.cameras.get(camera)
        if known is not None and known.detect.width and known.detect.height:
            return known.detect.width, known.detect.height
        return self.options.frame_size

    def present(self) -> list[Outcome]:
        """Which cameras Frigate sees, as far as it told; nothing before it did."""
        if AVAILABLE not in self._memory.kept:
            return []
        return [self._presence(name) for name in self.cameras]

    def receive(self, receipt: Receipt) -> list[Outcome]:
        """What one message tells. Raises :class:`RefusedInput`."""
        before, _, name = receipt.topic.partition(self.options.prefix + "/")
        if before or not name:
            raise RefusedInput("unknown_topic", receipt.topic[:80])
        if name == AVAILABLE:
            return self._available(receipt)
        if name.endswith("/" + STATUS):
            return self._status(name.removesuffix("/" + STATUS), receipt)
        if receipt.retained:  # left over: Frigate retains no events
            return self._nothing("retained")
        match name:
            case "events":
                return self._event(_decode(_events, receipt), receipt)
            case "reviews":
                return self._review(_decode(_reviews, receipt))
            case "tracked_object_update":
                return self._update(_decode(_updates, receipt), receipt.received_us)
        return self._count(name, receipt)

    def due(self, now_us: int) -> list[Outcome]:
        """Frames that are said once more."""
        said: list[Outcome] = []
        for name, camera in self._held.cameras.items():
            if camera.settle is not None and camera.settle[0] <= now_us:
                capture_us = max(camera.settle[1], camera.newest_us)
                camera.settle = None
                said.append(self._frame(name, camera, capture_us))
        return said

    def due_us(self) -> int | None:
        """When the next of them is due."""
        cameras = self._held.cameras.values()
        return min((camera.settle[0] for camera in cameras if camera.settle), default=None)

    # topics

    def _event(self, event: TrackedEvent, receipt: Receipt) -> list[Outcome]:
        tracked = event.after
        if event.type not in ("new", "update", "end"):
            raise RefusedInput("unknown_type", f"an event of type {event.type[:40]!r}")
        name = tracked.camera
        label(tracked.id, "id")
        camera = self._held.camera(name)
        if self._held.has_ended(name, tracked.id):
            return self._nothing("duplicate" if event.type == "end" else "late")
        known = self._held.here(name).get(tracked.id)
        if event.type == "end":
            return self._end(name, camera, tracked, known, receipt.received_us)
        if tracked.false_positive:
            return self._nothing("false_positive")
        return self._seen(name, camera, tracked, known, receipt)

    def _seen(
        self,
        name: str,
        camera: CameraMemory,
        tracked: Tracked,
        known: OpenObject | None,
        receipt: Receipt,
    ) -> list[Outcome]:
        size = self.size(name)
        if size is None:
            raise RefusedInput("no_frame_size", f"the detect size of camera {name[:64]!r}")
        faults: Faults = {}
        seen = seen_object(tracked, size, METRES_PER_SECOND.get(self._config.ui.unit_system))
        if known is not None:
            seen = _with(seen, known.sub_label, known.learned)
        seen = mended(seen, faults)
        frame_us = us_of(tracked.frame_time)
        if not self._is_in_order(name, camera, frame_us, known, again=receipt.again):
            return self._nothing("late")
        if known is not None and frame_us == known.frame_us and seen == known.seen:
            return self._nothing("duplicate")
        if known is None and len(self._held.here(name)) >= MAX_OBJECTS:
            raise RefusedInput("too_many", f"camera {name[:64]!r} has {MAX_OBJECTS} open objects")
        found = known or OpenObject(name, frame_us, seen)
        found.frame_us, found.seen = frame_us, seen
        self._held.hold(tracked.id, found)
        said: list[Outcome] = []
        for other, count in self._held.forget(frame_us).items():
            self.counts["forgotten_objects"] += count
            if other != name:
                said.append(self._frame(other, self._held.camera(other), frame_us))
        return [*said, self._changed(name, camera, frame_us, receipt.received_us, faults)]

    def _is_in_order(
        self,
        name: str,
        camera: CameraMemory,
        frame_us: int,
        known: OpenObject | None,
        *,
        again: bool,
    ) -> bool:
        """Whether this is not older than what was said. What comes again is no clock that was
        set."""
        if frame_us < camera.newest_us - AWAY_US:
            if again:
                return False
            camera.away += 1
            self._memory.keep(f"camera/{name}", camera)
            if camera.away < AWAY_RUN:
                return False
            camera.newest_us = frame_us  # its clock was set
            for key, other in self._held.here(name).items():
                other.frame_us = min(other.frame_us, frame_us - 1)
                self._held.hold(key, other)
        camera.away = 0
        return known is None or frame_us >= known.frame_us

    def _end(
        self,
        name: str,
        camera: CameraMemory,
        tracked: Tracked,
        known: OpenObject | None,
        received_us: int,
    ) -> list[Outcome]:
        ended = tracked.end_time if tracked.end_time is not None else tracked.frame_time
        end_us = us_of(ended)
        self._held.end(name, tracked.id)
        if known is None:
            return self._nothing("never_open")
        if end_us > camera.newest_us + AWAY_US and end_us > received_us:
            end_us = known.frame_us  # a time to come ends nothing
        return [self._changed(name, camera, max(end_us, known.frame_us), received_us)]

    def _update(self, update: Update, received_us: int) -> list[Outcome]:
        sub_label, attributes = learned(update)
        found = self._held.anywhere(update.id)
        if found is None:
            return self._nothing("unknown_object")
        more = {**found.learned, **attributes}
        if sub_label in (None, found.sub_label) and more == found.learned:
            return self._nothing("duplicate")
        found.sub_label = sub_label or found.sub_label
        found.learned = more
        faults: Faults = {}
        found.seen = mended(_with(found.seen, found.sub_label, more), faults)
        self._held.hold(update.id, found)
        camera = self._held.camera(found.camera)
        return [self._changed(found.camera, camera, camera.newest_us, received_us, faults)]

    def _review(self, review: Review) -> list[Outcome]:
        label(review.after.id, "id")
        self._held.camera(review.after.camera)
        alarm = self._reviews.alarm(review)
        return [alarm] if isinstance(alarm, Given) else self._nothing(alarm)

    def _available(self, receipt: Receipt) -> list[Outcome]:
        word = _word(receipt, "online", "offline", "stopped")
        if self._memory.kept.get(AVAILABLE) == word:
            return self._nothing("duplicate")
        self._memory.keep(AVAILABLE, word)
        said: list[Outcome] = []
        if word == "online":
            self._held.began()
        elif word == "stopped":  # it ended cleanly: its ids do not come again
            for name, camera in self._held.cameras.items():
                if here := list(self._held.here(name)):
                    for key in here:
                        self._held.end(name, key)
                    said.append(self._changed(name, camera, camera.newest_us, receipt.received_us))
        return [*said, *self.present()]

    def _status(self, name: str, receipt: Receipt) -> list[Outcome]:
        word = _word(receipt, "online", "offline", "disabled")
        if self._memory.kept.get(f"status/{name}", "online") == word:
            return self._nothing("duplicate")
        self._held.camera(name)
        self._memory.keep(f"status/{name}", word)
        return [self._presence(name)]

    def _count(self, name: str, receipt: Receipt) -> list[Outcome]:
        """A count of zero: what is open under that label was let go without an ``end``."""
        camera_name, _, counted = name.partition("/")
        here = self._held.here(camera_name)
        if receipt.payload.strip() != b"0":
            return self._nothing("not_read")
        gone = [key for key, found in here.items() if counted in ("all", found.seen.label)]
        if not gone:
            return self._nothing("not_read")
        for key in gone:
            self._held.drop(camera_name, key)
        camera = self._held.camera(camera_name)
        return [self._changed(camera_name, camera, camera.newest_us, receipt.received_us)]

    # what is said

    def _presence(self, name: str) -> Presence:
        available = self._memory.kept.get(AVAILABLE, "online")
        detect = self._memory.kept.get(f"status/{name}", "online")
        if available != "online":
            return Presence(name, f"source_{available}")
        return Presence(name, None if detect == "online" else f"detect_{detect}")

    def _changed(
        self,
        name: str,
        camera: CameraMemory,
        at_us: int,
        received_us: int,
        faults: Faults | None = None,
    ) -> Given:
        """The frame now; it is said once more when it has settled."""
        settle_us = round(self.options.settle_s * 1_000_000)
        newest_us = max(camera.newest_us, at_us)
        camera.settle = (received_us + settle_us, newest_us + settle_us) if settle_us else None
        return self._frame(name, camera, at_us, faults)

    def _frame(
        self, name: str, camera: CameraMemory, at_us: int, faults: Faults | None = None
    ) -> Given:
        camera.newest_us = max(camera.newest_us, at_us)
        self._memory.keep(f"camera/{name}", camera)
        objects = [found.seen for found in self._held.here(name).values()]
        return Given(name, Observation(from_us(camera.newest_us), objects, faults=faults or None))

    def _nothing(self, reason: str) -> list[Outcome]:
        self.counts[reason] += 1
        return []


def _decode(decoder: msgspec.json.Decoder[M], receipt: Receipt) -> M:
    try:
        return decoder.decode(receipt.payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedInput("malformed", f"{receipt.topic[-40:]}: {error}"[:200]) from error


def _word(receipt: Receipt, *known: str) -> str:
    word = receipt.payload[:16].decode("utf-8", "replace").strip()
    if word not in known:
        raise RefusedInput("malformed", f"{receipt.topic[-40:]} is {word!r}")
    return word


def _with(seen: Object, sub_label: str | None, more: dict[str, Any]) -> Object:
    """`seen` with what was learned of it; what the event itself says is newer."""
    if sub_label is None and not more:
        return seen
    return msgspec.structs.replace(
        seen,
        sub_label=seen.sub_label or sub_label,
        attributes={**more, **(seen.attributes or {})} or None,
    )
