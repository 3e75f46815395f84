"""Cameras with planted persons on real stores, a keyring of the test, and jobs that break off."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from actors.core.messages.events import published
from actors.core.messages.personal_search import wanted_of
from actors.core.settings import Settings
from policy.audit import beginning
from policy.identity.keys import ensure_secret, read_secret
from privacy.erasure import Erasure, ErasureParts
from privacy.replay import replay_erasures
from storage.events.events import PostgresEventStore
from storage.keyring import FolderKeyring
from storage.ports.background.jobs import FinishedJob
from storage.ports.policy import Audit
from storage.ports.privacy import Hold, NewRequest, RequestRow, Scope
from storage.postgres.cameras import PostgresCameraStore
from storage.postgres.dead_letters import PostgresDeadLetterStore
from storage.postgres.people.privacy import ERASURE, PostgresPrivacyStore
from storage.stores import Stores
from tests.support.store_rows import RECEIVED_US, alarm_of, letter_of, row_of, running
from workers.kinds import RunningJob

HOUR_US = 3_600_000_000
EVERYTHING = Scope(("cam-1", "cam-2"), RECEIVED_US - HOUR_US, RECEIVED_US + HOUR_US)
FIRST = {"plate": "QX-PLANT-1", "name": "Ada Plantson", "lane": 1}
SECOND = {"plate": "QX-PLANT-2", "name": "Bob Otherman", "lane": 2}
THIRD = {"plate": "QX-PLANT-3"}
LETTER = b'{"plate": "QX-PLANT-1", "objects": 7}'


class Crash(Exception):
    """The process of a worker ends here."""


class Rig:
    """The stores over a keyring in `folder`."""

    def __init__(self, stores: Stores, settings: Settings, folder: Path) -> None:
        key_file = folder / "policy.secret"
        ensure_secret(key_file)
        replace = msgspec.structs.replace
        self.settings = replace(settings, policy=replace(settings.policy, key_file=str(key_file)))
        self.stores = stores
        self.folder = folder / "keys"
        self.keys = FolderKeyring(self.folder)
        self.cameras = PostgresCameraStore(stores.database, self.keys)
        self.events = PostgresEventStore(stores.database, self.keys)
        self.letters = PostgresDeadLetterStore(stores.database, self.keys)
        self.requests = PostgresPrivacyStore(stores.database, self.keys)
        self.audit_key = read_secret(key_file)

    async def plant(self) -> None:
        """Two alarms of two persons at cam-1, one of a third at cam-2, and a dead letter."""
        await self.stores.audit_log.begin(beginning(self.audit_key))
        at = await running(self.stores.registry, self.cameras, ["cam-1", "cam-2"])
        generation, position = at["cam-1"]
        first = alarm_of("cam-1", position, FIRST, text="Ada Plantson left in QX-PLANT-1")
        after = msgspec.structs.replace(position, last_offset=1, chain=first.hash)
        second = alarm_of("cam-1", after, SECOND)
        letters = [letter_of(1, detail="unknown field QX-PLANT-1", raw=LETTER)]
        row = row_of("cam-1", generation, position, events=[first, second], letters=letters)
        other, place = at["cam-2"]
        row2 = row_of("cam-2", other, place, events=[alarm_of("cam-2", place, THIRD)])
        assert await self.cameras.commit([row, row2]) == {"cam-1", "cam-2"}

    async def shown(self, camera: str = "cam-1") -> list[dict[str, Any]]:
        """The `data` of a camera's alarms."""
        found = []
        for row in await self.events.latest(camera, 10):
            event = msgspec.json.decode(published(row.body, row.hash, row.personal))
            found.append(dict(event["data"]))
        return found

    async def asked(
        self, *wanted: str, by: str = "ann", scope: Scope = EVERYTHING, id: str = "a" * 32
    ) -> str:
        """A request to erase what says `wanted`; everything without."""
        found = await self.requests.search(scope, wanted_of(wanted)) if wanted else None
        places = found.places if found else []
        request = NewRequest(id, "erasure", scope, not wanted, places, "a test", by, 86_400.0)
        await self.requests.ask(request, audit=no_audit)
        return id

    async def approved(self, *wanted: str, **options: Any) -> str:
        """The same, approved by another person."""
        id = await self.asked(*wanted, **options)
        assert await self.requests.approve(id, "bea", audit=no_audit)
        return id

    async def job(self, owner: str = "w-1") -> RunningJob:
        """The job of an erasure, claimed."""
        jobs = self.stores.jobs
        (claimed,), _ = await jobs.claim_lanes(
            owner, [ERASURE], limit=1, lease_s=60.0, after="", look=10
        )
        return RunningJob(claimed, jobs)

    def erasure(self, id: str) -> Erasure:
        """What a worker carries out."""
        parts = ErasureParts(
            self.requests,
            self.stores.database,
            self.keys,
            self.folder,
            self.stores.audit_log,
            self.settings,
            0.0,
        )
        return Erasure(parts, id)

    async def carried_out(self, id: str) -> RequestRow:
        """Carry it out, and read it back."""
        job = await self.job()
        await self.erasure(id).run(job)
        await self.stores.jobs.finish([FinishedJob(job.job.claim)])
        return await self.request(id)

    async def request(self, id: str) -> RequestRow:
        """As it is now."""
        found = await self.requests.get(id)
        assert found is not None
        return found

    async def replay(self) -> list[str]:
        """What a start does."""
        stores = self.stores
        return await replay_erasures(
            stores.database, self.keys, self.folder, stores.audit_log, self.audit_key
        )

    def hold(self, *, ends_us: int = 2**52, id: str = "h1", scope: Scope = EVERYTHING) -> Hold:
        """One over a scope."""
        return Hold(id, scope, "case 7", "cy", ends_us)


class Breaking:
    """A job whose process ends at a step: before its work is noted, or right after."""

    def __init__(self, job: RunningJob, step: str, *, noted: bool) -> None:
        self._job = job
        self._step = step
        self._noted = noted

    async def step(self, name: str, work: Callable[[], Awaitable[Audit | None]]) -> None:
        """As of a job."""
        if name != self._step:
            await self._job.step(name, work)
            return
        if self._noted:
            await self._job.step(name, work)
        else:
            await work()
        raise Crash(name)


async def no_audit(_connection: Any) -> None:
    """Nothing is recorded."""
