"""Recovery: all or nothing, and the merge that closes the subscribe race."""

from hypothesis import given
from hypothesis import strategies as st

from hub.fanout.recovery import MAX_RECOVERED, Item, fresh, merge, outcome, recover
from hub.fanout.streams import MissingPublications, StreamReset, TopicPosition
from hub.protocol.messages import SubscribeRequest, SubscribeResult


def items(*offsets: int) -> list[Item]:
    return [Item(offset, b"%d" % offset) for offset in offsets]


def test_history_and_buffer_are_merged_once_each_and_in_order() -> None:
    assert merge(items(3, 4, 5), items(5, 6, 7), 2) == items(3, 4, 5, 6, 7)
    assert merge(items(), items(4, 3), 2) == items(3, 4)
    assert merge(items(1, 2), items(), 2) == []
    assert merge(items(3), items(5), 2) is None
    assert merge(items(4), items(), 2) is None


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_whatever_the_overlap_nothing_is_lost_or_doubled(
    after: int, read: int, overlap: int
) -> None:
    top = after + read
    history = items(*range(after + 1, top + 1))
    buffered = items(*range(max(1, top - overlap), top + 4))
    merged = merge(history, buffered, after)
    assert merged == items(*range(after + 1, top + 4))


def test_recovery_is_all_or_nothing() -> None:
    assert recover("e", 3, "e", 5, items(4, 5)).publications == items(4, 5)
    assert recover("e", 3, "e", 5, items(4, 5)).offset == 3
    assert recover("", 0, "e", 2, items(1, 2)).recovered
    assert recover("e", 5, "e", 5, []).recovered
    for lost in (
        recover("x", 3, "e", 5, items(4, 5)),
        recover("", 3, "e", 5, items(4, 5)),
        recover("e", 3, "e", 5, items(5)),
        recover("e", 3, "e", 5, []),
        recover("e", 9, "e", 5, []),
        recover("e", 0, "e", MAX_RECOVERED + 1, items(*range(1, MAX_RECOVERED + 2))),
    ):
        assert (lost.recovered, lost.offset, lost.epoch, lost.publications) == (
            False,
            lost.position,
            "e",
            [],
        )
    assert recover("e", 0, "e", MAX_RECOVERED, items(*range(1, MAX_RECOVERED + 1))).recovered
    assert fresh("e", 7).position == 7


def test_why_a_place_is_lost_is_told() -> None:
    def why(epoch: str, offset: int) -> str:
        asked = SubscribeRequest(channel="events:site:north", epoch=epoch, offset=offset)
        return outcome(asked, SubscribeResult(epoch="e", offset=5))

    assert [why("x", 3), why("", 3), why("e", 9), why("e", 3), why("", 0)] == [
        "epoch",
        "epoch",
        "ahead",
        "retention",
        "retention",
    ]


def test_a_stream_passes_on_what_continues_it() -> None:
    stream = TopicPosition()
    assert not stream.known
    assert stream.receive("e", items(5)[0]) == items(5)
    assert stream.receive("e", items(6)[0]) == items(6)
    assert stream.receive("e", items(6)[0]) == []
    assert stream.receive("e", items(2)[0]) == []


def test_a_hole_holds_back_what_lies_beyond_it_until_it_is_filled() -> None:
    stream = TopicPosition()
    stream.start("e", 3)
    assert stream.receive("e", items(6)[0]) == MissingPublications(3)
    assert stream.receive("e", items(7)[0]) == []
    assert stream.lacks(9) is None
    assert stream.fill(items(4, 5, 6)) == items(4, 5, 6, 7)
    assert (stream.offset, stream.filling) == (7, False)
    assert stream.lacks(7) is None
    assert stream.lacks(8) == MissingPublications(7)
    assert stream.fill([]) == []


def test_a_hole_that_stays_and_another_epoch_reset_the_stream() -> None:
    stream = TopicPosition()
    stream.start("e", 3)
    stream.receive("e", items(6)[0])
    assert stream.fill(items(5)) is None
    stream.start("e", 3)
    assert stream.receive("f", items(1)[0]) == StreamReset("f", items(1)[0])


@given(st.lists(st.integers(1, 12), max_size=40))
def test_a_stream_never_passes_on_twice_or_out_of_order(offsets: list[int]) -> None:
    stream = TopicPosition()
    stream.start("e", 0)
    seen: list[int] = []
    for offset in offsets:
        outcome = stream.receive("e", items(offset)[0])
        if isinstance(outcome, MissingPublications):
            outcome = stream.fill(items(*range(outcome.after + 1, max(offsets) + 1))) or []
        assert isinstance(outcome, list)
        seen += [item.offset for item in outcome]
    assert seen == list(range(1, len(seen) + 1))
