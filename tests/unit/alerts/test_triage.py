"""Triage as a table of ISA-18.2, and what acts make of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import BadInput, Conflict
from alerts.triage import Asked, State, decide, state_of
from storage.ports.alerts import AlertRow, AlertWork

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROW = AlertRow(
    "gate", "forced", "", "north", "critical", True, 1, NOW, "gate/e1/1", NOW, AlertWork(), NOW
)


def after(row: AlertRow, act: Any, who: str = "ann", **asked: Any) -> AlertRow:
    work = decide(row, Asked(act, who, **asked))
    return msgspec.structs.replace(
        row, work=msgspec.structs.replace(work, version=work.version + 1)
    )


def later(row: AlertRow, seconds: float, **condition: Any) -> AlertRow:
    return msgspec.structs.replace(row, now=row.now + timedelta(seconds=seconds), **condition)


@pytest.mark.parametrize(
    ("active", "occurrences", "acknowledged", "state"),
    [
        (True, 1, 0, "unacknowledged"),
        (True, 1, 1, "acknowledged"),
        (False, 1, 0, "returned"),
        (False, 1, 1, "normal"),
        (True, 2, 1, "unacknowledged"),
        (False, 2, 1, "returned"),
    ],
)
def test_the_states_of_isa_182(
    active: bool, occurrences: int, acknowledged: int, state: State
) -> None:
    work = AlertWork(acknowledged=acknowledged)
    row = msgspec.structs.replace(ROW, active=active, occurrences=occurrences, work=work)
    assert state_of(row) == state


def test_what_comes_out_of_a_shelf_is_as_new() -> None:
    seen = after(ROW, "acknowledge", occurrence=1)
    shelved = after(seen, "shelve", note="works", for_s=600.0)
    assert state_of(shelved) == "shelved"
    assert state_of(later(shelved, 599)) == "shelved"
    assert state_of(later(shelved, 601)) == "unacknowledged"
    assert state_of(later(shelved, 601, active=False)) == "returned"
    assert state_of(after(shelved, "unshelve")) == "unacknowledged"


def test_to_confirm_is_more_than_to_acknowledge() -> None:
    with pytest.raises(Conflict, match="not acknowledged"):
        after(ROW, "confirm", occurrence=1)
    confirmed = after(after(ROW, "acknowledge", occurrence=1), "confirm", "bob", occurrence=1)
    assert (confirmed.work.confirmed, confirmed.work.confirmed_by) == (1, "bob")
    with pytest.raises(Conflict, match="bob has confirmed"):
        after(confirmed, "confirm", occurrence=1)


@pytest.mark.parametrize(
    ("act", "asked"),
    [
        ("acknowledge", {}),
        ("verdict", {}),
        ("note", {"note": " "}),
        ("shelve", {"for_s": 60.0}),
        ("shelve", {"note": "why"}),
        ("shelve", {"note": "why", "for_s": 8 * 3600 + 1.0}),
    ],
)
def test_what_lacks_something_is_refused(act: Any, asked: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        after(ROW, act, **asked)


ACTS = st.sampled_from(
    ["acknowledge", "confirm", "assign", "verdict", "note", "shelve", "unshelve"]
)


@given(st.lists(st.one_of(ACTS, st.sampled_from(["raise", "clear", "wait"])), max_size=30))
def test_nothing_is_ever_just_quiet(steps: list[str]) -> None:
    """Whatever people and the camera do: what is raised and not seen at its newest occurrence is
    listed, or shelved with an owner, a reason and an end."""
    row = ROW
    for step in steps:
        if step == "raise":
            row = later(row, 1, active=True, occurrences=row.occurrences + 1)
        elif step == "clear":
            row = later(row, 1, active=False)
        elif step == "wait":
            row = later(row, 3_000)
        else:
            more: dict[str, Any] = {"verdict": "test", "note": "n", "for_s": 600.0}
            more["occurrence"] = row.occurrences
            try:
                row = after(row, step, **more)
            except Conflict:
                continue
        state, work = state_of(row), row.work
        if state == "shelved":
            assert work.shelved_by
            assert work.shelved_reason
            assert work.shelved_until is not None
            assert work.shelved_until <= row.now + timedelta(hours=8)
        elif work.acknowledged < row.occurrences:
            assert state in ("unacknowledged", "returned")
        else:
            assert work.acknowledged_by
