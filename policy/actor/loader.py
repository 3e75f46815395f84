"""Brings the revision in force into an engine: read, checked, tried out, built. A revision that
fails leaves the last good one in place.

Fail closed: with nothing good yet there is no engine, and without an engine there is no decision.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from actors.core.errors import BadInput, ConfigError, Unavailable
from policy.actor import revisions
from policy.decision.model import Engine
from policy.engine import review, sandbox
from storage.ports.policy import PolicyActivation, RevisionStore

log = logging.getLogger(__name__)

Build = Callable[[Mapping[str, str]], Engine]  # blocking; raises ConfigError


class Loader:
    """`use` gets every engine that is built. One caller at a time."""

    def __init__(
        self, store: RevisionStore, key: bytes, build: Build, use: Callable[[Engine], None]
    ) -> None:
        self.refused = ""  # why the revision in force is not the one that decides; empty when it is
        self._store = store
        self._key = key
        self._build = build
        self._use = use
        self._generation = 0
        self._engine: Engine | None = None

    async def poll(self) -> None:
        """One look. Raises Unavailable when the store is away; what is wrong with a revision is in
        `refused`."""
        current = await self._store.current()
        try:
            if (
                current is not None
                and current.generation == self._generation
                and self._engine is not None
            ):
                self.refused = ""
                await asyncio.to_thread(self._engine.keep)
                return
            engine = await self._load(current)
        except (ConfigError, BadInput) as error:
            if error.detail != self.refused:
                log.error(
                    "policy error: the revision in force is not loaded, the last good one "
                    "decides: %s",
                    error.detail,
                )
            self.refused = error.detail
            return
        self._generation, self.refused = (current.generation if current is not None else 0), ""
        self._engine = engine
        self._use(engine)
        log.info("policy revision %s decides", engine.revision[:12])

    async def _load(self, current: PolicyActivation | None) -> Engine:
        if current is None:
            raise ConfigError("no revision was ever activated")
        if current.generation < self._generation:
            raise ConfigError(
                f"activation {current.generation} is older than {self._generation}, which was in "
                "force"
            )
        revisions.require_genuine(current, self._key)
        record = await self._store.get(current.revision)
        if record is None:
            raise Unavailable("the revision in force cannot be read")
        modules = revisions.unpack(record, self._key)
        await sandbox.bounded(modules, review.at_load())
        return await asyncio.to_thread(self._build, modules)
