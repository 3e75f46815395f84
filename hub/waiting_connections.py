"""How many connections of one address may keep a hub waiting for a request's header (pure).

A connection that has not said within `PATIENCE_S` what it wants is counted until it does, or until its absolute deadline ends it
(`hub.http_protocol`). An honest burst says it at once and is never counted; our own proxies open connections ahead and are not counted.
"""

from collections import Counter
from collections.abc import Sequence

from hub.peers import Network, trusted

PATIENCE_S = 1.0


class WaitingConnections:
    """The count of one server; bounded by the connections that it counts. `refused`: how many were ended for it."""

    def __init__(self, per_address: int, proxies: Sequence[Network]) -> None:
        self._per_address = per_address
        self._proxies = proxies
        self._waiting: Counter[str] = Counter()
        self.refused = 0

    def enter(self, address: str) -> bool:
        """One more of `address` waits; False where it may not."""
        if trusted(address, self._proxies):
            return True
        if self._waiting[address] >= self._per_address:
            self.refused += 1
            return False
        self._waiting[address] += 1
        return True

    def leave(self, address: str) -> None:
        """One that entered waits no longer."""
        if trusted(address, self._proxies):
            return
        self._waiting[address] -= 1
        if self._waiting[address] <= 0:
            del self._waiting[address]
