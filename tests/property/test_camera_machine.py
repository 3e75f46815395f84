"""A camera under every fault that a link, a process and a database can have (reliability reference
3.5), against a model.

The edge holds a fixed stream of observations and plays by the protocol: it sends from
`resume_from`, resends on `resync`, declares gaps. The machine cuts, reorders, duplicates and
crashes; at any moment the committed facts must be those of an undisturbed run up to the committed
seq.
"""

import random
from functools import lru_cache
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from actors.core.camera import core, snapshot
from actors.core.messages.commits import CommitRow
from actors.core.messages.deliveries import (
    Acked,
    Alive,
    AskedAgain,
    Attach,
    Data,
    Detach,
    Dismissed,
    Refused,
    Welcomed,
)
from actors.core.messages.events import CHAIN_START, seal
from actors.core.messages.observations import Alarm, Object
from actors.core.scene.alert_rules import AlertRule, Condition, Occupancy
from actors.core.scene.scene import Line, Scene, Zone
from tests.support.load.cores import CAMERA, Shell, at_us, derived, frame, person

LENGTH = 160  # observations in a stream
PATIENCE_S = 86_400.0  # longer than any example: what the edge holds comes again at last
SEEDS = 20  # streams that examples choose from
SCENE = Scene(
    zones={
        "left": Zone(
            [(0.1, 0.1), (0.5, 0.1), (0.5, 0.9), (0.1, 0.9)],
            loitering_s=1.0,
            enter_frames=2,
            exit_ms=200,
        ),
        "right": Zone(
            [(0.5, 0.2), (0.9, 0.2), (0.9, 0.8)], anchor="any_corner", exit_frames=1, exit_ms=0
        ),
    },
    lines={"gate": Line([(0.5, 0.0), (0.45, 0.5), (0.5, 1.0)], frames=2)},
    alerts={
        "tampered": AlertRule([Condition(events=["alarm.*"])], "critical", clear_after_s=1.5),
        "crowd": AlertRule(
            [
                Condition(occupancy=[Occupancy("left", over=1, for_s=0.4)]),
                Condition(events=["zone.entered", "line.crossed"], labels=["person"]),
            ],
            clear_after_s=0.8,
        ),
    },
    min_hits=2,
    lost_after_s=0.6,
    stationary_after_s=1.0,
)


@lru_cache(maxsize=64)
def stream(seed: int) -> tuple[bytes, ...]:
    """Walkers that come, go, jitter, vanish and stand, some items that cannot be applied, some
    alarms."""
    dice = random.Random(seed)
    walkers = {
        f"t{key}": [dice.random(), dice.uniform(0.2, 0.9), dice.uniform(-0.03, 0.03)]
        for key in range(4)
    }
    items = []
    for number in range(LENGTH):
        seen: list[Object] = []
        for key, walker in walkers.items():
            walker[0] += walker[2]
            if not 0.05 < walker[0] < 0.95:
                walker[2] = -walker[2]
                walker[0] = min(max(walker[0], 0.05), 0.95)
            if dice.random() < 0.85 and (number // 20 + int(key[1])) % 4 != 0:
                seen.append(
                    person(
                        key,
                        walker[0] + dice.gauss(0, 0.003),
                        walker[1],
                        label=dice.choice(("person", "person", "car")),
                    )
                )
        kind = dice.random()
        if kind < 0.02:
            items.append(b"\xc1")
        else:
            items.append(
                frame(
                    number * 0.1 - (0.05 if kind < 0.1 else 0.0),
                    *seen,
                    alarm=Alarm("tamper") if kind > 0.97 else None,
                )
            )
    return tuple(items)


@lru_cache(maxsize=64)
def undisturbed(
    seed: int,
) -> tuple[list[tuple[int, snapshot.Totals]], list[tuple[Any, ...]], list[int]]:
    """(number of derived events and totals after each seq, the events, seqs of the dead letters) of
    a run without faults."""
    shell = Shell(SCENE)
    shell.hello()
    model = [(0, snapshot.totals(None))]
    for seq, item in enumerate(stream(seed), start=1):
        shell.send(seq, item)
        assert shell.row.snapshot is not None
        model.append((len(derived(shell.row)), snapshot.totals(shell.row.snapshot)))
    return model, derived(shell.row), [letter.seq for letter in shell.row.letters]


class CameraMachine(RuleBasedStateMachine):
    """One camera, one row, one edge."""

    rows_lost = Bundle("rows_lost")

    @initialize(seed=st.integers(0, SEEDS))
    def begin(self, seed: int) -> None:
        self.items = list(stream(seed))
        self.shell = Shell(SCENE, mailbox_items=64, gap_timeout_s=PATIENCE_S)
        self.links = 0
        self.link = ""
        self.next = 1
        self.limit = 0
        self.acked = 0
        self.told_dead: set[int] = set()
        self.in_flight: CommitRow | None = None
        self.late: list[CommitRow] = []
        self.held: list[Data] = []
        self.model, self.facts, self.dead = undisturbed(seed)
        self.link = "h/0"
        self.take(self.shell.hello("s1", self.link))

    def take(self, answers: list[Any]) -> None:
        for answer in answers:
            if getattr(answer, "link", "") != self.link:
                continue
            match answer:
                case Welcomed():
                    assert answer.resume_from == self.shell.core.committed.last_seq + 1
                    self.next = answer.resume_from
                    self.limit = max(self.limit, answer.resume_from - 1 + answer.credits)
                case Acked():
                    assert answer.seq <= self.shell.row.position.last_seq, (
                        "acked before it was durable"
                    )
                    self.acked = max(self.acked, answer.seq)
                    self.limit = max(self.limit, answer.seq + answer.credits)
                case AskedAgain():
                    self.next = answer.resume_from
                case Refused():
                    self.told_dead.add(answer.seq)

    @rule()
    def connect(self) -> None:
        """The device comes (back) on a new socket."""
        self.links += 1
        self.link = f"h/{self.links}"
        self.held = []
        self.take(
            core.step(self.shell.core, [Attach(CAMERA, self.link, "s1", 1, 0)], self.now()).answers
        )

    def now(self) -> int:
        return at_us(self.shell.now)

    def deliver(self, data: Data) -> None:
        self.take(core.step(self.shell.core, [data], self.now()).answers)

    @rule(count=st.integers(1, 12), hold=st.booleans())
    def send(self, count: int, hold: bool) -> None:
        """The next observations, or (held) ones that another delivery overtakes."""
        last = min(self.next + count - 1, len(self.items), self.limit)
        if last < self.next:
            return
        data = Data(
            CAMERA,
            self.link,
            "s1",
            self.next,
            self.now(),
            "msgpack",
            self.items[self.next - 1 : last],
        )
        self.next = last + 1
        if hold:
            self.held.append(data)
        else:
            self.deliver(data)

    @rule(index=st.integers(0, 5))
    def release(self, index: int) -> None:
        """A held delivery arrives late."""
        if index < len(self.held):
            self.deliver(self.held.pop(index))

    @rule(first=st.integers(1, LENGTH), count=st.integers(1, 20))
    def resend(self, first: int, count: int) -> None:
        """Anything already sent comes once more."""
        last = min(first + count - 1, self.next - 1)
        if last >= first:
            self.deliver(
                Data(
                    CAMERA,
                    self.link,
                    "s1",
                    first,
                    self.now(),
                    "msgpack",
                    self.items[first - 1 : last],
                )
            )

    @rule()
    def commit_begins(self) -> None:
        if self.in_flight is None:
            self.in_flight = core.pending_commit(self.shell.core)

    @rule()
    def commit_ends(self) -> None:
        if self.in_flight is not None:
            row, self.in_flight = self.in_flight, None
            assert self.shell.row.commit(row)
            self.take(core.committed(self.shell.core, row, self.now()))

    @rule(target=rows_lost, stored=st.booleans())
    def outcome_unknown(self, stored: bool) -> int:
        """The reply is lost, whether or not the row moved (or is still under way): the actor starts
        anew from the row."""
        row, self.in_flight = self.in_flight, None
        if row is not None:
            if stored:
                assert self.shell.row.commit(row)
            self.late.append(row)
        self.shell.restart()
        return len(self.late) - 1

    @rule(index=consumes(rows_lost))
    def stale_row_arrives(self, index: int) -> None:
        """A write of an old incarnation reaches the database at last."""
        if 0 <= index < len(self.late):
            assert not self.shell.row.commit(self.late[index])

    @rule(seconds=st.floats(0.1, 12))
    def time_passes(self, seconds: float) -> None:
        """Up to a stale camera; holes are asked for again, never given up in `PATIENCE_S`."""
        if self.shell.core.order.hole is None or seconds < 3:
            self.shell.now += seconds
            self.take(core.step(self.shell.core, [core.Tick()], self.now()).answers)

    def heartbeat(self) -> None:
        """A second passes; the edge pings, and says hello again when its link is not known any
        more."""
        self.shell.now += 1.0
        answers = core.step(
            self.shell.core, [Alive(CAMERA, self.link, self.now()), core.Tick()], self.now()
        ).answers
        self.take(answers)
        if any(isinstance(answer, Dismissed) for answer in answers):
            self.connect()

    @rule()
    def link_is_cut(self) -> None:
        core.step(
            self.shell.core, [Detach(CAMERA, self.link, self.now(), False, "cut")], self.now()
        )
        self.connect()

    @invariant()
    def committed_facts_are_those_of_an_undisturbed_run(self) -> None:
        row = self.shell.row
        facts, totals = self.model[row.position.last_seq]
        assert derived(row) == self.facts[:facts]
        found = snapshot.totals(row.snapshot)
        assert (found.counts, found.occupancy) == (
            totals.counts,
            totals.occupancy,
        ) or not row.position.last_seq
        assert [letter.seq for letter in row.letters] == [
            seq for seq in self.dead if seq <= row.position.last_seq
        ]

    @invariant()
    def what_is_acked_is_committed(self) -> None:
        assert self.acked <= self.shell.row.position.last_seq
        assert self.told_dead <= set(self.dead)

    @invariant()
    def events_are_numbered_and_chained(self) -> None:
        chain = CHAIN_START
        for number, stored in enumerate(self.shell.row.events, start=1):
            assert stored.event.offset == number
            chain = seal(stored.event, chain, received_us=0, time_us=0).hash
        assert self.shell.row.position.last_offset == len(self.shell.row.events)
        assert self.shell.row.position.chain == chain

    @invariant()
    def no_state_shows_more_than_is_committed(self) -> None:
        shown = core.live_state(self.shell.core, 1, self.now())
        if shown is not None:
            assert shown[2] <= self.shell.row.position.last_offset

    @invariant()
    def status_is_the_fold_of_its_events(self) -> None:
        told = [
            s.event.type[7:]
            for s in self.shell.row.events
            if s.event.type in ("camera.online", "camera.stale", "camera.offline")
        ]
        if self.shell.row.snapshot is not None and self.shell.row.position.last_seq:
            assert snapshot.decode(self.shell.row.snapshot).status == (
                told[-1] if told else "offline"
            )

    def teardown(self) -> None:
        """Heal, by heartbeats and timers alone, while deliveries still overtake each other:
        everything arrives.

        Then it comes once more, which changes nothing.
        """
        if not hasattr(self, "facts"):
            return
        for _ in range(LENGTH):
            if self.shell.row.position.last_seq == LENGTH:
                break
            self.heartbeat()
            self.send(8, True)
            self.send(8, True)
            while self.held:
                self.deliver(self.held.pop())
            self.commit_begins()
            self.commit_ends()
        assert derived(self.shell.row) == self.facts
        self.committed_facts_are_those_of_an_undisturbed_run()
        self.events_are_numbered_and_chained()
        self.status_is_the_fold_of_its_events()
        moves = self.shell.row.moves
        self.shell.send(1, *self.items[: LENGTH // 2], link=self.link)
        assert self.shell.row.moves == moves


def restarted_after_every_commit(seed: int, batch: int) -> None:
    """A core that lives for one batch only derives what an undisturbed one does."""
    items = stream(seed)
    model, facts, _ = undisturbed(seed)
    shell = Shell(SCENE)
    shell.hello()
    for start in range(0, LENGTH, batch):
        shell.restart()
        shell.send(start + 1, *items[start : start + batch])
    assert derived(shell.row) == facts
    assert snapshot.totals(shell.row.snapshot) == model[-1][1]


@given(st.integers(0, SEEDS), st.integers(1, 20))
@settings(max_examples=15, deadline=None)
def test_a_core_restarted_after_every_commit_derives_the_same(seed: int, batch: int) -> None:
    restarted_after_every_commit(seed, batch)


CameraMachine.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestCamera = CameraMachine.TestCase
