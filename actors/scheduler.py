"""Whose turn it is in an actor process: bounded work per camera and round, so that one camera's
flood is not its neighbours' wait."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from actors.core.messages.deliveries import Data, Item
from actors.hosted_camera import Hosted

TURN_ITEMS = 32  # observations of one camera in one turn: some milliseconds of work
ROUND_S = 0.01  # seconds after which other work of the loop gets its chance


class CameraScheduler:
    """The cameras whose mailbox is not empty. `step` carries items out at once; `asks` is told when
    refused data may come."""

    def __init__(
        self, step: Callable[[Hosted, list[Item]], None], asks: Callable[[Hosted], None]
    ) -> None:
        self._step = step
        self._asks = asks
        self._waiting: dict[str, Hosted] = {}
        self._wake = asyncio.Event()
        self._ended = False

    @property
    def held(self) -> int:
        """Observations that wait, of all cameras."""
        return sum(
            hosted.mailbox.items for hosted in list(self._waiting.values())
        )  # health asks from another thread

    def waits(self, camera: str) -> bool:
        """Whether something of `camera` waits."""
        return camera in self._waiting

    def put(self, hosted: Hosted, items: list[Item]) -> list[Item]:
        """Take items of one camera; those that found no room. A short delivery to a camera that
        does not wait is stepped at once."""
        short = (
            sum(len(item.items) if isinstance(item, Data) else 1 for item in items) <= TURN_ITEMS
        )
        if short and hosted.camera not in self._waiting:
            self._step(hosted, items)
            return []
        now = time.monotonic()
        refused = [item for item in items if not hosted.mailbox.offer(item, now)]
        if len(hosted.mailbox):
            self._waiting[hosted.camera] = hosted
            self._wake.set()
        return refused

    def forget(self, hosted: Hosted) -> None:
        """Its core is thrown away, or it left: what waits comes again from the edge."""
        hosted.mailbox.clear()
        self._waiting.pop(hosted.camera, None)

    def end(self) -> None:
        """The loop ends at its next turn."""
        self._ended = True
        self._wake.set()

    async def run(self) -> None:
        """Give turns until :meth:`end`, or cancelled."""
        while not self._ended:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            until = time.monotonic() + ROUND_S
            for camera, hosted in list(self._waiting.items()):
                self._turn(camera, hosted)
                if time.monotonic() >= until:
                    break
            await asyncio.sleep(0)

    def _turn(self, camera: str, hosted: Hosted) -> None:
        if self._waiting.pop(camera, None) is not hosted:
            return
        mailbox = hosted.mailbox
        taken: list[Any] = mailbox.take(TURN_ITEMS)
        if len(mailbox):
            self._waiting[camera] = hosted  # at the end of the queue
        if taken:
            self._step(hosted, taken)
        if not len(mailbox) and mailbox.refused:
            mailbox.refused = False
            self._asks(hosted)
