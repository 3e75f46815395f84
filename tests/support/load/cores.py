"""A camera core with the smallest shell that is right: a row in memory that commits like the store
does."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from actors.core.camera import core
from actors.core.camera.core import CameraCore, Effects, Input, Tick
from actors.core.messages.commits import Activation, CommitRow, Position
from actors.core.messages.deliveries import (
    Acked,
    Alive,
    Answer,
    Attach,
    Data,
    DeclareGap,
    Detach,
    Welcomed,
)
from actors.core.messages.event_data import shape_of
from actors.core.messages.events import CHAIN_START, StoredEvent
from actors.core.messages.observations import Alarm, Object, Observation
from actors.core.scene.scene import Scene
from actors.core.settings import CameraSettings
from actors.core.times import EPOCH

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
START_US = (START - EPOCH) // timedelta(microseconds=1)
CAMERA = "cam-1"


def at(seconds: float) -> datetime:
    """The capture time `seconds` after the start."""
    return START + timedelta(seconds=seconds)


def at_us(seconds: float) -> int:
    """Our clock `seconds` after the start, in microseconds."""
    return START_US + round(seconds * 1_000_000)


def person(
    key: str | None,
    x: float,
    y: float,
    *,
    label: str = "person",
    size: float = 0.04,
    score: float = 0.9,
) -> Object:
    """An object whose bottom centre is (x, y)."""
    return Object(label, (x - size / 2, y - 2 * size, x + size / 2, y), score, key)


def frame(seconds: float, *objects: Object, alarm: Alarm | None = None) -> bytes:
    """One encoded observation."""
    return msgspec.msgpack.encode(Observation(at(seconds), list(objects), alarm))


class Row:
    """The camera's row and everything stored beside it."""

    def __init__(self, scene: Scene | None = None) -> None:
        self.position = Position("", 0, "e1", 0, CHAIN_START)
        self.snapshot: bytes | None = None
        self.generation = 0
        self.scene = scene or Scene()
        self.scene_version = 1
        self.seen: list[str] = []
        self.events: list[StoredEvent] = []
        self.letters: list[Any] = []
        self.moves = 0

    def activate(self) -> Activation:
        """A new generation."""
        self.generation += 1
        return Activation(
            CAMERA,
            "site-1",
            self.generation,
            self.position,
            self.snapshot,
            msgspec.json.encode(self.scene),
            self.scene_version,
        )

    def open_session(self, generation: int, session: str) -> str:
        """`storage.ports.cameras.CameraStore.open_session`."""
        if generation != self.generation:
            return "fenced"
        if session != self.position.session:
            if session in self.seen:
                return "superseded"
            self.seen.append(session)
            self.position = msgspec.structs.replace(self.position, session=session, last_seq=0)
        return "opened"

    def commit(self, row: CommitRow) -> bool:
        """Advance when generation and position still hold."""
        if row.generation != self.generation or row.before != self.position:
            return False
        self.position = row.after
        self.snapshot = row.snapshot
        for stored in row.events:
            check_data(stored)
        self.events.extend(row.events)
        self.letters.extend(row.dead_letters)
        self.moves += 1
        return True


class Shell:
    """Carries out the effects of one core against a `Row`. Times are seconds after the start."""

    def __init__(
        self,
        scene: Scene | None = None,
        *,
        row: Row | None = None,
        now: float = 0.0,
        **settings: Any,
    ) -> None:
        self.row = row or Row(scene)
        self.settings = CameraSettings(**settings)
        self.now = now
        self.answers: list[Answer] = []
        self.core: CameraCore = self.restart()

    def restart(self) -> CameraCore:
        """A new incarnation from the row."""
        self.core = core.restore(
            self.row.activate(), owner="owner", settings=self.settings, now_us=at_us(self.now)
        )
        return self.core

    def step(self, *items: Input, commit: bool = True) -> Effects:
        """Step, open sessions, and commit everything unless told otherwise."""
        effects = core.step(self.core, items, at_us(self.now))
        self.answers.extend(effects.answers)
        opens = effects.opens
        while opens is not None:
            self.commit()
            outcome = self.row.open_session(self.core.generation, opens)
            following = core.session_opened(self.core, opens, outcome, at_us(self.now))
            self.answers.extend(following.answers)
            opens = following.opens
        if commit:
            self.commit()
        return effects

    def commit(self) -> None:
        """Commit until nothing is pending."""
        while (row := core.pending_commit(self.core)) is not None:
            assert self.row.commit(row)
            self.answers.extend(core.committed(self.core, row, at_us(self.now)))

    def hello(self, session: str = "s1", link: str = "h/1") -> list[Answer]:
        """Attach; the answers to it."""
        return self.told(Attach(CAMERA, link, session, 1, at_us(self.now)))

    def told(self, *items: Input, commit: bool = True) -> list[Answer]:
        """The answers to these items alone."""
        self.answers = []
        self.step(*items, commit=commit)
        return self.answers

    def send(
        self,
        first_seq: int,
        *frames: bytes,
        session: str = "s1",
        link: str = "h/1",
        commit: bool = True,
    ) -> list[Answer]:
        """Deliver observations; the answers."""
        return self.told(self.data(first_seq, *frames, session=session, link=link), commit=commit)

    def data(
        self,
        first_seq: int,
        *frames: bytes,
        session: str = "s1",
        link: str = "h/1",
        form: str = "msgpack",
    ) -> Data:
        """A delivery."""
        return Data(CAMERA, link, session, first_seq, at_us(self.now), form, list(frames))

    def walk(
        self, frames: Sequence[bytes], *, first_seq: int = 1, batch: int = 1, commit: bool = True
    ) -> None:
        """Deliver frames in batches."""
        for start in range(0, len(frames), batch):
            self.step(self.data(first_seq + start, *frames[start : start + batch]), commit=commit)

    def tick(self, now: float) -> list[Answer]:
        """Let time pass up to `now`."""
        self.now = now
        return self.told(Tick())

    def alive(self, link: str = "h/1") -> None:
        """The edge was heard."""
        self.step(Alive(CAMERA, link, at_us(self.now)))

    def gap(
        self,
        first_seq: int,
        last_seq: int,
        reason: str = "shed",
        *,
        session: str = "s1",
        link: str = "h/1",
    ) -> list[Answer]:
        """The edge declares a gap."""
        return self.told(
            DeclareGap(CAMERA, link, session, first_seq, last_seq, reason, at_us(self.now))
        )

    def detach(self, link: str = "h/1", *, clean: bool = True) -> list[Answer]:
        """The link is gone."""
        return self.told(Detach(CAMERA, link, at_us(self.now), clean, "bye" if clean else "cut"))

    def kinds(self) -> list[str]:
        """Types of all stored events."""
        return [stored.event.type for stored in self.row.events]

    def of(self, kind: str) -> list[StoredEvent]:
        """Stored events of one type."""
        return [stored for stored in self.row.events if stored.event.type == kind]


def check_data(stored: StoredEvent) -> None:
    """An event's data has the shape of its type, and nothing beside it."""
    shape = shape_of(stored.event.type)
    data = msgspec.json.decode(stored.body)["data"]
    known = {field.encode_name for field in msgspec.structs.fields(shape)}
    assert data.keys() <= known, (stored.event.type, data)
    msgspec.convert(data, shape)


def welcome(answers: Sequence[Answer]) -> Welcomed:
    """The only welcome among these."""
    (found,) = [answer for answer in answers if isinstance(answer, Welcomed)]
    return found


def acked(answers: Sequence[Answer]) -> int:
    """The last acked seq among these."""
    return [answer for answer in answers if isinstance(answer, Acked)][-1].seq


def derived(row: Row) -> list[tuple[Any, ...]]:
    """What two runs over the same observations must agree in, in order."""
    found = []
    for stored in row.events:
        event = stored.event
        if not event.type.startswith(("camera.", "stream.")):
            found.append(
                (
                    event.type,
                    event.track,
                    event.label,
                    event.zone,
                    event.line,
                    event.session,
                    event.seq,
                    event.time,
                    # the id of the cause counts what depends on the clock too
                    {key: value for key, value in event.data.items() if key != "cause"},
                )
            )
    return found
