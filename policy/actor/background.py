"""What a policy actor does beside deciding, a little at a time: it writes the log, forgets old rows
of it, and follows a shadow."""

import logging
import time
from collections.abc import Callable

from actors.core.errors import BadInput, ConfigError, EyrieError
from actors.core.settings import PolicySettings
from policy.actor import revisions, shadow
from policy.actor.decision_log import DecisionQueue
from policy.engine import sandbox
from storage.ports.policy import ShadowRecord
from storage.postgres.decisions import PostgresDecisionStore, PostgresShadowStore
from storage.postgres.policy import PostgresRevisionStore
from storage.postgres.pool import Database

log = logging.getLogger(__name__)

FORGET_EVERY_S = 60.0
FORGET_ROWS = 10_000  # at once
SHADOW_ROWS = 1_000  # at once


class DecisionLogWriter:
    """Writes what waits in `queue`, and keeps the log within its bounds."""

    def __init__(self, queue: DecisionQueue, settings: PolicySettings) -> None:
        self._queue = queue
        self._settings = settings
        self._forgot_at = float("-inf")

    async def __call__(self, database: Database) -> None:
        """One turn. Raises what the database raises; what was not written is counted."""
        store = PostgresDecisionStore(database)
        while rows := self._queue.take():
            try:
                await store.write(rows)
            except EyrieError:
                self._queue.lost(rows)
                raise
        if time.monotonic() - self._forgot_at >= FORGET_EVERY_S:
            while (
                await store.forget(
                    keep_rows=self._settings.log_rows,
                    keep_days=self._settings.log_days,
                    limit=FORGET_ROWS,
                )
                == FORGET_ROWS
            ):
                continue
            self._forgot_at = time.monotonic()


class ShadowWriter:
    """Compares the running shadow with what the log got; one replica does."""

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._key = key

    async def __call__(self, database: Database) -> None:
        """One turn, of `SHADOW_ROWS` at most. A shadow that cannot be evaluated ends, with the
        reason."""
        shadows = PostgresShadowStore(database)
        running = await shadows.find()
        if running is None:
            return
        try:
            await self._compare(database, shadows, running)
        except (BadInput, ConfigError) as error:
            log.warning("the shadow of revision %s ends: %s", running.revision[:12], error)
            await shadows.end(running.revision, error.detail[:500])

    async def _compare(
        self, database: Database, shadows: PostgresShadowStore, running: ShadowRecord
    ) -> None:
        rows = await PostgresDecisionStore(database).after(running.last_id, SHADOW_ROWS)
        if not rows:
            return
        store = PostgresRevisionStore(database)
        record, current = await store.get(running.revision), await store.current()
        if record is None or current is None:
            raise ConfigError("there is nothing to compare")
        chosen = [row for row in rows if shadow.comparable(row, current.revision)]
        decisions = (
            await sandbox.attempt(revisions.unpack(record, self._key()), shadow.asked(chosen))
            if chosen
            else []
        )
        known = frozenset(
            (flip.kind, flip.action, flip.role, flip.site)
            for flip in await shadows.flips(running.revision)
        )
        await shadows.found(
            running, rows[-1].id, len(chosen), shadow.compare(chosen, decisions, known)
        )
