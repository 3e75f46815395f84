"""What is published while a subscribe is under way is held for it, and for nobody else, within a
bound."""

import pytest

from actors.core.errors import Unavailable
from hub.fanout.joining import MAX_BUFFERED, Joining


def test_each_subscribe_holds_what_came_while_it_lasted() -> None:
    joining: Joining[int] = Joining()
    joining.publish(1)
    with joining.buffer() as first:
        joining.publish(2)
        with joining.buffer() as second:
            joining.publish(3)
        joining.publish(4)
    assert (first, second, len(joining)) == ([2, 3, 4], [3], 0)


def test_one_that_ends_takes_no_publication_from_another_that_holds_the_same() -> None:
    joining: Joining[int] = Joining()
    with joining.buffer() as first:
        with joining.buffer():
            pass
        joining.publish(1)
    assert first == [1]


def test_more_than_can_be_held_refuses_the_subscribe_and_an_error_goes_its_own_way() -> None:
    joining: Joining[int] = Joining()

    def flood() -> None:
        with joining.buffer():
            for number in range(MAX_BUFFERED + 5):
                joining.publish(number)

    with pytest.raises(Unavailable):
        flood()
    with pytest.raises(LookupError), joining.buffer():
        raise LookupError("of its own")
    assert len(joining) == 0
