"""Beside the engine: a thread of its own with one connection to PostgreSQL, which keeps the policy
actor at the revision in force.

The actor answers one question after the other and must not wait for a database; this thread does.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from actors.core.errors import EyrieError
from actors.core.settings import Settings
from policy.actor.loader import Build, Loader
from policy.decision.model import Engine
from policy.identity.keys import read_secret
from storage.postgres.policy import PostgresRevisionStore
from storage.postgres.pool import Database

log = logging.getLogger(__name__)

FIRST_LOOK_S = 20.0
STOP_S = 5.0

Job = Callable[[Database], Awaitable[None]]


class PolicyFollower:
    """`start` waits for the first look; from then on it looks every `poll_s`. `jobs` are done
    after each look (they bound themselves)."""

    def __init__(
        self,
        settings: Settings,
        name: str,
        build: Build,
        use: Callable[[Engine], None],
        jobs: tuple[Job, ...] = (),
    ) -> None:
        self._settings = settings
        self._name = name
        self._build = build
        self._use = use
        self._jobs = jobs
        self._looked = threading.Event()
        self._ended = threading.Event()
        self._refused = ""
        self._thread = threading.Thread(target=self._run, name="policy-follower", daemon=True)

    @property
    def refused(self) -> str:
        """`Loader.refused`, as of the last look; why there was none, before it."""
        return self._refused

    def start(self) -> None:
        """Blocking. Whether an engine was found is for the caller to see."""
        self._thread.start()
        self._looked.wait(FIRST_LOOK_S)

    def stop(self) -> None:
        """Blocking, `STOP_S` at most."""
        self._ended.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._keep())
        except EyrieError as error:
            self._refused = error.detail
            log.error("policy error: the follower has ended: %s", error)
        finally:
            self._looked.set()

    async def _keep(self) -> None:
        key = read_secret(Path(self._settings.policy.key_file))
        database: Database | None = None
        failing = False
        while not self._ended.is_set():
            try:
                if database is None:
                    database = await Database.open(self._settings.postgres, name=self._name)
                    loader = Loader(PostgresRevisionStore(database), key, self._build, self._use)
                await loader.poll()
                self._refused, failing = loader.refused, False
                self._looked.set()
                for job in self._jobs:
                    await job(database)
            except EyrieError as error:
                if not failing:
                    log.warning("the policy actor goes on with what it has: %s", error)
                self._refused, failing = error.detail, True
            await asyncio.sleep(self._settings.policy.poll_s)
        if database is not None:
            await database.close()
