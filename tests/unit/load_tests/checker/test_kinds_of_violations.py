"""One history per kind of violation: a sound run, changed by hand at one place, is told of by its
invariant and in words; what lies just within is not."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import pytest

from load_tests.checker.checker import GAP_MOST, SKEW_S, check
from load_tests.checker.watchers import TOLD_WITHIN_S, UNKNOWN
from load_tests.harness.history import (
    Acknowledged,
    Closed,
    Declared,
    Move,
    Operation,
    RecordedLetter,
    Sent,
    ShownEvent,
    ShownState,
    Stored,
    ToldGap,
    WatcherPosition,
)
from tests.property.test_camera_machine import SCENE, stream
from tests.support.load.cores import CAMERA
from tests.support.load.runs import SESSION, Run

LAST = 110  # observations of the run


class World(NamedTuple):
    """What a run left."""

    history: tuple[Operation, ...]
    stored: Stored

    def more(self, *operations: Operation) -> "World":
        return World((*self.history, *operations), self.stored)

    def less(self, gone: Callable[[Operation], bool]) -> "World":
        return World(tuple(one for one in self.history if not gone(one)), self.stored)

    def keeping(self, **changes: Any) -> "World":
        return World(self.history, msgspec.structs.replace(self.stored, **changes))


@cache
def sound() -> World:
    """A run with a declared gap, dead letters and crossed zones."""
    items = list(stream(1)[:LAST])
    items[19] = b"\xc1"  # no observation
    run = Run(SCENE, items)
    run.send(1, 60)
    run.commit()
    run.gap(61, 70)
    run.commit()
    run.crash_before_the_commit()
    run.send(71, LAST)
    run.commit()
    return World(tuple(run.history), run.stored())


def body_of(event: Any) -> dict[str, Any]:
    return dict(msgspec.json.decode(event.body))


def changed(event: Any, **changes: Any) -> Any:
    """The event with other fields in its body."""
    body = msgspec.json.encode(body_of(event) | changes).decode()
    return msgspec.structs.replace(event, body=body)


def place(world: World, kind: str) -> int:
    """Where the last event of a type stands."""
    return max(n for n, e in enumerate(world.stored.events) if body_of(e)["type"] == kind)


def with_event(world: World, kind: str, change: Callable[[Any], Sequence[Any]]) -> World:
    """The last event of a type, replaced by what `change` makes of it."""
    events, at = list(world.stored.events), place(world, kind)
    events[at : at + 1] = change(events[at])
    return world.keeping(events=events)


def last_move(world: World) -> Move:
    return world.stored.moves[-1]


def moved(world: World, **changes: Any) -> World:
    """One more move, like the last but for these."""
    further = msgspec.structs.replace(last_move(world), **changes)
    return world.keeping(moves=[*world.stored.moves, further])


def state(at_s: float, **changes: Any) -> ShownState:
    """What a wall shows at a moment, before everything else of the run."""
    fields: dict[str, Any] = {"generation": 9, "offset": 0, "status": "online"}
    return ShownState("w", CAMERA, at_s=at_s, **{**fields, **changes})


def acked_early(world: World, by_s: float) -> World:
    move = last_move(world)
    return world.more(Acknowledged(CAMERA, SESSION, move.seq, move.at_s - by_s))


def resent_elsewhere(world: World) -> World:
    return with_event(
        world, "zone.entered", lambda e: [e, msgspec.structs.replace(e, offset=e.offset + 1_000)]
    )


def huge_gap(world: World, missing: int) -> World:
    """A gap before everything, as a broken core would have taken it; declared by the edge."""
    data = {"first_seq": 1_000, "last_seq": 999 + missing, "missing": missing, "reason": "shed"}
    told = with_event(world, "stream.gap", lambda e: [e, changed(e, data=data)])
    return told.more(Declared(CAMERA, SESSION, 1_000, 999 + missing, "shed"))


def received_before(world: World, seconds: int) -> World:
    """The last event that an observation caused was received so much earlier."""
    events = list(world.stored.events)
    at = max(
        n for n, e in enumerate(events) if not body_of(e)["type"].startswith(("camera.", "stream."))
    )
    stamp = f"2026-03-01T11:{59 - seconds // 60:02}:00.000000Z"
    events[at] = changed(events[at], received=stamp)
    return world.keeping(events=events)


def other_letter(world: World) -> World:
    return world.keeping(
        letters=[*world.stored.letters, RecordedLetter(CAMERA, SESSION, 1, b"never sent")]
    )


def other_counts(world: World) -> World:
    (row,) = world.stored.cameras
    return world.keeping(cameras=[msgspec.structs.replace(row, occupancy={"left": {"ghost": 3}})])


def other_chain(world: World) -> World:
    (row,) = world.stored.cameras
    return world.keeping(cameras=[msgspec.structs.replace(row, chain="00" * 32)])


def shown_again(world: World) -> World:
    last = [one for one in world.history if isinstance(one, ShownEvent)][-1]
    return world.more(last)


def shown_otherwise(world: World, **changes: Any) -> World:
    """Another watcher was shown the first event, but for these."""
    first = next(one for one in world.history if isinstance(one, ShownEvent))
    before = WatcherPosition("other", CAMERA, first.epoch, first.offset - 1)
    shown = msgspec.structs.replace(first, watcher="other", **changes)
    return world.more(before, shown, ToldGap("other", CAMERA, UNKNOWN))


def unshown(world: World, place: int) -> World:
    events = [one for one in world.history if isinstance(one, ShownEvent)]
    return world.less(lambda one: one is events[place])


def left_behind(world: World, status: str) -> World:
    return world.more(*(state(at, status=status) for at in (0.0, 5.0, 50.0)))


def aged(world: World) -> World:
    """The device sent at 20 s; 15 s later what was received at 1 s is still shown as present."""
    late = Sent(CAMERA, SESSION, LAST + 1, b"later", at_s=20.0)
    offset = last_move(world).offset
    return world.more(
        late, *(state(at, received_s=1.0, offset=offset) for at in (100.0, 120.0, 140.0))
    )


KINDS: list[tuple[str, str, str, Callable[[World], World]]] = [
    (
        "acked and never committed",
        "I1",
        "committed is up to",
        lambda w: w.more(Acknowledged(CAMERA, SESSION, last_move(w).seq + 1, 1e6)),
    ),
    ("acked before its commit", "I1", "before its commit", lambda w: acked_early(w, 3 * SKEW_S)),
    (
        "stored twice",
        "I2",
        "is stored 2 times",
        lambda w: with_event(w, "zone.entered", lambda e: [e, e]),
    ),
    ("derived once and stored twice", "I2", "stored 2×, derived 1×", resent_elsewhere),
    ("an id given out again", "I2", "the id e1/", lambda w: shown_otherwise(w, time="another")),
    (
        "a letter stored twice",
        "I2",
        "is stored 2 times",
        lambda w: w.keeping(letters=w.stored.letters * 2),
    ),
    ("a row that went back", "I3", "back to", lambda w: moved(w, seq=last_move(w).seq - 1)),
    (
        "a hole in the offsets",
        "I3",
        "gap: event",
        lambda w: w.keeping(events=[*w.stored.events[:5], *w.stored.events[6:]]),
    ),
    ("a row of another chain", "I3", "chain hash", other_chain),
    (
        "written by another than the owner",
        "I4",
        "its owner is",
        lambda w: moved(w, writer="zombie"),
    ),
    ("an older generation wrote", "I4", "wrote after generation", lambda w: moved(w, generation=1)),
    (
        "one generation of two owners",
        "I4",
        "has the owners",
        lambda w: moved(w, owner="other", writer="other"),
    ),
    ("shown twice", "I5", "again", shown_again),
    ("a silent gap", "I5", "after a silent gap", lambda w: unshown(w, 3)),
    ("the last event not shown", "I5", "ends at event", lambda w: unshown(w, -1)),
    ("left behind as if present", "I6", "saw event", lambda w: left_behind(w, "online")),
    ("old and shown as present", "I6", "what was received", aged),
    (
        "stored and caused by nothing",
        "I7",
        "derived 0×",
        lambda w: with_event(w, "zone.entered", lambda e: [changed(e, track="ghost")]),
    ),
    (
        "shown and not stored",
        "I7",
        "was shown event",
        lambda w: shown_otherwise(w, type="alarm.none"),
    ),
    (
        "a state beyond what is committed",
        "I7",
        "was shown a state of event",
        lambda w: w.more(state(0.0, offset=10_000)),
    ),
    ("a letter of what nobody sent", "I7", "was never sent", other_letter),
    (
        "derived and not stored",
        "I8",
        "derived 1×, stored 0×",
        lambda w: with_event(w, "zone.entered", lambda e: []),
    ),
    ("a state that does not follow", "I8", "the state says", other_counts),
    (
        "neither sent nor declared",
        "I8",
        "neither sent nor declared",
        lambda w: w.less(lambda one: isinstance(one, Sent) and one.seq == 30),
    ),
    (
        "a gap that no edge declared",
        "I8",
        "the edge did not declare it",
        lambda w: w.less(lambda one: isinstance(one, Declared)),
    ),
    (
        "a declared gap that no event tells",
        "I8",
        "no event says so",
        lambda w: with_event(w, "stream.gap", lambda e: []),
    ),
    ("a gap beyond all credits", "I8", "credits never allow", lambda w: huge_gap(w, GAP_MOST + 1)),
    (
        "refused and no dead letter",
        "I8",
        "is no dead letter",
        lambda w: w.keeping(letters=w.stored.letters[1:]),
    ),
    (
        "stored at another time than it was captured",
        "I9",
        "captured at",
        lambda w: with_event(
            w, "zone.entered", lambda e: [changed(e, time="2026-03-01T13:00:00Z")]
        ),
    ),
    (
        "shown at another time than stored",
        "I9",
        "was shown event",
        lambda w: shown_otherwise(w, time="another"),
    ),
    ("received before its predecessor", "I9", "was received at", lambda w: received_before(w, 60)),
    (
        "an old generation after a newer one",
        "I11",
        "after generation",
        lambda w: w.more(state(0.0, generation=9), state(0.1, generation=8)),
    ),
    (
        "cut off without a word",
        "I12",
        "without a close frame",
        lambda w: w.more(Closed("w", 0, "", 1.0)),
    ),
    (
        "a code that nobody documented",
        "I12",
        "was closed with 4999",
        lambda w: w.more(Closed("w", 4999, "so", 1.0)),
    ),
    (
        "a code without a reason",
        "I12",
        "and no reason",
        lambda w: w.more(Closed("w", 3008, " ", 1.0)),
    ),
]


def told(world: World) -> list[tuple[str, str]]:
    return [(found.invariant, found.detail) for found in check(world.history, world.stored)]


def test_the_run_is_sound_and_has_what_is_changed_below() -> None:
    assert told(sound()) == []
    assert sound().stored.letters
    assert {"zone.entered", "stream.gap"} <= {body_of(e)["type"] for e in sound().stored.events}


@pytest.mark.parametrize(
    ("invariant", "words", "change"),
    [kind[1:] for kind in KINDS],
    ids=[kind[0].replace(" ", "-") for kind in KINDS],
)
def test_a_violation_is_told_by_its_invariant_and_in_words(
    invariant: str, words: str, change: Callable[[World], World]
) -> None:
    found = told(change(sound()))
    assert any(name == invariant and words in detail for name, detail in found), found


@pytest.mark.parametrize(
    "change",
    [
        lambda w: acked_early(w, SKEW_S / 2),
        lambda w: left_behind(w, "stale"),
        lambda w: shown_otherwise(w),
        lambda w: w.more(state(0.0, generation=9), state(0.1, generation=9)),
        lambda w: w.more(Closed("w", 3008, "slow", 1.0)),
    ],
    ids=["clocks-apart", "told-to-be-stale", "shown-to-two", "same-generation", "documented"],
)
def test_what_lies_just_within_is_no_violation(change: Callable[[World], World]) -> None:
    assert told(change(sound())) == []


def test_a_gap_of_all_credits_is_no_violation_of_its_size() -> None:
    assert not any(
        "credits never allow" in detail for _, detail in told(huge_gap(sound(), GAP_MOST))
    )


def test_whoever_watches_a_run_that_goes_on_need_not_have_seen_its_end() -> None:
    world = unshown(sound(), -1)
    assert [one.invariant for one in check(world.history, world.stored, whole=False)] == []


@pytest.mark.parametrize(
    ("late_s", "broken"), [(TOLD_WITHIN_S + 0.1, True), (TOLD_WITHIN_S - 0.1, False)]
)
def test_ten_seconds_are_ten_seconds(late_s: float, broken: bool) -> None:
    before, move = sound().stored.moves[-2:]
    states = [
        state(move.at_s - 0.01, offset=before.offset),
        state(move.at_s + late_s, offset=move.offset),
        state(move.at_s + 100.0, offset=move.offset),
    ]
    found = told(sound().more(*states))
    assert any(name == "I6" for name, _ in found) is broken
