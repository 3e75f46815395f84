"""Rows to columns, and finding what can never be stored."""

import msgspec
import pytest

from actors.core.messages.commits import Position
from actors.core.messages.events import CHAIN_START
from storage.postgres.rows import (
    columns,
    event_columns,
    find_poison,
    letter_columns,
    position_columns,
    storable,
)
from tests.support.store_rows import event_of, letter_of, row_of

AT = Position("session-1", 4, "e1", 2, CHAIN_START)


def test_columns_turn_rows() -> None:
    assert columns([(1, "a"), (2, "b")], 2) == [[1, 2], ["a", "b"]]
    assert columns([], 3) == [[], [], []]


def test_the_widths_fit_the_statement() -> None:
    rows = [
        row_of("cam-1", 1, AT, events=[event_of("cam-1", AT)], letters=[letter_of(1)]),
        row_of("cam-2", 1, AT),
    ]
    widths = [len(position_columns(rows)), len(event_columns(rows)), len(letter_columns(rows))]
    assert widths == [12, 16, 7]
    assert [len(position_columns([])), len(event_columns([])), len(letter_columns([]))] == widths


@pytest.mark.parametrize(
    ("text", "kept"), [("plain", "plain"), ("a\x00b", "a\ufffdb"), ("é…", "é…")]
)
def test_storable_texts(text: str, kept: str) -> None:
    assert storable(text) == kept


def test_storable_replaces_lone_surrogates() -> None:
    storable("a\ud800b").encode("utf-8")


def test_no_poison_in_good_rows() -> None:
    assert (
        find_poison(
            [
                row_of(
                    "cam-1",
                    1,
                    AT,
                    events=[event_of("cam-1", AT, label="é")],
                    letters=[letter_of(1)],
                )
            ]
        )
        is None
    )


def test_poison_names_the_camera_and_the_reason() -> None:
    good = row_of("cam-1", 1, AT)
    event = event_of("cam-2", AT)
    surrogate = msgspec.structs.replace(
        event, event=msgspec.structs.replace(event.event, label="\ud800")
    )
    for bad, why in (
        (msgspec.structs.replace(row_of("cam-2", 1, AT), owner="a\x00"), "NUL"),
        (row_of("cam-2", 1, AT, events=[surrogate]), "surrogate"),
        (row_of("cam-2", 2**63, AT), "64 bits"),
    ):
        found = find_poison([good, bad])
        assert found is not None
        assert found.camera == "cam-2"
        assert why in found.detail
