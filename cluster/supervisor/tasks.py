"""Tasks that nobody awaits: kept by reference until they end, their errors logged, all of them
cancelled together."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger("eyrie.cluster.tasks")


class Tasks:
    """`broken` is called when a task that was to run for ever ends by itself."""

    def __init__(self, broken: Callable[[str], None]) -> None:
        self._broken = broken
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    def spawn(self, work: Coroutine[Any, Any, None], *, loop: bool = False) -> asyncio.Task[None]:
        """Run `work`; `loop`: it is to run for ever."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._loop_ended if loop else self._ended)
        return task

    def drop(self, task: asyncio.Task[None]) -> None:
        """End one that was to run for ever: it is needed no more."""
        task.remove_done_callback(self._loop_ended)
        task.add_done_callback(self._ended)
        task.cancel()

    async def cancel(self) -> None:
        """End them all."""
        self._closing = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the supervisor ended", exc_info=error)

    def _loop_ended(self, task: asyncio.Task[None]) -> None:
        self._ended(task)
        if not task.cancelled() and not self._closing:
            self._broken("a loop of the supervisor ended")
