"""A run of one camera core against a row in memory, with an edge, a crash and a watcher: recorded
for `load_tests.checker.checker`.

The order of what happens is fixed, so that a broken variant is the only thing that differs between
two runs.
"""

from collections.abc import Callable, Sequence

import msgspec

from actors.core.camera import core
from actors.core.camera.snapshot import totals
from actors.core.messages.commits import CommitRow
from actors.core.messages.deliveries import Acked, Answer, DeclareGap, Welcomed
from actors.core.messages.events import StoredEvent
from actors.core.scene.scene import Scene
from cluster.event_proofs import AuditEvent, CameraTotals
from load_tests.harness.history import (
    Acknowledged,
    Declared,
    Move,
    Operation,
    RecordedLetter,
    Sent,
    ShownEvent,
    Stored,
    WatcherPosition,
)
from tests.support.load.cores import CAMERA, Shell, at_us

SESSION = "s1"
Display = Callable[[StoredEvent], str]  # the capture time that a dashboard shows of an event


def true_time(stored: StoredEvent) -> str:
    """As it is stored."""
    return stored.event.time


class Run:
    """`publish_early`: events are shown before their commit. `display`: the time that is shown."""

    def __init__(
        self,
        scene: Scene,
        items: Sequence[bytes],
        *,
        publish_early: bool = False,
        display: Display = true_time,
    ) -> None:
        self.scene = scene
        self.items = items
        self.history: list[Operation] = [WatcherPosition("wall", CAMERA, "e1", 0)]
        self.moves: list[Move] = []
        self.shell = Shell(scene)
        self.publish_early = publish_early
        self.display = display
        self.clock = 0.0
        self.link = "h/1"
        self.next = 1
        self._answer(self.shell.hello(SESSION, self.link))
        self.commit()

    def send(self, first: int, last: int) -> None:
        """Deliver the observations `first` to `last`; nothing is committed."""
        for seq in range(first, last + 1):
            sent = Sent(CAMERA, SESSION, seq, self.items[seq - 1])
            if sent not in self.history:
                self.history.append(sent)
        self.clock += 0.1
        self.shell.now = self.clock
        self._answer(
            self.shell.send(first, *self.items[first - 1 : last], link=self.link, commit=False)
        )

    def gap(self, first: int, last: int) -> None:
        """The edge declares a gap."""
        self.history.append(Declared(CAMERA, SESSION, first, last, "shed"))
        item = DeclareGap(CAMERA, self.link, SESSION, first, last, "shed", at_us(self.clock))
        self._answer(self.shell.told(item, commit=False))

    def commit(self) -> None:
        """Commit everything, then show it."""
        while (row := core.pending_commit(self.shell.core)) is not None:
            if self.publish_early:
                self._show(row)
            assert self.shell.row.commit(row)
            self.clock += 0.1
            self.moved()
            self._answer(core.committed(self.shell.core, row, 0))
            if not self.publish_early:
                self._show(row)

    def crash_before_the_commit(self) -> None:
        """The process dies with its commit under way, which never arrives; a new incarnation takes
        over."""
        row = core.pending_commit(self.shell.core)
        if row is not None and self.publish_early:
            self._show(row)
        self.shell.restart()
        self.link += "+"
        self._answer(self.shell.hello(SESSION, self.link))

    def moved(self) -> None:
        """Note where the row stands, as the database would."""
        at, generation = self.shell.row.position, self.shell.row.generation
        owner = f"actor-{generation}"
        self.moves.append(
            Move(
                CAMERA,
                owner,
                owner,
                generation,
                at.session,
                at.last_seq,
                at.epoch,
                at.last_offset,
                self.clock,
            )
        )

    def stored(self) -> Stored:
        """What is read back."""
        row = self.shell.row
        at, derived = row.position, totals(row.snapshot)
        events = [
            AuditEvent(CAMERA, "e1", stored.event.offset, stored.body.decode(), stored.hash.hex())
            for stored in row.events
        ]
        camera_row = CameraTotals(
            CAMERA,
            at.session,
            at.last_seq,
            at.epoch,
            at.last_offset,
            at.chain.hex(),
            derived.counts,
            derived.occupancy,
        )
        letters = [
            RecordedLetter(CAMERA, letter.session, letter.seq, letter.raw) for letter in row.letters
        ]
        return Stored(
            [camera_row], events, letters, self.moves, {CAMERA: msgspec.json.encode(self.scene)}
        )

    def _answer(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            if isinstance(answer, Acked):
                self.history.append(Acknowledged(CAMERA, SESSION, answer.seq, self.clock))
            elif isinstance(answer, Welcomed):
                self.next = answer.resume_from

    def _show(self, row: CommitRow) -> None:
        for stored in row.events:
            event = stored.event
            self.history.append(
                ShownEvent(
                    "wall", CAMERA, event.epoch, event.offset, event.type, self.display(stored)
                )
            )
