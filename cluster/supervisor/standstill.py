"""Hubs that live and do nothing (stopped, held by a debugger, dead-locked as a whole): their
sockets stay open, and nobody who hangs on them is told.

A slow one is not meant. What is judged is what load cannot fake: none of its threads has run, and
none wanted to, over several looks, and then it does not answer a question either, for which it has
a thread of its own. Policy replicas have none: one that waits for its engine would look the same,
and their callers have deadlines (`policy.actor.ray_policy`).
"""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from actors.core.errors import EyrieError
from cluster.supervisor.services import Service, Services

Where = Callable[[str], Awaitable[tuple[str, int] | None]]  # name → node and pid

LOOK_S = 1.0  # seconds between two looks
STILL_S = 4.0  # seconds without a sign of life after which one is asked
LOOKS = 4  # looks that must agree: the looker may have stood still itself
ASK_S = 2.0  # seconds for the answer; then it is ended
# states of a thread that does not want to run: it sleeps, is stopped, or is held by a debugger
# (proc(5)); one that waits for a disk (D) or a processor (R) is slow
AT_REST = frozenset("STt")
STOPPED = frozenset("Tt")

log = logging.getLogger("eyrie.cluster.standstill")


class Activity(msgspec.Struct, frozen=True):
    """Of a process. `started`: clock ticks since boot; `ran`: those of all its threads; `at_rest`:
    none of them wants to run; `stopped`: none of them may."""

    started: int
    ran: int
    at_rest: bool
    stopped: bool = False


class Sleeper(msgspec.Struct, frozen=True):
    """What was seen first of a process that has not run since: its activity, when (monotonic), and
    in how many looks."""

    activity: Activity
    since: float
    looks: int


class Standstill:
    """Who has not run for `still_s` (pure). Bounded by who is looked at."""

    def __init__(self, still_s: float = STILL_S) -> None:
        self._still_s = still_s
        self._seen: dict[str, Sleeper] = {}

    def still(self, found: Mapping[str, Activity], now: float) -> dict[str, Activity]:
        """Who has stood still for so long, of all that were looked at. `now`: monotonic
        seconds."""
        seen = {}
        for name, activity in found.items():
            before = self._seen.get(name)
            if before is None or before.activity != activity or not activity.at_rest:
                seen[name] = Sleeper(activity, now, 1)
            else:
                seen[name] = Sleeper(activity, before.since, before.looks + 1)
        self._seen = seen
        return {
            name: sleeper.activity
            for name, sleeper in seen.items()
            if sleeper.looks >= LOOKS and now - sleeper.since >= self._still_s
        }


def activity_of(pid: int) -> Activity | None:
    """What the system says; None for a process that is none of this machine."""
    try:
        whole = _fields(Path(f"/proc/{pid}/stat"))
        states = set(_states(pid))
    except OSError:
        return None
    if whole[0] in "ZX" or not states:
        return None
    ran = int(whole[11]) + int(whole[12])
    return Activity(int(whole[19]), ran, states <= AT_REST, states <= STOPPED)


def activities(pids: Mapping[str, int]) -> dict[str, Activity]:
    """Of those that are there."""
    found = ((name, activity_of(pid)) for name, pid in pids.items())
    return {name: activity for name, activity in found if activity is not None}


def _states(pid: int) -> Iterator[str]:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        yield _fields(thread / "stat")[0]


def _fields(path: Path) -> list[str]:
    """From the state on; the name before it may hold anything."""
    return path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()


class StandstillWatch:
    """`run` for ever. `here` is the node of this process: what runs elsewhere is judged there, by
    `cluster.launcher.stopped_hubs`. `ended` is told (who, what, why).

    Whatever state a hub is in: one that a new supervisor finds, or that is told to stop, may never
    answer. `where` finds the process of one that has not yet; nothing here waits for it.
    """

    def __init__(
        self,
        services: Services,
        here: Callable[[], str],
        ended: Callable[[str, str, str], None],
        where: Where,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._here = here
        self._ended = ended
        self._where = where
        self._now = now
        self._standstill = Standstill()
        self._places: dict[str, tuple[str, int]] = {}  # of those that have not answered yet
        self._finding: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Look again and again."""
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                await self.check()
        finally:
            if self._finding is not None:
                self._finding.cancel()

    async def check(self) -> None:
        """Look once; whoever stands still and does not answer is ended, and replaced like any other
        that died."""
        pids = self._pids()
        found = await asyncio.to_thread(activities, pids)
        still = self._standstill.still(found, self._now())
        await asyncio.gather(
            *(self._judge(name, pids[name], activity) for name, activity in still.items())
        )

    def _pids(self) -> dict[str, int]:
        """The hubs of this node."""
        here = self._here()
        hubs = [service for service in self._services.services.values() if service.kind == "hub"]
        unheard = [hub.name for hub in hubs if not hub.pid]
        if unheard and (self._finding is None or self._finding.done()):
            self._finding = asyncio.create_task(self._find(unheard), name="standstill-where")
        places = {hub.name: (hub.node, hub.pid) for hub in hubs if hub.pid}
        places.update((name, self._places[name]) for name in unheard if name in self._places)
        return {name: pid for name, (node, pid) in places.items() if here == node != ""}

    async def _find(self, names: list[str]) -> None:
        self._places = {}
        for name in names:
            try:
                place = await self._where(name)
            except EyrieError as error:
                log.info("the process of %s is not told now: %s", name, error)
                continue
            if place is not None:
                self._places[name] = place

    async def _judge(self, name: str, pid: int, activity: Activity) -> None:
        service = self._services.services.get(name)
        if service is None or service.process is None or await _answers(service):
            return
        if activity_of(pid) != activity:
            return  # the question woke it
        why = f"process {pid} lives, has not run for {STILL_S:g} s and does not answer"
        log.error("%s is ended: %s", name, why)
        self._ended(name, "end", why)
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            # Ray's own way to end one that is stopped takes 5 s
            os.kill(pid, signal.SIGKILL)


async def _answers(service: Service) -> bool:
    if service.process is None:
        return False
    try:
        await service.process.load(ASK_S)
    except EyrieError:
        return False
    return True
