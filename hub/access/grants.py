"""Who was allowed what lately, on any hub: so that a denial can be told as the end of something or
as a plain no.

What was allowed before and is denied now may be a mistake of policy that somebody mends in seconds:
its code makes devices and dashboards come back, slowly. What was never allowed is final. No access
rests on it: it decides nothing but the code of a denial.
"""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from actors.core.errors import EyrieError, Forbidden, NotFound, Vanished, Withdrawn
from policy.identity.principal import Principal
from storage.ports.rate_limits import GrantStore

KEPT_S = 7 * 86_400  # seconds a grant is remembered after it was last used
RENEW_S = 86_400.0  # seconds between two notes of one that is in use
ASK_S = 1.0  # seconds the store may take
MAX_KNOWN = 100_000  # grants remembered by this hub
MAX_WAITING = 10_000  # of them, those still to be told to the other hubs
BATCH = 500

log = logging.getLogger(__name__)


class Grants:
    """Without a `store` this hub remembers for itself. `now` is monotonic seconds."""

    def __init__(
        self, store: GrantStore | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._now = now
        self._known: OrderedDict[str, float] = OrderedDict()
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._writing: asyncio.Task[None] | None = None

    def note(self, principal: Principal, action: str, target: str = "") -> None:
        """It is allowed now."""
        name, now = _name(principal, action, target), self._now()
        if now - self._known.get(name, float("-inf")) < RENEW_S:
            return
        self._known[name] = now
        self._known.move_to_end(name)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        if self._store is None or len(self._waiting) >= MAX_WAITING:
            return
        self._waiting[name] = None
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(
                self._tell(self._store), name="grants"
            )

    async def denial(
        self, principal: Principal, action: str, target: str, denied: Forbidden | NotFound
    ) -> EyrieError:
        """`denied`, or Withdrawn (Vanished) in its place when it was allowed before. Who cannot be
        asked about may come back too."""
        name = _name(principal, action, target)
        known = self._now() - self._known.get(name, float("-inf")) < KEPT_S
        if not known and self._store is not None:
            try:
                async with asyncio.timeout(ASK_S):
                    known = await self._store.noted(name)
            except (EyrieError, TimeoutError) as error:
                log.info(
                    "whether it was allowed before cannot be read now: %s",
                    error or "no answer in time",
                )
                known = True
        if not known:
            return denied
        return (
            Withdrawn(denied.detail) if isinstance(denied, Forbidden) else Vanished(denied.detail)
        )

    async def close(self) -> None:
        """End what is in flight."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _tell(self, store: GrantStore) -> None:
        try:
            while self._waiting:
                batch = [
                    self._waiting.popitem(last=False)[0]
                    for _ in range(min(BATCH, len(self._waiting)))
                ]
                async with asyncio.timeout(ASK_S):
                    await store.note(batch, KEPT_S)
        except (EyrieError, TimeoutError) as error:
            log.info(
                "what is allowed is not told to the other hubs now: %s",
                error or "no answer in time",
            )
        finally:
            self._writing = None


def _name(principal: Principal, action: str, target: str) -> str:
    """One grant: by the rights of the token, since one with fewer was never allowed what the other
    was."""
    rights = (
        principal.typ,
        principal.sub,
        principal.roles,
        principal.sites,
        principal.cameras,
        principal.scopes,
        action,
        target,
    )
    return hashlib.sha256(msgspec.json.encode(rights)).hexdigest()[:32]
