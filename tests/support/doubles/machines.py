"""A double of `cluster.supervisor.ports.Machine`: processes in memory that die, hang or refuse as
told."""

import asyncio
from collections.abc import Sequence
from typing import Any

from actors.core.errors import Full, Unavailable
from cluster.planning.placement import NodeView
from cluster.supervisor.models import SERVICE_PREFIXES
from cluster.supervisor.ports import CameraProcess, Process
from tests.support.doubles.fleet_stores import MemoryActors, MemoryCameras


class FakeProcess:
    """Any process. Switches: `broken` (open fails), `refuses` (cameras that adopt refuses), `mute`
    (describes that fail first), `hangs` (at stop). `die` ends it."""

    def __init__(self, machine: "FakeMachine", name: str) -> None:
        self.name = name
        self.node = ""
        self.machine = machine
        self.broken = machine.broken
        self.refuses: dict[str, str] = machine.refuses
        self.hosted: dict[str, Any] = {}
        self.gate = asyncio.Event()
        self.dead = asyncio.Event()
        self.stopped = False
        self.paused: list[str] = []
        self.capacity = 1
        self.cpu = 0.0
        self.figures: dict[str, dict[str, Any]] = {}
        self.killed = False
        self.mute = 0
        self.hangs = False
        self.grace_s = 0.0
        if not machine.hold_opens:
            self.gate.set()

    async def open(self, timeout_s: float) -> object:
        """Ready once the gate is open."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.gate.wait()
        except TimeoutError as error:
            raise Unavailable(f"{self.name} is too slow") from error
        if self.broken:
            raise Unavailable(f"{self.name} is broken")
        return {"node": self.node, "pid": 1, "died": self.machine.left_notes()}

    async def adopt(self, cameras: Sequence[str], timeout_s: float) -> dict[str, str]:
        """Host them, as far as the store agrees."""
        if self.dead.is_set():
            raise Unavailable(f"{self.name} is gone")
        if self.machine.full:
            raise Full("PostgreSQL has no room")
        refused = {}
        for camera in cameras:
            if camera in self.refuses:
                refused[camera] = self.refuses[camera]
            elif self.machine.cameras.owner.get(camera) != self.name:
                refused[camera] = "another actor owns it"
            else:
                self.hosted[camera] = {}
        return refused

    async def release(self, cameras: Sequence[str], timeout_s: float) -> None:
        """Give them up."""
        for camera in cameras:
            self.hosted.pop(camera, None)

    async def pause(self, cameras: Sequence[str], timeout_s: float) -> None:
        """Note it."""
        if self.dead.is_set():
            raise Unavailable(f"{self.name} is gone")
        self.paused = sorted(cameras)

    async def describe(self, timeout_s: float) -> dict[str, Any]:
        """What it hosts."""
        if self.dead.is_set():
            raise Unavailable(f"{self.name} is gone")
        if self.mute:
            self.mute -= 1
            raise Unavailable(f"{self.name} is too slow")
        hosted = {camera: self.figures.get(camera, {}) for camera in self.hosted}
        return {"hosted": hosted, "given_up": {}, "capacity": self.capacity}

    async def died(self) -> str:
        """Wait for `die` or `kill`."""
        await self.dead.wait()
        return "told to"

    async def load(self, timeout_s: float) -> float:
        """As set."""
        return self.cpu

    async def stop(self, grace_s: float) -> bool:
        """Note the order of stops."""
        self.grace_s = grace_s
        if self.hangs:
            await asyncio.sleep(grace_s)
            raise Unavailable(f"{self.name} hangs")
        self.stopped = True
        self.machine.stops.append(self.name)
        return True

    def kill(self) -> None:
        """End it."""
        self.killed = True
        self.dead.set()

    def die(self) -> None:
        """As if the process had crashed."""
        self.dead.set()


class FakeMachine:
    """Starts :class:`FakeProcess`; the newest of a name is in `processes`."""

    def __init__(self, cameras: MemoryCameras, actors: MemoryActors, *, cores: int = 2) -> None:
        self.cameras = cameras
        self.actors = actors
        self.processes: dict[str, FakeProcess] = {}
        self.started: list[str] = []
        self.stops: list[str] = []
        self.broken = False
        self.hold_opens = False
        self.refuses: dict[str, str] = {}
        self.of_nodes = [NodeView("here", cores=cores, head=True)]
        self.requested = 0
        self.let_go: list[str] = []
        self.full = False  # PostgreSQL has no room for an activation
        self.notes: dict[str, str] = {}  # process → the camera that it ends with
        self._cores = cores

    def left_notes(self) -> dict[str, str]:
        """Of dead processes, each told once (`actors.step_notes`)."""
        found = {
            name: camera
            for name, camera in self.notes.items()
            if self.processes[name].dead.is_set()
        }
        for name in found:
            del self.notes[name]
        return found

    def cores(self) -> int:
        return self._cores

    def here(self) -> str:
        return ""

    async def nodes(self) -> list[NodeView]:
        return list(self.of_nodes)

    async def services(self) -> list[str]:
        return [
            name
            for name, process in self.processes.items()
            if name.startswith(SERVICE_PREFIXES) and not process.dead.is_set()
        ]

    async def where(self, name: str) -> tuple[str, int] | None:
        return None

    async def request_resources(self, cameras: int) -> None:
        """Note it."""
        self.requested = cameras

    async def release_node(self, node: str, deadline_s: float) -> None:
        """Note it."""
        self.let_go.append(node)

    def start_cameras(self, name: str, cameras: int, node: str = "") -> CameraProcess:
        process = self._start(name, node)
        process.capacity = cameras
        return process

    async def find_cameras(self, name: str) -> CameraProcess | None:
        found = self.processes.get(name)
        return None if found is None or found.dead.is_set() else found

    async def start_hub(self, index: int, node: str = "") -> Process:
        return self._start(f"hub-{index}", node)

    async def start_worker(self, index: int, node: str = "") -> Process:
        return self._start(f"worker-{index}", node)

    async def start_policy(self, index: int, node: str = "") -> Process:
        return self._start(f"policy-{index}", node)

    def of_cameras(self) -> list[FakeProcess]:
        """Living processes of cameras."""
        return [
            p
            for p in self.processes.values()
            if not p.dead.is_set() and not p.name.startswith(SERVICE_PREFIXES)
        ]

    def _start(self, name: str, node: str) -> FakeProcess:
        process = self.processes[name] = FakeProcess(self, name)
        process.node = node or self.of_nodes[0].id
        self.started.append(name)
        return process
