"""A link within one process: `actors.ports.Link` without a socket, over what stands behind real
ones."""

import asyncio
from collections.abc import Sequence

from actors.core.errors import EyrieError, Unavailable
from actors.core.messages import deliveries
from actors.links.server import Served
from actors.ports import LinkUser


class NearLink:
    """Items and answers arrive in a later turn of the loop, in their order. `break_off` is the
    actor's death."""

    def __init__(self, served: Served, hub: str, user: LinkUser) -> None:
        self.full = False
        self._served = served
        self._hub = hub
        self.user = user
        self._over = False
        self._send = self._answer  # one bound method, by which the other end knows this link
        served.linked(hub, self._send)

    def send(self, items: Sequence[bytes]) -> None:
        if items and not self._over:
            payload = b"".join((b"\xdc", len(items).to_bytes(2, "big"), *items))
            asyncio.get_running_loop().call_soon(self._take, payload)

    def owed(self, owed: bool) -> None:
        """Nobody is silent here."""

    def close(self) -> None:
        if not self._over:
            self._over = True
            self._served.unlinked(self._hub, self._send)

    def end(self) -> None:
        asyncio.get_running_loop().call_soon(self.close)  # behind what was sent

    async def finish(self) -> None:
        self.end()
        while not self._over:
            await asyncio.sleep(0)

    def break_off(self, reason: str) -> None:
        """It is over, and the hub is told."""
        if not self._over:
            self.close()
            self.user.lost(reason)

    def _take(self, payload: bytes) -> None:
        if self._over:
            return
        try:
            self._served.take(payload)
        except EyrieError as error:
            self.break_off(error.detail)

    def _answer(self, answers: bytes) -> None:
        asyncio.get_running_loop().call_soon(self._hear, answers)

    def _hear(self, answers: bytes) -> None:
        if not self._over:
            self.user.answered(deliveries.answers_decoder.decode(answers))


class NearLinks:
    """The links to one actor in this process. While `down` there are none."""

    def __init__(self, served: Served, name: str) -> None:
        self._served = served
        self._name = name
        self._made: dict[str, NearLink] = {}
        self.down = False

    async def connect(self, hub: str, user: LinkUser) -> NearLink:
        """:meth:`actors.ports.ActorHandle.connect`."""
        if self.down:
            raise Unavailable(f"{self._name} is gone")
        older = self._made.get(hub)
        if older is not None:
            older.break_off("its hub made a newer link")
        made = self._made[hub] = NearLink(self._served, hub, user)
        return made

    def break_off(self, reason: str = "it closed the link") -> None:
        """Every link is lost, and there are no new ones."""
        self.down = True
        for link in list(self._made.values()):
            link.break_off(reason)
