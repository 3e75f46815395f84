"""`actors.supervision.Watched` over Ray: finds the supervisor by its name and asks for its turn."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from actors.core.errors import Unavailable
from actors.on_ray.calls import answer, find
from actors.on_ray.directory import SUPERVISOR
from actors.supervision import Turn

ASK_S = 3.0  # seconds an answer may take; opening goes on when nobody waits for it any more


class RaySupervision:
    """The supervisor of `namespace`. `find`: its handle by name and namespace, None where there is
    none."""

    def __init__(
        self, namespace: str, find: Callable[[str, str], Awaitable[Any | None]] = find
    ) -> None:
        self._namespace = namespace
        self._find = find
        self._handle: Any | None = None

    async def turn(self) -> Turn:
        handle = self._handle or await self._find(SUPERVISOR, self._namespace)
        if handle is None:
            raise Unavailable("there is no supervisor")
        self._handle = None  # kept only when it answers
        turn = msgspec.convert(await answer(handle.turn.remote(), ASK_S, SUPERVISOR), Turn)
        self._handle = handle
        return turn
