"""How many connections of one address may keep a hub waiting: for a TLS handshake or the rest of a
request, or for another one (pure).

A connection whose handshake or header is not whole within `PATIENCE_S`, or whose body so long after
that, is counted until it is, or until its absolute deadline ends it (`hub.server.handshakes`,
`hub.server.http_protocol`); one that idles after an answer is counted apart. An honest burst says
it at once and is never counted; our own proxies open connections ahead and are not counted.
"""

from collections import Counter
from collections.abc import Sequence

from hub.access.client_address import Network, trusted
from hub.access.rate_limits import place

PATIENCE_S = 1.0


class WaitingConnections:
    """The count of one server; bounded by the connections that it counts. `refused`: how many were
    ended for it."""

    def __init__(self, per_address: int, proxies: Sequence[Network]) -> None:
        self._per_address = per_address
        self._proxies = proxies
        self._waiting: Counter[str] = Counter()
        self.refused = 0

    def enter(self, address: str) -> bool:
        """One more of `address` waits; False where it may not."""
        if trusted(address, self._proxies):
            return True
        address = place(address)
        if self._waiting[address] >= self._per_address:
            self.refused += 1
            return False
        self._waiting[address] += 1
        return True

    def leave(self, address: str) -> None:
        """One that entered waits no longer."""
        if trusted(address, self._proxies):
            return
        address = place(address)
        self._waiting[address] -= 1
        if self._waiting[address] <= 0:
            del self._waiting[address]
