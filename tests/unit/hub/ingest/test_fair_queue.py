"""Every camera has its turn in a hub's queue to an actor."""

from hub.ingest.fair_queue import FairQueue


def filled(*entries: tuple[str, bytes]) -> FairQueue:
    queue = FairQueue()
    for camera, item in entries:
        queue.put(camera, item)
    return queue


def test_a_flood_does_not_stand_before_a_neighbour() -> None:
    queue = filled(
        *[("loud", b"L%d" % number) for number in range(5)], ("quiet", b"Q0"), ("quiet", b"Q1")
    )
    assert queue.take(1_000, 100) == [b"L0", b"Q0", b"L1", b"Q1", b"L2", b"L3", b"L4"]
    assert (len(queue), queue.bytes) == (0, 0)


def test_bounds_are_kept_and_the_first_item_always_goes() -> None:
    queue = filled(("a", b"x" * 50), ("b", b"y" * 10), ("a", b"z" * 10))
    assert queue.take(20, 100) == [b"x" * 50]
    assert queue.take(100, 1) == [b"y" * 10]
    assert (len(queue), queue.bytes) == (1, 10)
    queue.clear()
    assert queue.take(100, 100) == []
