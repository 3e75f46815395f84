"""Background tasks that nobody awaits. All shells use it; the core itself has no tasks."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any


class TaskSet:
    """Holds tasks until they end, since the event loop keeps only weak references, and logs what
    they raise to `log`. When a task that runs for ever ends without having been cancelled,
    `failed` is its name and `broken(reason)` is called; `strict`: also when any other task
    raises."""

    def __init__(
        self,
        log: logging.Logger,
        broken: Callable[[str], None] | None = None,
        *,
        strict: bool = False,
    ) -> None:
        self._log = log
        self._broken = broken
        self._strict = strict
        self.failed = ""
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(
        self, work: Coroutine[Any, Any, None], name: str | None = None, *, forever: bool = False
    ) -> asyncio.Task[None]:
        """Run `work` in the running loop. `forever`: it ends only when cancelled."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._loop_ended if forever else self._ended)
        return task

    async def join(self) -> None:
        """Wait for the tasks of this moment."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cancel(self) -> None:
        """Cancel the tasks of this moment."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Cancel them and wait until they have ended."""
        self.cancel()
        await self.join()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("%s has failed", task.get_name(), exc_info=error)
            if self._strict:
                self._break(task, error)

    def _loop_ended(self, task: asyncio.Task[None]) -> None:
        self._ended(task)
        if not task.cancelled() and not task.cancelling():
            self._break(task, task.exception())

    def _break(self, task: asyncio.Task[None], error: BaseException | None) -> None:
        self.failed = task.get_name()
        if self._broken is not None:
            self._broken(f"{self.failed} ended" + (f": {error!r}" if error else ""))
