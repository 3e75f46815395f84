"""What a process that enforces policy keeps current: decisions, revocations, and the keys of
tokens. A hub and the cluster API have one each."""

import asyncio
import logging
from collections.abc import Callable

from actors.core.settings import Settings
from actors.core.task_set import TaskSet
from policy.decision.enforcer import Call, Enforcer
from policy.decision.poller import PolicyPoller, Read
from policy.identity.key_refresh import KeyRefresher
from policy.identity.revocations import Revocations
from policy.identity.tokens import JwtVerifier

log = logging.getLogger(__name__)


class PolicyClient:
    """`call` asks a policy actor, `read` the store for revision and revocations. Until the store
    was read, and when it cannot be read for `policy.max_age_s`, everything is denied."""

    def __init__(self, call: Call, read: Read, settings: Settings) -> None:
        self.enforcer = Enforcer(call, settings.policy, must_be_fresh=True)
        self._poller = PolicyPoller(read, self.enforcer, settings.policy)
        self._settings = settings
        self._keys: KeyRefresher | None = None
        self._polling = TaskSet(log)

    async def open_verifier(self) -> JwtVerifier:
        """Verifies tokens from now on, with keys that are watched. Raises ConfigError while there
        are none; then call it again."""
        auth = self._settings.auth
        verifier = await asyncio.to_thread(JwtVerifier, auth)  # its keys may come by HTTP
        self._keys = KeyRefresher(verifier, auth)
        self._keys.start()
        return verifier

    def follow(
        self,
        revoked: Callable[[Revocations], None],
        changed: Callable[[str], None] | None = None,
    ) -> None:
        """`revoked(revocations)` is called now and whenever they change, `changed(revision)` when
        another revision is in force."""
        revoked(self._poller.revocations)
        self._poller.on_revocations(revoked)
        if changed is not None:
            self.enforcer.on_revision(changed)

    async def refresh(self) -> bool:
        """Read the store once; False when that failed."""
        return await self._poller.refresh()

    def start(self) -> None:
        """Read it again and again, in the running loop."""
        self._polling.spawn(self._poller.run(), "policy-poller")

    def problem(self) -> str | None:
        """Why access may not be given now; None when it may."""
        if self._poller.age_s() <= self._settings.policy.max_age_s:
            return None
        return "policy and revocations cannot be read"

    async def close(self) -> None:
        """End what runs; who waits for a decision is denied."""
        await self._polling.close()
        if self._keys is not None:
            await self._keys.stop()
        await self.enforcer.close()
