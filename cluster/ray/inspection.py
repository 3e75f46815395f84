"""Levels and profiles of processes over Ray: `cluster.api.context.Inspector`. The supervisor's own
process answers by itself."""

import asyncio
from typing import Any

from actors.core.errors import NotFound
from actors.on_ray.calls import answer, find
from actors.on_ray.directory import SUPERVISOR
from storage.process.inspection import inspect

ASK_S = 5.0  # seconds a process may take on top of what it was asked for


class RayInspector:
    """Finds actors by name in `namespace`."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    async def log_level(self, process: str) -> dict[str, Any]:
        return await self._ask(process, "level", {}, ASK_S)

    async def set_log_level(self, process: str, level: str, for_s: float) -> dict[str, Any]:
        return await self._ask(process, "set_level", {"level": level, "for_s": for_s}, ASK_S)

    async def profile(self, process: str, for_s: float, hz: int) -> dict[str, Any]:
        return await self._ask(process, "profile", {"for_s": for_s, "hz": hz}, for_s + ASK_S)

    async def _ask(
        self, process: str, what: str, arguments: dict[str, Any], timeout_s: float
    ) -> dict[str, Any]:
        if process == SUPERVISOR:
            return await asyncio.to_thread(inspect, what, arguments)
        handle = await find(process, self._namespace)
        if handle is None:
            raise NotFound(
                f"{process} does not run", hint="`eyrie cluster status` shows what does."
            )
        return dict(await answer(handle.inspect.remote(what, arguments), timeout_s, process))
