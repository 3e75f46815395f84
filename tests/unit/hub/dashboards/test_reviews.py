"""Asking policy again about who watches: in order, of whom the last answer was too old, and with an
end where access ends."""

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from actors.core.errors import Forbidden
from hub.access.redaction import View
from hub.dashboards.timed.reauthorization import Reviews
from hub.fanout.fanout import Fanout
from hub.protocol import channels, disconnects
from tests.support.waiting import until

CHANNEL = "camera:gate"


class Policy:
    """Answers of the policy, in the order of the questions; each may be held."""

    def __init__(self) -> None:
        self.revocations: Any = None
        self.log: list[str] = []
        self.held: list[asyncio.Event] = []
        self.denies = False

    def now_s(self) -> float:
        return 0.0

    async def require_connect(self, principal: Any) -> None:
        """Everybody may."""

    async def view(self, *_question: Any) -> tuple[View, float | None]:
        number = sum(line.startswith("asked") for line in self.log) + 1
        self.log.append(f"asked {number}")
        if number <= len(self.held):
            await self.held[number - 1].wait()
        self.log.append(f"told {number}")
        if self.denies:
            raise Forbidden("not any more")
        return View(), None


class Watcher:
    """What a review sees of a dashboard."""

    def __init__(self) -> None:
        self.principal = object()
        self.closing = False
        self.session = SimpleNamespace(client="w", channels={CHANNEL: channels.parse(CHANNEL)})
        self.groups: dict[str, Any] = {}
        self.ended: list[tuple[str, Any]] = []

    def asked(self, name: str) -> None:
        return None

    def unsubscribe(self, name: str, close: Any) -> None:
        self.ended.append((name, close))

    def drop(self, close: Any) -> None:
        self.closing = True


class ReviewRig:
    def __init__(self) -> None:
        self.policy = Policy()
        self.watcher = Watcher()
        self.spawned: list[str] = []
        self.reviews = Reviews(
            self.policy,  # type: ignore[arg-type]
            {},
            [self.watcher],  # type: ignore[arg-type]
            Fanout(),
            self._spawn,
            lambda dashboard: False,
        )

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self.spawned.append(name)
        work.close()


@pytest.fixture
def rig() -> ReviewRig:
    return ReviewRig()


async def test_the_review_that_was_asked_for_last_is_also_done_last(rig: ReviewRig) -> None:
    """An answer of the policy before, which comes late, must not undo the newer one."""
    rig.policy.held = [asyncio.Event()]
    first = asyncio.create_task(rig.reviews.one(rig.watcher))  # type: ignore[arg-type]
    await until(lambda: rig.policy.log == ["asked 1"])
    second = asyncio.create_task(rig.reviews.one(rig.watcher))  # type: ignore[arg-type]
    for _ in range(5):
        await asyncio.sleep(0)
    rig.policy.held[0].set()
    await asyncio.gather(first, second)
    assert rig.policy.log == ["asked 1", "told 1", "asked 2", "told 2"]


async def test_a_subscription_that_policy_allows_no_more_ends(rig: ReviewRig) -> None:
    rig.policy.denies = True
    await rig.reviews.one(rig.watcher)  # type: ignore[arg-type]
    assert rig.watcher.ended == [(CHANNEL, disconnects.UNSUBSCRIBED_STATE_INVALIDATED)]


async def test_a_decision_that_was_under_way_while_the_policy_changed_is_reviewed(
    rig: ReviewRig,
) -> None:
    before = rig.reviews.turn
    rig.reviews.if_older(rig.watcher, before)  # type: ignore[arg-type]
    assert rig.spawned == []
    rig.reviews.policy_changed("r2")
    rig.spawned.clear()
    rig.reviews.if_older(rig.watcher, before)  # type: ignore[arg-type]
    assert rig.spawned == ["review of one dashboard"]
    rig.reviews.if_older(rig.watcher, rig.reviews.turn)  # type: ignore[arg-type]
    assert rig.spawned == ["review of one dashboard"]


async def test_cameras_that_changed_make_decisions_under_way_old_too(rig: ReviewRig) -> None:
    before = rig.reviews.turn
    rig.reviews.cameras_changed({"north"}, {"gate"}, lambda: None)
    assert rig.reviews.turn > before


async def test_a_start_is_tried_again_while_the_policy_changes_below_it(rig: ReviewRig) -> None:
    made: list[int] = []
    undone: list[int] = []

    async def work() -> int:
        made.append(len(made))
        if len(made) == 1:
            rig.reviews.turn += 1
        return made[-1]

    assert await rig.reviews.settled(work, lambda: undone.append(made[-1])) == 1
    assert undone == [0]
