"""Where cameras live, as a hub knows it: a bounded cache in front of the supervisor
(`actors.ports.Directory`)."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from actors.core.errors import Unavailable
from actors.ports import ActorHandle
from actors.ray_calls import answer, find
from actors.ray_camera import RayCameraProcess, attach

SUPERVISOR = "supervisor"  # the supervisor's actor name
MAX_CAMERAS = 100_000  # cameras remembered
MAX_DOUBTED = 64  # failed actors told to the supervisor at once

log = logging.getLogger("eyrie.actors.directory")


class RayDirectory:
    """`timeout_s` bounds the question to the supervisor, `call_timeout_s` every call to an
    actor."""

    def __init__(self, *, namespace: str, timeout_s: float, call_timeout_s: float) -> None:
        self._namespace = namespace
        self._timeout_s = timeout_s
        self._call_timeout_s = call_timeout_s
        self._supervisor: Any | None = None
        self._names: OrderedDict[str, str] = OrderedDict()
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
            place = self._names.get(camera)
            process = None if place is None else await self._process(place)
            if process is not None:
                found[camera] = process
        return found

    async def living(self, name: str) -> ActorHandle | None:
        return self._processes.get(name) or await attach(
            name, namespace=self._namespace, call_timeout_s=self._call_timeout_s
        )

    def forget(self, name: str) -> None:
        self._processes.pop(name, None)
        for camera in [camera for camera, known in self._names.items() if known == name]:
            del self._names[camera]
        self._doubted[name] = None
        if len(self._doubted) > MAX_DOUBTED:
            del self._doubted[next(iter(self._doubted))]

    async def _process(self, name: str) -> RayCameraProcess | None:
        process = self._processes.get(name)
        if process is None:
            process = await attach(
                name, namespace=self._namespace, call_timeout_s=self._call_timeout_s
            )
            if process is None:
                log.warning("actor %s is gone", name)
                self.forget(name)
                return None
            self._processes[name] = process
        return process

    async def _ensure(self, cameras: list[str]) -> dict[str, str]:
        doubted = list(self._doubted)
        supervisor = self._supervisor or await find(SUPERVISOR, self._namespace)
        if supervisor is None:
            raise Unavailable("the supervisor does not run")
        try:
            placed = dict(
                await answer(
                    supervisor.ensure.remote(cameras, doubted), self._timeout_s, SUPERVISOR
                )
            )
        except Unavailable:
            self._supervisor = None
            raise
        self._supervisor = supervisor
        for name in doubted:
            self._doubted.pop(name, None)
        return placed
