"""`consume.judging`: every message of a camera is the next one, one of before, or behind a hole."""

import itertools

import pytest

from connectors.sinks.envelope import hole
from connectors.sinks.stream_places import message_headers
from consume.errors import NotOurs
from consume.judging import Mark, Message, declared, judge, marked, read


def message(offset: int, previous: str = "", epoch: str = "e1", camera: str = "c1") -> Message:
    id = f"{camera}/{epoch}/{offset}"
    return Message(
        offset, id, "eyrie.zone.entered.v1", "s", camera, epoch, offset, previous, {}, b"{}"
    )


def chain(*offsets: int) -> list[Message]:
    """Messages that name each other; between them a filter may have left some out."""
    found, before = [], ""
    for offset in offsets:
        found.append(message(offset, before))
        before = found[-1].id
    return found


def test_a_chain_is_followed_whatever_a_filter_left_out() -> None:
    mark = Mark()
    for one in chain(1, 2, 7, 9):
        assert judge(mark, one) == "next"
        mark = marked(one)
        assert judge(mark, one) == "seen"


def test_any_run_of_resends_has_each_effect_once_and_any_loss_is_a_hole() -> None:
    messages = chain(1, 2, 3, 4)
    for order in itertools.product(range(4), repeat=5):
        mark, effects = Mark(), []
        for place in order:
            verdict = judge(mark, messages[place])
            if verdict == "next":
                effects.append(place)
                mark = marked(messages[place])
            expected = "seen" if place in effects and verdict != "next" else verdict
            assert verdict == expected
            assert verdict != "hole" or place > len(effects)
        assert effects == list(range(len(effects)))


def test_a_new_epoch_goes_on_where_it_names_the_last_one() -> None:
    (first,) = chain(5)
    renewed = message(1, first.id, epoch="e2")
    assert judge(marked(first), renewed) == "next"
    assert judge(marked(renewed), first) == "seen"
    assert judge(marked(first), message(2, "c1/e2/1", epoch="e2")) == "hole"


def test_what_eyrie_says_is_not_coming_is_read_as_such() -> None:
    told = hole("s", "c1", "e1", 3, 5, "c1/e1/2", why="not theirs", lost=False)
    headers = {name.lower(): value for name, value in message_headers(told).items()}
    found = read(9, headers, told.data)
    assert (found.declared, judge(Mark("c1/e1/2", "e1", 2), found)) == (True, "next")
    said = declared(Mark("c1/e1/2", "e1", 2), found)
    assert (said.declared, said.reason) == (True, "3..5: not theirs")


@pytest.mark.parametrize("headers", [{}, {"ce-id": "x"}, {"ce-sequence": "no"}])
def test_what_is_not_ours_is_told(headers: dict[str, str]) -> None:
    with pytest.raises(NotOurs):
        read(1, headers, b"")
