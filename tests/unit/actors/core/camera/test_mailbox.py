"""What waits for a camera's turn is bounded in items, bytes and age, and nothing that credits
admitted is lost by it."""

from actors.core.camera.mailbox import MAX_CONTROL, Mailbox, split
from actors.core.messages.deliveries import Alive, Attach, Data, DeclareGap, Detach
from actors.core.settings import CameraSettings


def data(first_seq: int, count: int, *, size: int = 10) -> Data:
    return Data("cam", "h/1", "s1", first_seq, 0, "json", [b"x" * size] * count)


def mailbox(**settings: int | float) -> Mailbox:
    return Mailbox(CameraSettings(**settings))  # type: ignore[arg-type]


def test_items_come_out_in_order_and_in_bounded_turns() -> None:
    box = mailbox()
    attach, gap = (
        Attach("cam", "h/1", "s1", 1, 0),
        DeclareGap("cam", "h/1", "s1", 51, 60, "shed", 0),
    )
    for item in (attach, data(1, 50), gap, data(61, 2)):
        assert box.offer(item, 0.0)
    assert box.items == 53
    seen = []
    while len(box):
        turn = box.take(20)
        assert sum(len(item.items) for item in turn if isinstance(item, Data)) <= 20
        seen += turn
    assert seen[0] is attach
    assert [(item.first_seq, len(item.items)) for item in seen if isinstance(item, Data)] == [
        (1, 20),
        (21, 20),
        (41, 10),
        (61, 2),
    ]
    assert seen.index(gap) == 4
    assert (box.items, box.bytes) == (0, 0)


def test_a_cut_delivery_keeps_its_items_in_their_places() -> None:
    items = [b"%d" % seq for seq in range(10, 16)]
    head, tail = split(Data("cam", "h/1", "s1", 10, 0, "json", items), 3)
    assert (head.first_seq, head.items) == (10, items[:3])
    assert (tail.first_seq, tail.items) == (13, items[3:])


def test_it_is_bounded_in_items_bytes_and_age() -> None:
    box = mailbox(mailbox_items=100, mailbox_bytes=65_536, mailbox_age_s=2.0)
    assert box.offer(data(1, 100), 0.0)
    assert not box.offer(data(101, 1), 0.0)
    assert box.refused
    box.clear()
    assert box.offer(data(1, 6, size=10_000), 0.0)
    assert not box.offer(data(7, 1, size=10_000), 0.0)
    box.clear()
    assert box.offer(data(1, 1), 0.0)
    assert box.offer(data(2, 1), 2.0)
    assert not box.offer(data(3, 1), 2.1)


def test_after_a_refusal_nothing_is_taken_until_it_was_asked_for() -> None:
    box = mailbox(mailbox_items=10)
    box.offer(data(1, 10), 0.0)
    box.offer(data(11, 5), 0.0)
    box.take(8)
    assert not box.offer(data(16, 1), 0.0)  # a hole: it would have to come again all the same
    assert box.refused_items == 6


def test_an_empty_mailbox_takes_whatever_one_call_may_bring() -> None:
    assert mailbox(mailbox_items=1).offer(data(1, 500), 0.0)


def test_goodbyes_always_have_room_and_signs_of_life_need_none() -> None:
    box = mailbox(mailbox_items=1)
    box.offer(data(1, 5), 0.0)
    for number in range(MAX_CONTROL):
        assert box.offer(Attach("cam", f"h/{number}", "s1", 1, 0), 0.0)
    assert not box.offer(Attach("cam", "h/x", "s1", 1, 0), 0.0)
    assert box.offer(Detach("cam", "h/1", 0, True, "bye"), 0.0)
    before = len(box)
    assert box.offer(Alive("cam", "h/1", 0), 0.0)
    assert len(box) == before
