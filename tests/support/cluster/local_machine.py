"""A `cluster.supervisor.ports.Machine` whose camera processes are real actors over real stores, all
in this process, and an edge that drives them.

Everything of a move is real but the processes and the calls between them: supervisor, PostgreSQL,
Redis, camera actors, the hub's pump.
"""

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from actors.camera_actor import CameraActor
from actors.core.errors import Unavailable
from actors.core.messages.deliveries import Acked, Answer, AskedAgain, Attach, Data, Welcomed
from actors.core.settings import HubSettings, Settings
from actors.ports import ActorControl, ActorHandle, Link, LinkUser
from actors.wall_clock import wall_us
from cluster.planning.placement import NodeView
from cluster.supervisor.ports import CameraProcess, Process
from cluster.supervisor.supervisor import Supervisor
from hub.ingest.pump import Pump
from storage.stores import open_stores
from tests.support.camera_rig import walk
from tests.support.doubles.fleet_stores import MemoryActors, MemoryCameras
from tests.support.doubles.machines import FakeMachine
from tests.support.doubles.near_link import NearLinks

BATCH = 10  # observations of one delivery
PACE_S = 0.05  # seconds between two deliveries of a camera


class LocalProcess:
    """A camera actor that is opened, asked and killed like a process. `crash_after_release`: it is
    gone once it has released."""

    def __init__(self, name: str, settings: Settings, capacity: int, node: str) -> None:
        self.name = name
        self.node = node
        self._settings = settings
        self._capacity = capacity
        self._actor: CameraActor | None = None
        self._dead = asyncio.Event()
        self._links: NearLinks | None = None
        self.crash_after_release = False

    def _opened(self) -> CameraActor:
        if self._actor is None or self._dead.is_set():
            raise Unavailable(f"{self.name} is gone")
        return self._actor

    async def open(self, timeout_s: float) -> dict[str, Any]:
        """Begin."""
        stores = await open_stores(self._settings, name=self.name)
        self._actor = CameraActor(self.name, stores, self._settings.camera, capacity=self._capacity)
        self._actor.start()
        self._links = NearLinks(self._actor, self.name)
        return {"node": self.node, "pid": 1}

    async def adopt(self, cameras: Sequence[str], timeout_s: float) -> dict[str, str]:
        return await self._opened().adopt(cameras)

    async def release(self, cameras: Sequence[str], timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            await self._opened().release(cameras)
        if self.crash_after_release:
            self.kill()

    async def pause(self, cameras: Sequence[str], timeout_s: float) -> None:
        self._opened().pause(cameras)

    async def describe(self, timeout_s: float) -> dict[str, Any]:
        return self._opened().describe()

    async def connect(self, hub: str, user: LinkUser) -> Link:
        self._opened()
        assert self._links is not None
        return await self._links.connect(hub, user)

    async def refresh(self, cameras: Sequence[str]) -> dict[str, int]:
        """Not asked."""
        return {}

    async def reset_counts(
        self, camera: str, lines: Sequence[str] | None, reason: str | None
    ) -> str:
        """Not asked."""
        raise NotImplementedError

    async def clear_alert(self, camera: str, rule: str, place: str) -> str:
        """Not asked."""
        raise NotImplementedError

    async def replay(self, letter: int, by: str) -> str:
        """Not asked."""
        raise NotImplementedError

    async def load(self, timeout_s: float) -> float:
        """Not asked."""
        return 0.0

    async def died(self) -> str:
        """Wait for the end."""
        await self._dead.wait()
        return "killed"

    async def stop(self, grace_s: float) -> bool:
        """Commit and close."""
        return await self._opened().stop(grace_s)

    def kill(self) -> None:
        """Its loops end at once: nothing is committed any more."""
        if self._actor is not None and not self._dead.is_set():
            self._actor._tasks.cancel()
            if self._links is not None:
                self._links.break_off()
        self._dead.set()

    async def close(self) -> None:
        """Give its connections back."""
        if self._actor is not None:
            await self._actor._tasks.join()
            await self._actor._stores.close()


class LocalMachine(FakeMachine):
    """Camera processes are :class:`LocalProcess`; hubs and policy replicas stay doubles."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(MemoryCameras(), MemoryActors())
        self._settings = settings
        self.local: dict[str, LocalProcess] = {}
        self.of_nodes = [NodeView("here", cores=2, head=True)]

    def start_cameras(self, name: str, cameras: int, node: str = "") -> CameraProcess:
        made = self.local[name] = LocalProcess(name, self._settings, cameras, node or "here")
        return made

    async def find_cameras(self, name: str) -> CameraProcess | None:
        found = self.local.get(name)
        return None if found is None or found._dead.is_set() else found

    async def start_hub(self, index: int, node: str = "") -> Process:
        return self._start(f"hub-{index}", node)

    async def close(self) -> None:
        """End what is left."""
        for process in self.local.values():
            process.kill()
            await process.close()


class LocalDirectory:
    """`actors.ports.Directory` that asks a supervisor in this process, as `actors.on_ray.directory`
    asks one elsewhere."""

    def __init__(self, supervisor: Supervisor, machine: LocalMachine) -> None:
        self.supervisor = supervisor
        self._machine = machine
        self._doubted: dict[str, None] = {}

    async def locate(self, cameras: Sequence[str]) -> dict[str, ActorHandle]:
        doubted, self._doubted = list(self._doubted), {}
        placed = await self.supervisor.ensure(cameras, doubted)
        return {camera: self._machine.local[name] for camera, name in placed.items()}

    async def living(self, name: str) -> ActorControl | None:
        return self._machine.local.get(name)

    def forget(self, name: str) -> None:
        self._doubted[name] = None


class LocalEdge:
    """A device per camera that sends as far as its credits reach and resends from where it is
    asked. `acks` are (when, seq)."""

    def __init__(self, directory: LocalDirectory, cameras: Sequence[str]) -> None:
        self._pump = Pump("hub-0", directory, HubSettings(linger_s=0.0), self._answered)
        self.cameras = list(cameras)
        self.acks: dict[str, list[tuple[float, int]]] = {
            camera: [(time.monotonic(), 0)] for camera in cameras
        }
        self._next = dict.fromkeys(cameras, 1)
        self._limit = dict.fromkeys(cameras, 0)
        self.last: dict[str, int] = {}  # where each ends
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Say hello and send."""
        self._pump.start()
        for camera in self.cameras:
            self._pump.put(Attach(camera, f"hub-0/{camera}", "s1", 1, wall_us()))
            self._tasks.append(asyncio.create_task(self._run(camera)))

    def acked(self, camera: str) -> int:
        """Durable up to here."""
        return self.acks[camera][-1][1]

    def longest_rest(self, camera: str, since: float) -> float:
        """Seconds between two acks, at most, of those that ended after `since` (monotonic)."""
        times = [at for at, _seq in self.acks[camera]]
        return max(after - before for before, after in pairwise(times) if after >= since)

    async def finish(self) -> None:
        """Send no more than was sent, and wait until all of it is acked."""
        self.last = {camera: self._next[camera] - 1 for camera in self.cameras}
        async with asyncio.timeout(30):
            while any(self.acked(camera) < self.last[camera] for camera in self.cameras):
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pump.stop(0.0)

    async def _run(self, camera: str) -> None:
        while True:
            first = self._next[camera]
            last = min(first + BATCH - 1, self._limit[camera], self.last.get(camera, 2**62))
            if last >= first:
                data = Data(
                    camera,
                    f"hub-0/{camera}",
                    "s1",
                    first,
                    wall_us(),
                    "json",
                    walk(range(first, last + 1)),
                )
                self._next[camera] = last + 1
                self._pump.put(data)
            await asyncio.sleep(PACE_S)

    def _answered(self, answer: Answer) -> None:
        camera = answer.camera
        match answer:
            case Welcomed():
                self._next[camera] = answer.resume_from
                self._limit[camera] = max(
                    self._limit[camera], answer.resume_from - 1 + answer.credits
                )
                self._note(camera, answer.resume_from - 1)
            case Acked():
                self._limit[camera] = max(self._limit[camera], answer.seq + answer.credits)
                self._note(camera, answer.seq)
            case AskedAgain():
                self._next[camera] = answer.resume_from

    def _note(self, camera: str, seq: int) -> None:
        if seq > self.acked(camera):
            self.acks[camera].append((time.monotonic(), seq))
