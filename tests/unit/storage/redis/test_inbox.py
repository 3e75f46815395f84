"""The bounded queue of what a hub received."""

import asyncio

from storage.ports.live import BrokerMessage
from storage.redis.inbox import LOST, OVERFLOWED, RESUBSCRIBED, Inbox


def state(version: int) -> BrokerMessage:
    return BrokerMessage("state", "s", "c", 1, version)


async def drained(inbox: Inbox) -> list[object]:
    return [
        p.version if p.kind == "state" else p.body
        for p in [await inbox.get() for _ in range(len(inbox))]
    ]


async def test_first_in_first_out() -> None:
    inbox = Inbox()
    for version in (1, 2, 3):
        inbox.add(state(version), 10)
    assert await drained(inbox) == [1, 2, 3]


async def test_a_reader_waits_for_the_first() -> None:
    inbox = Inbox()
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    assert not reading.done()
    inbox.add(state(1), 1)
    assert (await reading).version == 1


async def test_overflow_by_items_empties_and_tells() -> None:
    inbox = Inbox(max_items=3)
    for version in range(1, 6):
        inbox.add(state(version), 1)
    assert await drained(inbox) == [OVERFLOWED, 4, 5]
    assert inbox.overflows == 1


async def test_overflow_by_bytes() -> None:
    inbox = Inbox(max_bytes=100)
    inbox.add(state(1), 60)
    inbox.add(state(2), 60)
    assert await drained(inbox) == [OVERFLOWED, 2]
    inbox.add(state(3), 90)
    assert await drained(inbox) == [3], "what was read no longer counts"


async def test_a_loss_is_told_once_and_survives_an_overflow() -> None:
    inbox = Inbox(max_items=2)
    inbox.notify(LOST)
    inbox.notify(LOST)
    assert len(inbox) == 1
    inbox.add(state(1), 1)
    inbox.add(state(2), 1)
    assert await drained(inbox) == [OVERFLOWED, LOST, 2]
    inbox.notify(RESUBSCRIBED)
    inbox.notify(LOST)
    assert await drained(inbox) == [RESUBSCRIBED, LOST]
