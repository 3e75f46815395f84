"""A hub is ended that lives and does nothing, and no other: not a slow one, not one that
answers, not one of another machine."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from actors.core.errors import Unavailable
from actors.core.task_set import TaskSet
from cluster.supervisor.models import ServiceState
from cluster.supervisor.services import Service, Services
from cluster.supervisor.standstill import Activity, Standstill, StandstillWatch, activity_of
from tests.support.cluster.supervisor_rig import Rig as ClusterRig
from tests.support.doubles.fleet_stores import MemoryActors, MemoryCameras
from tests.support.doubles.machines import FakeMachine, FakeProcess
from tests.support.processes import frozen, gone
from tests.support.waiting import until

HERE = "node-1"


def looks(*seen: Activity, every_s: float = 1.0) -> list[bool]:
    """Whether a process was taken to stand still, at each look."""
    standstill = Standstill()
    return [
        bool(standstill.still({"hub-0": one}, number * every_s)) for number, one in enumerate(seen)
    ]


def test_who_has_not_run_for_four_seconds_stands_still() -> None:
    same = Activity(started=7, ran=100, at_rest=True)
    assert looks(*[same] * 6) == [False, False, False, False, True, True]


@pytest.mark.parametrize(
    "woke",
    [
        Activity(started=7, ran=101, at_rest=True),  # it got a tick of a processor
        Activity(started=7, ran=100, at_rest=False),  # it would run if it were let
        Activity(started=8, ran=100, at_rest=True),  # it is another process
    ],
    ids=["slow", "starved", "another"],
)
def test_one_sign_of_life_and_its_time_begins_again(woke: Activity) -> None:
    same = Activity(started=7, ran=100, at_rest=True)
    assert looks(same, same, same, woke, same, same, same, same) == [False] * 8
    assert not any(looks(*[woke, same] * 10))


def test_a_starved_process_does_not_stand_still_however_long() -> None:
    assert not any(looks(*[Activity(started=7, ran=100, at_rest=False)] * 30))


def test_a_looker_that_stood_still_itself_looks_again_first() -> None:
    same = Activity(started=7, ran=100, at_rest=True)
    assert looks(same, same, same, same, every_s=60.0) == [False, False, False, True]


class Asked(FakeProcess):
    """Answers, or not."""

    answers = False
    questions = 0

    async def load(self, timeout_s: float) -> float:
        self.questions += 1
        if not self.answers:
            raise Unavailable("no answer")
        return 0.0


@contextmanager
def sleeper() -> Iterator[int]:
    """A process that is stopped."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        os.kill(process.pid, signal.SIGSTOP)
        yield process.pid
    finally:
        process.kill()
        process.wait()


class Rig:
    """A watch over one hub that is the process `pid` on `node`. `heard`: it has answered this
    supervisor, else only who started it knows where it is."""

    def __init__(
        self,
        pid: int,
        node: str = HERE,
        state: str = "ready",
        kind: str = "hub",
        heard: bool = True,
    ) -> None:
        machine = FakeMachine(MemoryCameras(), MemoryActors())
        self.process = Asked(machine, "hub-0")
        services = Services(
            {}, TaskSet(logging.getLogger("test")), start_timeout_s=1.0, grace_s=1.0
        )
        services.services["hub-0"] = Service("hub-0", kind, 0, state=state, process=self.process)
        if heard:
            services.services["hub-0"].node, services.services["hub-0"].pid = node, pid
        self.place: tuple[str, int] | None = (node, pid)
        self.starter_answers = asyncio.Event()
        self.starter_answers.set()
        self.told: list[tuple[str, str, str]] = []
        self.now = 0.0
        self._watch = StandstillWatch(
            services,
            lambda: HERE,
            lambda *said: self.told.append(said),
            self.where,
            now=lambda: self.now,
        )

    async def where(self, name: str) -> tuple[str, int] | None:
        """What who started it says."""
        await self.starter_answers.wait()
        return self.place

    async def looks(self, count: int) -> None:
        """So many looks, a second apart."""
        for _ in range(count):
            await self._watch.check()
            self.now += 1.0
            await asyncio.sleep(0)


async def test_a_stopped_hub_that_does_not_answer_is_ended() -> None:
    with sleeper() as pid:
        await until(lambda: frozen(pid), what="that it is stopped")
        assert activity_of(pid) is not None
        rig = Rig(pid)
        await rig.looks(4)
        assert (rig.told, rig.process.questions, gone(pid)) == ([], 0, False)
        await rig.looks(1)
        assert [said[:2] for said in rig.told] == [("hub-0", "end")]
        await until(lambda: gone(pid), what="its end")
        await rig.looks(6)
        assert len(rig.told) == 1


@pytest.mark.parametrize(
    ("node", "state", "kind", "answers"),
    [
        (HERE, "ready", "hub", True),
        ("node-2", "ready", "hub", False),
        (HERE, "starting", "hub", True),
        (HERE, "ready", "policy", False),
    ],
    ids=["it-answers", "elsewhere", "it-answers-while-it-opens", "policy"],
)
async def test_who_is_not_to_be_ended_is_not(
    node: str, state: str, kind: str, answers: bool
) -> None:
    with sleeper() as pid:
        await until(lambda: frozen(pid), what="that it is stopped")
        rig = Rig(pid, node, state, kind)
        rig.process.answers = answers
        await rig.looks(10)
        assert (rig.told, gone(pid)) == ([], False)
        assert (rig.process.questions > 0) == answers


@pytest.mark.parametrize(
    ("state", "heard"),
    [("starting", False), ("starting", True), ("draining", True)],
    ids=["found-by-a-new-supervisor", "opening", "told-to-stop"],
)
async def test_a_stopped_hub_is_ended_whatever_was_heard_of_it_before(
    state: str, heard: bool
) -> None:
    with sleeper() as pid:
        await until(lambda: frozen(pid), what="that it is stopped")
        rig = Rig(pid, state=state, heard=heard)
        await rig.looks(7)
        assert [said[:2] for said in rig.told] == [("hub-0", "end")]
        await until(lambda: gone(pid), what="its end")


async def test_no_look_waits_for_who_started_a_hub() -> None:
    with sleeper() as pid:
        await until(lambda: frozen(pid), what="that it is stopped")
        rig = Rig(pid, heard=False)
        rig.starter_answers.clear()
        async with asyncio.timeout(30):
            await rig.looks(10)
        assert (rig.told, gone(pid)) == ([], False)
        rig.starter_answers.set()
        await rig.looks(7)
        assert [said[:2] for said in rig.told] == [("hub-0", "end")]


async def test_a_hub_that_is_started_again_is_no_more_the_process_it_was(
    rigs: Callable[..., ClusterRig],
) -> None:
    rig = rigs()
    await rig.supervisor.start()
    await rig.supervisor.ready(20.0)
    rig.machine.hold_opens = True
    rig.machine.processes["hub-0"].die()

    def hub() -> ServiceState:
        return next(hub for hub in rig.supervisor.snapshot().services if hub.name == "hub-0")

    await until(lambda: hub().state == "starting", what="that it starts again")
    assert hub().pid == 0, "the pid may be another's by now"


def test_a_process_that_is_not_there_is_not_judged() -> None:
    with sleeper() as pid:
        pass
    assert activity_of(pid) is None
