"""Where cameras live, as a hub knows it: a bounded cache in front of the supervisor
(`actors.ports.Directory`), and links to their processes."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import msgspec

from actors.core.errors import Unavailable
from actors.links.address import LinkAddress
from actors.links.client import LinkMaker
from actors.ports import ActorControl, ActorHandle, Link, LinkUser
from actors.ray_calls import answer, find
from actors.ray_camera import RayCameraProcess, attach

SUPERVISOR = "supervisor"  # the supervisor's actor name
MAX_CAMERAS = 100_000  # cameras remembered
MAX_DOUBTED = 64  # failed actors told to the supervisor at once

log = logging.getLogger("eyrie.actors.directory")


class LinkedActor:
    """An actor process by its address (`actors.ports.ActorHandle`). Its control is found in Ray
    when it is asked for the first time."""

    def __init__(
        self, name: str, address: LinkAddress, links: LinkMaker, directory: "RayDirectory"
    ) -> None:
        self.name = name
        self._address = address
        self._links = links
        self._directory = directory

    async def connect(self, hub: str, user: LinkUser) -> Link:
        return await self._links.connect(self._address, self.name, hub, user)

    async def look(self, cameras: Sequence[str]) -> dict[str, int]:
        return await (await self._control()).look(cameras)

    async def reset_counts(
        self, camera: str, lines: Sequence[str] | None, reason: str | None
    ) -> str:
        return await (await self._control()).reset_counts(camera, lines, reason)

    async def replay(self, letter: int, by: str) -> str:
        return await (await self._control()).replay(letter, by)

    async def _control(self) -> ActorControl:
        found = await self._directory.living(self.name)
        if found is None:
            raise Unavailable(f"{self.name} is gone")
        return found


class RayDirectory:
    """`timeout_s` bounds the question to the supervisor, `call_timeout_s` every call to an actor;
    `links` makes the links."""

    def __init__(
        self, *, namespace: str, timeout_s: float, call_timeout_s: float, links: LinkMaker
    ) -> None:
        self._namespace = namespace
        self._timeout_s = timeout_s
        self._call_timeout_s = call_timeout_s
        self._supervisor: Any | None = None
        self._names: OrderedDict[str, str] = OrderedDict()
        self._links = links
        self._addresses: dict[str, LinkAddress] = {}
        self._processes: dict[str, RayCameraProcess] = {}
        self._doubted: dict[str, None] = {}

    async def locate(self, cameras: Sequence[str]) -> dict[str, ActorHandle]:
        """Raises Unavailable when the supervisor cannot be asked."""
        unknown = [camera for camera in cameras if camera not in self._names]
        if unknown:
            for camera, name in (await self._ensure(unknown)).items():
                self._names[camera] = name
            while len(self._names) > MAX_CAMERAS:
                self._names.popitem(last=False)
        found: dict[str, ActorHandle] = {}
        for camera in cameras:
            place = self._names.get(camera, "")
            address = self._addresses.get(place)
            if address is not None:
                found[camera] = LinkedActor(place, address, self._links, self)
        return found

    async def living(self, name: str) -> ActorControl | None:
        process = self._processes.get(name)
        if process is None:
            process = await attach(
                name, namespace=self._namespace, call_timeout_s=self._call_timeout_s
            )
            if process is not None and name in self._addresses:
                self._processes[name] = process
        return process

    def forget(self, name: str) -> None:
        self._processes.pop(name, None)
        self._addresses.pop(name, None)
        for camera in [camera for camera, known in self._names.items() if known == name]:
            del self._names[camera]
        self._doubted[name] = None
        if len(self._doubted) > MAX_DOUBTED:
            del self._doubted[next(iter(self._doubted))]

    async def _ensure(self, cameras: list[str]) -> dict[str, str]:
        doubted = list(self._doubted)
        supervisor = self._supervisor or await find(SUPERVISOR, self._namespace)
        if supervisor is None:
            raise Unavailable("the supervisor does not run")
        try:
            told = await answer(
                supervisor.locate.remote(cameras, doubted), self._timeout_s, SUPERVISOR
            )
            placed: dict[str, str] = dict(told["placed"])
            self._addresses |= msgspec.convert(told["links"], dict[str, LinkAddress])
        except Unavailable:
            self._supervisor = None
            raise
        self._supervisor = supervisor
        for name in doubted:
            self._doubted.pop(name, None)
        return placed
