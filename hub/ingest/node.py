"""The edge side of one hub: the pump, and which socket or HTTP stream an answer belongs to."""

import asyncio
import itertools
import logging
import secrets
from collections import Counter
from collections.abc import Callable

from actors.core.messages.deliveries import Answer
from hub.access.context import HubContext
from hub.access.rate_limits import place
from hub.ingest.authorization import EdgeAccess
from hub.ingest.pump import Pump
from hub.ingest.strikes import Strikes
from hub.ingest.undecodable import UndecodableFrames

log = logging.getLogger("eyrie.hub.edge")

Receiver = Callable[[Answer], None]


class EdgeNode:
    """Made with the hub's context. Call :meth:`start` in the running loop; :meth:`stop` sends what
    is queued."""

    def __init__(self, context: HubContext) -> None:
        self.context = context
        self.access = EdgeAccess(context)
        self.pump = Pump(context.hub_name, context.directory, context.settings.hub, self._answered)
        self.stopping = False
        self.frames = UndecodableFrames(context.stores.dead_letters, context.settings.dead_letters)
        self.strikes = Strikes()
        self.crowded = 0  # sockets refused for their number
        self._sockets: Counter[str] = Counter()  # by address
        self._receivers: dict[str, Receiver] = {}
        self._leavers: dict[str, Callable[[], None]] = {}
        # A hub that starts again under its old name must not reuse links that actors may still
        # know.
        self._life = secrets.token_hex(3)
        self._numbers = itertools.count(1)

    @property
    def links(self) -> int:
        """Open sockets and HTTP streams."""
        return len(self._receivers)

    def start(self) -> None:
        """Begin to carry items. Needs a running loop."""
        self.pump.start()
        self.frames.start()

    async def stop(self, grace_s: float) -> None:
        """Say bye to every socket, then send what is queued, at most for `grace_s`."""
        self.stopping = True
        for leave in list(self._leavers.values()):
            leave()
        await asyncio.gather(self.pump.stop(grace_s), self.frames.stop(grace_s))

    def enter(self, address: str) -> bool:
        """Count a socket in; False, and not counted, where this hub or its address has as many as
        the settings allow."""
        hub, address = self.context.settings.hub, place(address)
        if (
            self._sockets.total() >= hub.max_edge_sockets
            or self._sockets[address] >= hub.max_edge_sockets_per_address
        ):
            self.crowded += 1
            return False
        self._sockets[address] += 1
        return True

    def left(self, address: str) -> None:
        """A socket that was counted in has ended."""
        address = place(address)
        self._sockets[address] -= 1
        if not self._sockets[address]:
            del self._sockets[address]

    def open_link(self, receive: Receiver, leave: Callable[[], None]) -> str:
        """A new link name; `receive` gets its answers, `leave` is called when the hub stops."""
        link = f"{self.context.hub_name}/{self._life}{next(self._numbers)}"
        self._receivers[link] = receive
        self._leavers[link] = leave
        return link

    def close_link(self, link: str) -> None:
        """Forget a link."""
        self._receivers.pop(link, None)
        self._leavers.pop(link, None)

    def _answered(self, answer: Answer) -> None:
        receive = self._receivers.get(answer.link)
        if receive is not None:
            receive(answer)
