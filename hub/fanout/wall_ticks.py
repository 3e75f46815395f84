"""The ticks of the walls: what changed since the last one goes out in one message per wall."""

import asyncio
import time

from hub.fanout.fanout import Fanout
from hub.fanout.topics import Topic


async def tick(topics: dict[str, Topic], fanout: Fanout, hz: float) -> None:
    """Tick `hz` times a second until cancelled; ticks that came too late are left out."""
    period = 1.0 / hz
    due = time.monotonic()
    while True:
        due = max(due + period, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
        show(topics, fanout, time.monotonic())


def show(topics: dict[str, Topic], fanout: Fanout, now: float) -> None:
    """One tick of every wall. `now` is monotonic seconds."""
    for topic in list(topics.values()):
        if topic.wall is not None and (changed := topic.wall.end_tick(now)):
            topic.show_wall(fanout, changed)
