"""Numbering, credits, shedding and gaps, without a socket; and a state machine that loses, repeats
and reorders everything it can."""

from typing import Any

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.core.errors import Conflict, TooMany
from actors.core.messages.edge_protocol import MAX_OBSERVATIONS
from edge.window import FORGOTTEN, MAX_BATCH_BYTES, SHED, UNREADABLE, Batch, Missing, Window


def connected(window: Window, *, resume_from: int = 1, credits: int = 1000) -> Window:
    window.connected(resume_from, credits, numbered_elsewhere=False)
    return window


def filled(count: int, *, capacity: int = 10_000, size: int = 10) -> Window:
    window = Window(capacity)
    for _ in range(count):
        window.offer(size, alarm=False)
    return window


def test_nothing_is_sent_before_the_welcome_nor_beyond_the_credits() -> None:
    window = filled(10)
    assert window.next() is None
    connected(window, credits=4)
    assert window.next() == Batch(1, 4)
    assert window.next() is None
    window.ack(2, 4)
    assert window.next() == Batch(5, 6)


def test_a_batch_is_bounded_in_items_and_bytes() -> None:
    many = connected(filled(MAX_OBSERVATIONS + 5))
    assert many.next() == Batch(1, MAX_OBSERVATIONS)
    large = connected(filled(5, capacity=10**6, size=MAX_BATCH_BYTES // 2))
    assert [large.next(), large.next(), large.next()] == [Batch(1, 2), Batch(3, 4), Batch(5, 5)]


def test_an_ack_that_gives_less_credit_takes_none_back() -> None:
    window = connected(filled(10), credits=8)
    window.ack(1, 2)
    assert window.next() == Batch(2, 8)


def test_a_resync_goes_back_to_what_is_held() -> None:
    window = connected(filled(10))
    assert window.next() == Batch(1, 10)
    window.ack(4, 100)
    window.resync(6)
    assert window.next() == Batch(6, 10)
    assert window.account.resent == 5


def test_a_hub_that_lost_what_it_acked_gets_a_gap_and_then_what_is_still_held() -> None:
    window = connected(filled(10))
    assert window.next() == Batch(1, 10)
    window.ack(4, 100)
    window.resync(2)
    assert [window.next(), window.next(), window.next()] == [
        Missing(2, 4, FORGOTTEN),
        Batch(5, 10),
        None,
    ]
    assert window.ack(10, 100) == [5, 6, 7, 8, 9, 10]
    assert (window.account.forgotten, window.account.committed, window.pending) == (3, 10, 0)


def test_a_welcome_below_what_was_acked_sets_cursor_and_credits_by_the_hub() -> None:
    window = connected(filled(10), credits=100)
    window.next()
    window.ack(8, 100)
    window.disconnected()
    window.connected(3, 4, numbered_elsewhere=False)
    assert [window.next(), window.next()] == [Missing(3, 6, FORGOTTEN), None]
    window.ack(6, 4)
    assert [window.next(), window.next()] == [Missing(7, 8, FORGOTTEN), Batch(9, 10)]


def test_shedding_takes_the_oldest_live_ones_that_are_not_on_their_way() -> None:
    window = filled(5, capacity=50)
    connected(window, credits=2)
    assert window.next() == Batch(1, 2)
    assert window.offer(10, alarm=False).shed == [3]
    assert window.offer(20, alarm=True).shed == [4, 5]
    window.ack(2, 100)
    assert [window.next(), window.next()] == [Missing(3, 5, SHED), Batch(6, 7)]
    assert window.account.shed == 3


def test_when_everything_is_on_its_way_the_oldest_of_that_goes() -> None:
    window = connected(filled(5, capacity=50))
    assert window.next() == Batch(1, 5)
    assert window.offer(10, alarm=False).shed == [1]
    window.disconnected()
    connected(window)
    assert [window.next(), window.next()] == [Missing(1, 1, SHED), Batch(2, 6)]


def test_alarms_are_never_shed() -> None:
    window = Window(30)
    for _ in range(3):
        window.offer(10, alarm=True)
    live = window.offer(10, alarm=False)
    assert live.shed == [4]
    with pytest.raises(TooMany):
        window.offer(10, alarm=True)
    connected(window)
    assert [window.next(), window.next()] == [Batch(1, 3), Missing(4, 4, SHED)]


def test_an_alarm_makes_its_camera_urgent_while_it_may_go_out() -> None:
    window = connected(filled(3), credits=2)
    assert not window.urgent
    window.offer(10, alarm=True)
    assert window.urgent  # what lies before the alarm goes out first, but at once
    window.next()
    assert not window.urgent  # no credit
    window.ack(1, 10)
    assert window.urgent
    window.next()
    assert not window.urgent


def test_what_the_hub_has_already_counts_as_duplicate() -> None:
    window = Window(1000)
    window.offer(10, alarm=False)
    window.connected(4, 10, numbered_elsewhere=True)
    assert [window.offer(10, alarm=False).durable for _ in range(4)] == [True, True, False, False]
    assert (window.account.duplicate, window.pending) == (3, 2)
    assert window.next() == Batch(4, 5)


def test_a_hub_that_knows_more_than_the_device_means_a_lost_counter() -> None:
    with pytest.raises(Conflict, match="up to 8"):
        filled(3).connected(9, 10, numbered_elsewhere=False)


def test_gaps_are_declared_within_the_credits() -> None:
    window = Window(10)
    for _ in range(10):
        window.offer(10, alarm=False)
    connected(window, credits=4)
    assert window.next() == Missing(1, 4, SHED)
    window.ack(4, 100)
    assert [window.next(), window.next()] == [Missing(5, 9, SHED), Batch(10, 10)]


def test_what_a_spool_lost_is_declared_with_its_own_reason() -> None:
    window = Window(1000, acked=2, next_seq=12)
    for seq in (4, 5, 9):
        window.restore(seq, 10, alarm=False)
    window.restore_gap(6, 7, "why")
    window.restore_holes()
    connected(window, resume_from=3)
    said = []
    while (step := window.next()) is not None:
        said.append(step)
    assert said == [
        Missing(3, 3, UNREADABLE),
        Batch(4, 5),
        Missing(6, 7, "why"),
        Missing(8, 8, UNREADABLE),
        Batch(9, 9),
        Missing(10, 11, UNREADABLE),
    ]


class Link(RuleBasedStateMachine):
    """A device and a hub with everything between them that can go wrong. `hub` is the last seq
    applied in order."""

    def __init__(self) -> None:
        super().__init__()
        self.window = Window(200)
        self.offered = 0
        self.alarms: set[int] = set()
        self.hub = 0
        self.granted = 0
        self.applied: set[int] = set()
        self.missing: set[int] = set()
        self.up = False
        self.wire: list[Batch | Missing] = []

    @rule(size=strategies.integers(5, 60), alarm=strategies.booleans())
    def offer(self, size: int, alarm: bool) -> None:
        try:
            seq = self.window.offer(size, alarm=alarm).seq
        except TooMany:
            assert alarm
            return
        self.offered += 1
        assert seq == self.offered
        if alarm:
            self.alarms.add(seq)

    @precondition(lambda self: not self.up)
    @rule(credits=strategies.integers(1, 20))
    def connect(self, credits: int) -> None:
        self.up, self.wire = True, []
        self.granted = max(self.granted, self.hub + credits)
        self.window.connected(self.hub + 1, self.granted - self.hub, numbered_elsewhere=False)

    @precondition(lambda self: self.up)
    @rule()
    def cut(self) -> None:
        self.up = False
        self.window.disconnected()

    @precondition(lambda self: self.up)
    @rule()
    def send(self) -> None:
        step = self.window.next()
        if step is not None:
            assert step.last_seq <= self.granted
            self.wire.append(step)

    @precondition(lambda self: self.up and self.wire)
    @rule(
        lost=strategies.booleans(), quiet=strategies.booleans(), credits=strategies.integers(1, 20)
    )
    def arrive(self, lost: bool, quiet: bool, credits: int) -> None:
        step = self.wire.pop(0)
        if lost:
            return
        if step.first_seq > self.hub + 1:
            self.window.resync(self.hub + 1)
            return
        for seq in range(max(step.first_seq, self.hub + 1), step.last_seq + 1):
            (self.applied if isinstance(step, Batch) else self.missing).add(seq)
            self.hub = seq
        if not quiet:
            self.granted = max(self.granted, self.hub + credits)
            self.window.ack(self.hub, self.granted - self.hub)

    @invariant()
    def nothing_is_lost_in_silence(self) -> None:
        assert self.applied | self.missing == set(range(1, self.hub + 1))
        assert not self.missing & self.alarms
        assert self.window.held_bytes <= 200 or not self.window.pending
        assert self.window.acked <= self.hub

    def teardown(self) -> None:
        """Give the link peace: everything arrives."""
        if self.up:
            self.cut()
        self.connect(credits=10)
        for _ in range(10_000):
            if self.hub == self.offered:
                break
            self.send()
            if self.wire:
                arrive: Any = self.arrive
                arrive(lost=False, quiet=False, credits=10)
        assert self.hub == self.offered
        assert self.window.pending == 0
        assert self.window.held_bytes == 0
        assert self.window.account.committed + self.window.account.duplicate <= self.offered


TestLink = Link.TestCase
TestLink.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
