"""Who keeps the supervisor at work: when it is said not to work, and when that ends."""

import logging
from dataclasses import dataclass, field

import pytest

from actors.core.errors import Unavailable
from actors.supervision import IDLE_S, LOST_S, SupervisorWatch, Turn


@dataclass
class Supervisor:
    """`actors.supervision.Watched` with a switch: None does not answer."""

    answer: Turn | None = field(default_factory=lambda: Turn(0.1, "n1", 7, 70))
    asked: int = 0

    async def turn(self) -> Turn:
        """The answer."""
        self.asked += 1
        if self.answer is None:
            raise Unavailable("supervisor is gone")
        return self.answer


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_silence_is_told_once_after_its_time_and_so_is_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, supervisor = Clock(), Supervisor()
    watch = SupervisorWatch(supervisor, now=clock)
    await watch.look()
    supervisor.answer = None
    clock.now += LOST_S - 0.1
    await watch.look()
    assert watch.problem() is None
    caplog.set_level(logging.WARNING, logger="eyrie.supervision")
    for _ in range(3):
        clock.now += 2.0
        await watch.look()
    assert "supervisor is gone" in (watch.problem() or "")
    assert "nothing that fails is replaced" in (watch.problem() or "")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    supervisor.answer = Turn(0.0)
    await watch.look()
    assert watch.problem() is None
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_one_that_answers_and_compares_nothing_does_not_work() -> None:
    clock, supervisor = Clock(), Supervisor(Turn(IDLE_S + 1.0))
    watch = SupervisorWatch(supervisor, now=clock)
    clock.now += LOST_S
    await watch.look()
    assert "its last comparison is 9 s old" in (watch.problem() or "")


async def test_it_is_asked_again_for_ever_and_mended_with_what_it_said_last() -> None:
    clock, supervisor = Clock(), Supervisor()
    mended: list[tuple[Turn | None, float]] = []

    async def mend(turn: Turn | None, silent_s: float) -> bool:
        mended.append((turn, silent_s))
        raise Unavailable("Ray is away too")

    watch = SupervisorWatch(supervisor, mend=mend, now=clock)
    await watch.look()
    supervisor.answer = None
    for _ in range(4):
        clock.now += 4.0
        await watch.look()
    assert supervisor.asked == 5
    assert mended == [
        (Turn(0.1, "n1", 7, 70), 8.0),
        (Turn(0.1, "n1", 7, 70), 12.0),
        (Turn(0.1, "n1", 7, 70), 16.0),
    ]


async def test_the_silence_of_the_next_one_counts_from_the_end_of_the_last() -> None:
    clock, supervisor = Clock(), Supervisor()
    silences: list[float] = []

    async def mend(turn: Turn | None, silent_s: float) -> bool:
        silences.append(silent_s)
        return silent_s >= 12.0

    watch = SupervisorWatch(supervisor, mend=mend, now=clock)
    await watch.look()
    supervisor.answer = None
    for _ in range(5):
        clock.now += 4.0
        await watch.look()
    assert silences == [8.0, 12.0, 4.0, 8.0]
    assert "for 20 s" in (watch.problem() or "")
