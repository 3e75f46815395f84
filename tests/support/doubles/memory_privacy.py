"""`storage.ports.privacy.PrivacyStore` in memory. `values`: what a search looks through."""

import time
from collections.abc import Collection, Sequence

import msgspec

from actors.core.errors import Conflict
from actors.core.messages.personal_search import says
from storage.ports.policy import Audit
from storage.ports.privacy import Found, Hold, NewRequest, RequestRow, Scope, ValuePlace


class MemoryPrivacyStore:
    """One database."""

    def __init__(self) -> None:
        self.values: list[tuple[ValuePlace, bytes]] = []
        self._requests: dict[str, RequestRow] = {}
        self._places: dict[str, list[ValuePlace]] = {}
        self._holds: dict[str, Hold] = {}

    async def search(self, scope: Scope, wanted: Collection[str]) -> Found:
        inside = [
            (place, value)
            for place, value in self.values
            if place.camera in scope.cameras
            and scope.since_us <= place.received_us < scope.until_us
        ]
        places = [place for place, value in inside if not wanted or says(value, wanted)]
        return Found(sorted(places, key=msgspec.structs.astuple), len(inside), 0)

    async def ask(self, request: NewRequest, *, audit: Audit) -> None:
        now = time.time_ns() // 1000
        await audit(None)
        self._places[request.id] = sorted(request.places, key=msgspec.structs.astuple)
        self._requests[request.id] = RequestRow(
            request.id,
            request.kind,
            "asked",
            request.scope,
            request.whole,
            len(request.places),
            request.purpose,
            request.asked_by,
            now,
            now + int(request.due_s * 1_000_000),
            "",
            0,
            0,
            "",
            [],
            "{}",
            "",
        )

    async def get(self, id: str) -> RequestRow | None:
        return self._requests.get(id)

    async def requests(self, *, before_us: int, limit: int) -> Sequence[RequestRow]:
        rows = [row for row in self._requests.values() if row.asked_us < before_us]
        return sorted(rows, key=lambda row: (row.asked_us, row.id), reverse=True)[:limit]

    async def places(self, id: str) -> Sequence[ValuePlace]:
        return self._places.get(id, [])

    async def approve(self, id: str, by: str, *, audit: Audit) -> bool:
        row = self._requests.get(id)
        if row is None or row.kind != "erasure" or by == row.asked_by:
            return False
        now = time.time_ns() // 1000
        return await self._change(
            id,
            ("asked", "held"),
            audit,
            state="approved",
            approved_by=by,
            approved_us=now,
            outcome="",
        )

    async def answer(self, id: str, *, audit: Audit) -> bool:
        row, now = self._requests.get(id), time.time_ns() // 1000
        if row is None or row.kind != "access":
            return False
        return await self._change(id, ("asked",), audit, state="done", ended_us=now)

    async def withdraw(self, id: str, *, audit: Audit) -> bool:
        now = time.time_ns() // 1000
        states = ("asked", "approved", "held")
        return await self._change(id, states, audit, state="withdrawn", ended_us=now)

    async def _change(
        self, id: str, states: Collection[str], audit: Audit, **fields: object
    ) -> bool:
        row = self._requests.get(id)
        if row is None or row.state not in states:
            return False
        await audit(None)
        self._requests[id] = msgspec.structs.replace(row, **fields)
        return True

    async def place_hold(self, hold: Hold, *, audit: Audit) -> None:
        for row in self._requests.values():
            if row.state == "executing" and set(row.scope.cameras) & set(hold.scope.cameras):
                raise Conflict(f"erasure {row.id} is under way there")
        await audit(None)
        now = time.time_ns() // 1000
        self._holds[hold.id] = msgspec.structs.replace(hold, placed_us=now)

    async def holds(self) -> Sequence[Hold]:
        return sorted(self._holds.values(), key=lambda hold: hold.placed_us, reverse=True)

    async def release_hold(self, id: str, by: str, *, audit: Audit) -> bool:
        hold, now = self._holds.get(id), time.time_ns() // 1000
        if hold is None or hold.released_us or hold.ends_us <= now:
            return False
        await audit(None)
        self._holds[id] = msgspec.structs.replace(hold, released_us=now, released_by=by)
        return True
