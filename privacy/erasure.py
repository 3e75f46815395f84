"""Carries out one approved erasure, in named steps that may each be carried out again. A job of a
worker calls them; what a step did is kept with the note that it is done.

    begin      under the lock of holds: it is under way, or a hold is in its way
    record     what is to be erased is written down outside the database
    values     rows of `event_personal` at its places go, the others of their keys go under new ones
    keys       the old keys are destroyed: that reaches the log, replicas and backups
    letters    dead letters of its cameras and time are emptied
    redis      streams of its sites go, states lose what names somebody
    receipt    is signed and kept, in the database and outside
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from actors.core.errors import NotFound
from actors.core.settings import Settings
from actors.core.times import rfc3339
from policy.audit import sealing
from policy.identity.keys import read_secret
from privacy import receipts, records
from storage.events.personal_erasure import erase_places
from storage.keyring import FRESH_S
from storage.ports.audit_log import AuditDraft, AuditLog
from storage.ports.keyring import Keyring
from storage.ports.policy import Audit
from storage.ports.privacy import PrivacyStore, RequestRow
from storage.postgres.people import erasures
from storage.postgres.people.letters import erase_letters
from storage.postgres.pool import Database
from storage.redis.erasure import erase_live

STEPS = ("begin", "record", "values", "keys", "letters", "redis", "receipt")
MARGIN_S = 1.0
NOT_REACHED = (
    "what an edge device still spools, what clients and recipients keep, video, paper",
    "copies of the keyring's folder, until they are destroyed too",
)
Done = dict[str, Any]


class RunsSteps(Protocol):
    """A job that notes which steps are done (`workers.kinds.RunningJob`)."""

    async def step(self, name: str, work: Callable[[], Awaitable[Audit | None]]) -> None:
        """Carry a step out unless it is done; its effect happens with the note."""


@dataclass(frozen=True)
class ErasureParts:
    """What it works on. `settle_s`: the longest from a commit's choice of its keys to its end."""

    requests: PrivacyStore
    database: Database
    keyring: Keyring
    folder: Path
    audit_log: AuditLog
    settings: Settings
    settle_s: float

    @classmethod
    def of(cls, stores: Any, settings: Settings, folder: Path) -> "ErasureParts":
        """Over the stores of a process."""
        settle_s = FRESH_S + 2 * settings.postgres.command_timeout_s + MARGIN_S
        return cls(
            stores.privacy,
            stores.database,
            stores.keyring,
            folder,
            stores.audit_log,
            settings,
            settle_s,
        )


class Erasure:
    """One request, `id`."""

    def __init__(self, parts: ErasureParts, id: str) -> None:
        self._parts = parts
        self._id = id

    async def run(self, job: RunsSteps) -> Done:
        """All that is left of it; what came of it. Raises NotFound for a request that nobody
        approved, Unavailable."""
        await job.step("begin", self._begin)
        request = await self._request()
        if request.state == "held":
            return {"request": self._id, "held": request.outcome}
        if request.state == "done":
            return {"request": self._id}
        if request.state != "executing":
            raise NotFound(f"request {self._id} is {request.state}, not approved")
        for name in STEPS[1:]:
            await job.step(name, getattr(self, f"_{name}"))
        return {"request": self._id}

    async def _begin(self) -> Audit:
        return erasures.beginning(self._id)

    async def _record(self) -> Audit:
        request = await self._request()
        places = list(await self._parts.requests.places(self._id))
        record = records.record_of(request, places)
        await asyncio.to_thread(records.keep, self._parts.folder, record)
        return self._noting(request, "record", {"places": len(places)})

    async def _values(self) -> Audit:
        request, parts = await self._request(), self._parts
        done = await erase_places(
            parts.database, parts.keyring, self._id, request.keys, parts.settle_s
        )
        return self._noting(request, "values", msgspec.to_builtins(done))

    async def _keys(self) -> Audit:
        request = await self._request()
        await self._parts.keyring.destroy(request.keys)
        return self._noting(request, "keys", {"destroyed": request.keys})

    async def _letters(self) -> Audit:
        request = await self._request()
        parts = self._parts
        count = await erase_letters(parts.database, parts.keyring, request.scope, parts.settle_s)
        return self._noting(request, "letters", {"emptied": count})

    async def _redis(self) -> Audit:
        request, parts = await self._request(), self._parts
        places = await parts.requests.places(self._id)
        ids = {f"{one.camera}/{one.epoch}/{one.offset}" for one in places}
        homes = await erasures.homes(parts.database, list(request.scope.cameras))
        done = await erase_live(parts.settings.redis, homes, ids)
        return self._noting(request, "redis", msgspec.to_builtins(done))

    async def _receipt(self) -> Audit:
        """Signed once: another attempt finds it outside the database."""
        request, parts = await self._request(), self._parts
        receipt = await asyncio.to_thread(records.receipt_of, parts.folder, self._id)
        if not receipt:
            chains = await erasures.chains(parts.database, list(request.scope.cameras))
            said = receipt_body(request, chains)
            receipt = await asyncio.to_thread(receipts.sign, parts.folder, said)
            await asyncio.to_thread(records.keep_receipt, parts.folder, self._id, receipt)
        return erasures.ending(self._id, receipt, lambda: self._audit(request))

    def _audit(self, request: RequestRow) -> Audit:
        key = read_secret(Path(self._parts.settings.policy.key_file))
        detail = f"{request.places} values, {len(request.keys)} keys"
        draft = AuditDraft("eyrie", "", "privacy.erased", self._id, detail)
        return self._parts.audit_log.writer(sealing(key, draft))

    async def _request(self) -> RequestRow:
        found = await self._parts.requests.get(self._id)
        if found is None:
            raise NotFound(f"there is no request {self._id}")
        return found

    def _noting(self, request: RequestRow, step: str, did: Mapping[str, Any]) -> Audit:
        steps = msgspec.json.decode(request.steps, type=dict[str, Any])
        return erasures.noting(self._id, {**steps, step: dict(did)})


def receipt_body(request: RequestRow, chains: list[erasures.Chain]) -> dict[str, Any]:
    """What a receipt says: who asked and approved, where, what each step did, and where the chains
    of events end, which verify as before. No value."""
    scope = request.scope
    return {
        "request": request.id,
        "asked_by": request.asked_by,
        "asked": rfc3339(request.asked_us),
        "approved_by": request.approved_by,
        "approved": rfc3339(request.approved_us),
        "purpose": request.purpose,
        "cameras": list(scope.cameras),
        "from": rfc3339(scope.since_us),
        "to": rfc3339(scope.until_us),
        "places": request.places,
        "done": msgspec.json.decode(request.steps, type=dict[str, Any]),
        "chains": msgspec.to_builtins(chains),
        "not_reached": list(NOT_REACHED),
    }
