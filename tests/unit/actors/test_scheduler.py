"""One camera's flood is not its neighbours' wait: bounded work per turn."""

import asyncio
from types import SimpleNamespace
from typing import Any

from actors.core.camera.mailbox import Mailbox
from actors.core.messages.deliveries import Data, Item
from actors.core.settings import CameraSettings
from actors.hosted_camera import Hosted
from actors.scheduler import TURN_ITEMS, CameraScheduler
from tests.support.waiting import until


def hosted(camera: str, **settings: Any) -> Hosted:
    core: Any = SimpleNamespace()
    return Hosted(camera, "site", 1, core, "e1", 0, Mailbox(CameraSettings(**settings)))


def data(camera: str, first_seq: int, count: int) -> Data:
    return Data(camera, "h/1", "s1", first_seq, 0, "json", [b"x"] * count)


class Log:
    """What was stepped, in order, as (camera, observations)."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int]] = []
        self.asked: list[str] = []
        self.turns = CameraScheduler(self.step, lambda hosted: self.asked.append(hosted.camera))

    def step(self, hosted: Hosted, items: list[Item]) -> None:
        """Note a step."""
        self.steps.append(
            (hosted.camera, sum(len(item.items) for item in items if isinstance(item, Data)))
        )

    async def drained(self, *wanted: Hosted) -> None:
        """Run until nothing of these waits."""
        task = asyncio.create_task(self.turns.run())
        await until(lambda: not any(self.turns.waits(h.camera) for h in wanted))
        self.turns.end()
        await task


async def test_a_short_delivery_is_stepped_at_once() -> None:
    log = Log()
    assert log.turns.put(hosted("a"), [data("a", 1, TURN_ITEMS)]) == []
    assert log.steps == [("a", TURN_ITEMS)]


async def test_a_flood_is_cut_into_turns_that_alternate_with_its_neighbours() -> None:
    log, loud, other = Log(), hosted("loud"), hosted("other")
    log.turns.put(loud, [data("loud", 1, 5 * TURN_ITEMS)])
    log.turns.put(other, [data("other", 1, 2 * TURN_ITEMS)])
    assert log.turns.held == 7 * TURN_ITEMS
    log.turns.put(hosted("quiet"), [data("quiet", 1, 1)])
    assert log.steps == [("quiet", 1)]
    await log.drained(loud, other)
    assert [camera for camera, _ in log.steps[1:]] == [
        "loud",
        "other",
        "loud",
        "other",
        "loud",
        "loud",
        "loud",
    ]
    assert all(count <= TURN_ITEMS for _, count in log.steps)


async def test_order_holds_for_a_camera_that_waits() -> None:
    log, camera = Log(), hosted("a")
    log.turns.put(camera, [data("a", 1, 2 * TURN_ITEMS)])
    log.turns.put(camera, [data("a", 2 * TURN_ITEMS + 1, 1)])
    assert log.steps == []
    await log.drained(camera)
    assert sum(count for _, count in log.steps) == 2 * TURN_ITEMS + 1


async def test_what_was_refused_is_asked_for_once_the_mailbox_is_empty() -> None:
    log, camera = Log(), hosted("a", mailbox_items=100)
    log.turns.put(camera, [data("a", 1, 100)])
    assert log.turns.put(camera, [data("a", 101, 50)]) != []
    await log.drained(camera)
    assert log.asked == ["a"]


async def test_what_waits_for_a_core_that_is_thrown_away_is_forgotten() -> None:
    log, camera = Log(), hosted("a")
    log.turns.put(camera, [data("a", 1, 100)])
    log.turns.forget(camera)
    assert (log.turns.held, log.turns.waits("a")) == (0, False)
