"""Where cameras live, as a hub knows it: a bounded cache in front of the supervisor
(`actors.ports.Directory`), and links to their processes."""

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.core.errors import Unavailable
from actors.known_places import KnownPlaces
from actors.links.address import LinkAddress
from actors.links.client import LinkMaker
from actors.on_ray.calls import answer, find
from actors.on_ray.camera import RayCameraProcess, attach
from actors.ports import ActorControl, ActorHandle, Link, LinkUser

SUPERVISOR = "supervisor"  # the supervisor's actor name
MAX_DOUBTED = 64  # failed actors told to the supervisor at once


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

    async def refresh(self, cameras: Sequence[str]) -> dict[str, int]:
        return await (await self._control()).refresh(cameras)

    async def reset_counts(
        self, camera: str, lines: Sequence[str] | None, reason: str | None
    ) -> str:
        return await (await self._control()).reset_counts(camera, lines, reason)

    async def clear_alert(self, camera: str, rule: str, place: str) -> str:
        return await (await self._control()).clear_alert(camera, rule, place)

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
        self._links = links
        self._places = KnownPlaces()
        self._processes: dict[str, RayCameraProcess] = {}
        self._doubted: dict[str, None] = {}

    async def locate(self, cameras: Sequence[str]) -> dict[str, ActorHandle]:
        """Raises Unavailable when the supervisor cannot be asked."""
        unknown = [camera for camera in cameras if self._places.find(camera) is None]
        if unknown:
            await self._ensure(unknown)
        found: dict[str, ActorHandle] = {}
        for camera in cameras:
            place = self._places.find(camera)
            if place is not None:
                found[camera] = LinkedActor(*place, self._links, self)
        return found

    async def living(self, name: str) -> ActorControl | None:
        process = self._processes.get(name)
        if process is None:
            process = await attach(
                name, namespace=self._namespace, call_timeout_s=self._call_timeout_s
            )
            if process is not None and name in self._places:
                self._processes[name] = process
        return process

    def forget(self, name: str) -> None:
        self._processes.pop(name, None)
        self._places.forget(name)
        self._doubted[name] = None
        if len(self._doubted) > MAX_DOUBTED:
            del self._doubted[next(iter(self._doubted))]

    async def _ensure(self, cameras: list[str]) -> None:
        """Ask the supervisor where `cameras` live."""
        doubted = list(self._doubted)
        supervisor = self._supervisor or await find(SUPERVISOR, self._namespace)
        if supervisor is None:
            raise Unavailable("the supervisor does not run")
        try:
            told = await answer(
                supervisor.locate.remote(cameras, doubted), self._timeout_s, SUPERVISOR
            )
        except Unavailable:
            self._supervisor = None
            raise
        self._supervisor = supervisor
        for name in doubted:
            self._doubted.pop(name, None)
        links = msgspec.convert(told["links"], dict[str, LinkAddress])
        for name in self._places.learn(told["placed"], links):
            self._processes.pop(name, None)
