"""Keeps a hub's view of policy revision and revocations current by polling the store; what it
decides is in `Enforcer` and `Revocations`."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from actors.core.errors import EyrieError
from actors.core.settings import PolicySettings
from policy.decision.enforcer import Enforcer
from policy.identity.revocations import Revocations
from storage.ports.policy import PolicyMarks

log = logging.getLogger(__name__)

Read = Callable[[], Awaitable[PolicyMarks]]


class PolicyPoller:
    """Reads `PolicyStore.marks` every `poll_s`; a read that fails leaves the gate to grow stale,
    which denies after `max_age_s`."""

    def __init__(
        self,
        read: Read,
        gate: Enforcer,
        settings: PolicySettings,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now`: the steady clock of `gate`."""
        self.revocations = Revocations()
        self._read = read
        self._gate = gate
        self._settings = settings
        self._now = now
        self._hurry = asyncio.Event()
        self._listeners: list[Callable[[Revocations], None]] = []
        self._failing = False
        self._read_at = float("-inf")

    def age_s(self) -> float:
        """Seconds since the last read that succeeded."""
        return self._now() - self._read_at

    def on_revocations(self, listener: Callable[[Revocations], None]) -> None:
        """`listener(revocations)` is called when they changed: open sockets whose token no longer
        holds must be closed."""
        self._listeners.append(listener)

    def hasten(self) -> None:
        """Read now instead of at the next tick (a notice from Redis says that something
        changed)."""
        self._hurry.set()

    async def refresh(self) -> bool:
        """One read, at most `poll_s` + 1 s long; False when it failed."""
        before = self._now()  # what is read may be as old as the moment it was asked for
        try:
            async with asyncio.timeout(self._settings.poll_s + 1.0):
                marks = await self._read()
        except (EyrieError, TimeoutError) as error:
            if not self._failing:
                log.warning(
                    "policy revision and revocations cannot be read: %s; no new access after %g s",
                    error,
                    self._settings.max_age_s,
                )
            self._failing = True
            return False
        if self._failing:
            log.info("policy revision and revocations can be read again")
        self._failing = False
        self._read_at = self._now()
        self._gate.mark_fresh(before, marks.revision)
        current = Revocations(marks.revocations)
        if current != self.revocations:
            self.revocations = current
            for listener in self._listeners:
                listener(current)
        return True

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            self._hurry.clear()
            await self.refresh()
            try:
                async with asyncio.timeout(self._settings.poll_s):
                    await self._hurry.wait()
            except TimeoutError:
                continue
