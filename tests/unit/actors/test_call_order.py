"""Calls that overtake each other are taken in the order in which they were sent."""

import asyncio

from actors.call_order import MAX_QUEUES, CallOrder
from actors.core.messages.deliveries import Numbered


async def _note(order: CallOrder, number: int, seen: list[int], *, queue: str = "q") -> None:
    await order.turn("hub", Numbered(queue, number))
    seen.append(number)


async def test_an_overtaking_call_waits_for_the_one_before_it() -> None:
    order, seen = CallOrder(overtaken_s=30.0), list[int]()
    async with asyncio.TaskGroup() as tasks:
        for number in (3, 1, 2, 5, 4):
            tasks.create_task(_note(order, number, seen))
    assert seen == [1, 2, 3, 4, 5]


async def test_a_call_that_never_comes_is_not_waited_for_long() -> None:
    order, seen = CallOrder(overtaken_s=0.01), list[int]()
    await _note(order, 2, seen)
    await _note(order, 1, seen)
    await _note(order, 3, seen)
    assert seen == [2, 1, 3], "what comes late is taken at once: order is by seq alone"


async def test_another_queue_of_the_same_hub_begins_anew() -> None:
    order, seen = CallOrder(overtaken_s=30.0), list[int]()
    await _note(order, 1, seen)
    await _note(order, 1, seen, queue="another")
    await _note(order, 2, seen)
    assert seen == [1, 1, 2]


async def test_the_queues_known_are_bounded() -> None:
    order, seen = CallOrder(overtaken_s=0.0), list[int]()
    for number in range(MAX_QUEUES + 10):
        await _note(order, 1, seen, queue=str(number))
    assert len(order._lines) == MAX_QUEUES
