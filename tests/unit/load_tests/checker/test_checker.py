"""The checker is silent about a sound run and names the invariant that a broken variant breaks
(reliability reference 3.4).

I4 needs the commit statement of a real PostgreSQL
(`tests/integration/actors/test_fence_mutant.py`), I5 a real hub
(`tests/integration/hub/test_refill_mutant.py`).
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from actors.core.camera import inputs
from actors.core.camera.core import CameraCore
from actors.core.messages.deliveries import Answer, Data
from actors.core.messages.events import StoredEvent
from hub.fanout.live_states import STALE_AFTER_S, LiveStates
from load_tests.checker.checker import check
from load_tests.checker.violations import Violation
from load_tests.harness.history import Move, Operation, ShownState, Stored
from tests.property.test_camera_machine import LENGTH, SCENE, stream
from tests.property.test_machine_catches import (
    acks_before_the_commit,
    applies_duplicates,
    skips_the_commit_of_dead_letters,
)
from tests.support.load.cores import Row
from tests.support.load.runs import Run

Patch = Callable[[pytest.MonkeyPatch], None]


def through_every_fault(run: Run) -> list[Violation]:
    """Resend, reorder, a lost batch that is declared, a crash with a commit under way; then
    everything arrives."""
    run.send(1, 40)
    run.commit()
    run.send(21, 40)  # a resend
    run.send(41, 60)
    run.commit()
    run.send(81, 90)  # overtakes what follows
    run.send(61, 80)
    run.send(81, 100)
    run.commit()
    run.send(101, 120)
    run.crash_before_the_commit()
    run.gap(101, 110)  # the device lost what it had not delivered
    run.send(111, LENGTH)
    run.commit()
    return check(run.history, run.stored())


def of(found: list[Violation]) -> set[str]:
    return {violation.invariant for violation in found}


@pytest.mark.parametrize("seed", range(6))
def test_a_sound_run_has_no_violations(seed: int) -> None:
    run = Run(SCENE, stream(seed))
    assert through_every_fault(run) == []
    assert len(run.stored().events) > 20


def applies_in_the_order_of_arrival(monkey: pytest.MonkeyPatch) -> None:
    """I3: whatever comes is applied as it comes."""
    kept = inputs.apply_data

    def apply_data(core: CameraCore, data: Data, answers: list[Answer], now_us: int) -> None:
        core.order.seq = data.first_seq - 1
        kept(core, data, answers, now_us)

    monkey.setattr("actors.core.camera.core.apply_data", apply_data)


def omits_gap_records(monkey: pytest.MonkeyPatch) -> None:
    """I8: what the edge declared is passed over without an event."""
    monkey.setattr(inputs, "_pass_over", lambda *_: None)


def stores_events_of_nobody(monkey: pytest.MonkeyPatch) -> None:
    """I7: an entry that no observation caused."""
    kept = inputs.apply_data

    def apply_data(core: CameraCore, data: Data, answers: list[Answer], now_us: int) -> None:
        kept(core, data, answers, now_us)
        core.journal.emit("zone.entered", track="ghost", label="person", zone="left")

    monkey.setattr("actors.core.camera.core.apply_data", apply_data)


def commits_twice(monkey: pytest.MonkeyPatch) -> None:
    """I2: the row's events go in once more, as an insert without the row's condition would."""
    kept = Row.commit

    def commit(self: Row, row: Any) -> bool:
        self.events.extend(row.events)
        return kept(self, row)

    monkey.setattr(Row, "commit", commit)


@pytest.mark.parametrize(
    ("invariant", "mutant"),
    [
        ("I1", acks_before_the_commit),
        ("I2", applies_duplicates),
        ("I2", commits_twice),
        ("I3", applies_in_the_order_of_arrival),
        ("I7", stores_events_of_nobody),
        ("I8", omits_gap_records),
        ("I8", skips_the_commit_of_dead_letters),
    ],
)
def test_a_broken_variant_is_caught(
    invariant: str, mutant: Patch, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: set[str] = set()
    mutant(monkeypatch)
    for seed in range(6):
        run = Run(SCENE, stream(seed))
        through_every_fault(run)
        history, stored = run.history, run.stored()
        monkeypatch.undo()  # what is right must not come from the broken core
        found |= of(check(history, stored))
        mutant(monkeypatch)
    assert invariant in found


def test_events_shown_before_their_commit_are_caught() -> None:
    found: set[str] = set()
    for seed in range(6):
        found |= of(through_every_fault(Run(SCENE, stream(seed), publish_early=True)))
    assert "I7" in found


def test_a_displayed_time_that_is_not_the_capture_time_is_caught() -> None:
    def receive_time(stored: StoredEvent) -> str:
        return stored.event.received

    assert of(through_every_fault(Run(SCENE, stream(1), display=receive_time))) == {"I9"}


def test_a_stored_time_that_is_not_the_capture_time_is_caught() -> None:
    run = Run(SCENE, stream(1))
    through_every_fault(run)
    stored = run.stored()
    events = []
    for event in stored.events:
        body = msgspec.json.decode(event.body)
        if body["type"] == "zone.entered":
            body["time"] = body["received"]
        events.append(msgspec.structs.replace(event, body=msgspec.json.encode(body).decode()))
    assert "I9" in of(check(run.history, msgspec.structs.replace(stored, events=events)))


def silence(live: LiveStates) -> list[Violation]:
    """A watcher of one camera whose actor goes on storing while nothing reaches the hub any
    more."""
    history: list[Operation] = []
    moves = []
    live.expect("north", ["cam-1"], 0.0)
    body = msgspec.json.encode(
        {"camera": "cam-1", "status": "online", "reason": None, "tracks": []}
    )
    live.take_state("north", "cam-1", 1, 1, body, 0.0)
    for second in range(60):
        live.sweep(float(second))
        shown = live.state("cam-1")
        assert shown is not None
        history.append(
            ShownState("wall", "cam-1", 1, 0, msgspec.json.decode(shown)["status"], float(second))
        )
        moves.append(Move("cam-1", "a", "a", 1, "s1", second + 1, "e1", second + 1, float(second)))
    return [
        violation
        for violation in check(history, Stored([], [], [], moves))
        if violation.invariant == "I6"
    ]


def test_staleness_that_is_told_in_time_is_no_violation() -> None:
    assert STALE_AFTER_S < 10
    assert silence(LiveStates()) == []


def test_staleness_that_is_not_told_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LiveStates, "sweep", lambda self, now: [])
    assert silence(LiveStates())


def test_a_stale_writer_is_caught() -> None:
    run = Run(SCENE, stream(1))
    assert through_every_fault(run) == []
    last = run.moves[-1]
    run.moves.append(msgspec.structs.replace(last, writer="actor-1"))
    run.moves.append(msgspec.structs.replace(last, generation=1))
    details = [
        violation.detail
        for violation in check(run.history, run.stored())
        if violation.invariant == "I4"
    ]
    assert any("its owner is" in detail for detail in details)
    assert any("wrote after generation" in detail for detail in details)
