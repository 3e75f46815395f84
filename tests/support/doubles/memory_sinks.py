"""Double of `storage.ports.background.sinks.SinkBook`: nothing runs the sinks."""

from collections.abc import Sequence

import msgspec

from storage.ports.background.sinks import (
    Attempt,
    CursorRow,
    SinkHole,
    SinkLag,
    SinkReplay,
    SinkRow,
    SinkState,
)
from storage.ports.policy import Audit


class MemorySinkStore:
    """By name; `places` are cursors by (sink, camera)."""

    def __init__(self) -> None:
        self.rows: dict[str, SinkRow] = {}
        self.places: dict[tuple[str, str], CursorRow] = {}
        self.told: list[tuple[str, SinkHole]] = []
        self.asked: list[SinkReplay] = []

    async def make(
        self, sink: SinkRow, *, from_now: bool, paused: bool = False, audit: Audit | None = None
    ) -> bool:
        if sink.name in self.rows:
            return False
        await _record(audit)
        state: SinkState = "paused" if paused else "active"
        self.rows[sink.name] = msgspec.structs.replace(sink, state=state, created_us=1)
        return True

    async def get(self, name: str) -> SinkRow | None:
        return self.rows.get(name)

    async def all(self) -> list[SinkRow]:
        return [row for _, row in sorted(self.rows.items())]

    async def remove(self, name: str, *, audit: Audit | None = None) -> bool:
        if name not in self.rows:
            return False
        await _record(audit)
        del self.rows[name]
        return True

    async def set_state(
        self, name: str, state: SinkState, reason: str = "", *, audit: Audit | None = None
    ) -> bool:
        return await self._set(name, audit, state=state, reason=reason)

    async def set_secrets(self, name: str, sealed: bytes, *, audit: Audit | None = None) -> bool:
        return await self._set(name, audit, secrets=sealed)

    async def skip(
        self, name: str, camera: str, hole: SinkHole, *, audit: Audit | None = None
    ) -> bool:
        at = self.places.get((name, camera))
        if at is None or not at.parked or at.offset + 1 != hole.first:
            return False
        await _record(audit)
        self.places[name, camera] = msgspec.structs.replace(at, parked=False, offset=hole.last)
        self.told.append((name, hole))
        return True

    async def retry(self, name: str, camera: str, *, audit: Audit | None = None) -> bool:
        at = self.places.get((name, camera))
        if at is None or not at.failures:
            return False
        await _record(audit)
        self.places[name, camera] = msgspec.structs.replace(at, parked=False, failures=0)
        return True

    async def holes(
        self, name: str, *, cameras: Sequence[str] | None, limit: int
    ) -> Sequence[SinkHole]:
        return [hole for sink, hole in self.told if sink == name][:limit]

    async def attempts(self, name: str, *, camera: str | None, limit: int) -> Sequence[Attempt]:
        return []

    async def lag(self, name: str) -> SinkLag:
        mine = [one for (sink, _), one in self.places.items() if sink == name]
        behind = sum(one.last_offset - one.offset for one in mine)
        parked = sum(one.parked for one in mine)
        return SinkLag(len(mine), behind, parked, 0, "", 0.0)

    async def cursors(
        self, name: str, *, limit: int, camera: str | None = None
    ) -> Sequence[CursorRow]:
        mine = [one for (sink, _), one in self.places.items() if sink == name]
        return [one for one in mine if camera in (None, one.camera)][:limit]

    async def replay(self, name: str, replay: SinkReplay, *, who: str, audit: Audit | None) -> int:
        if name not in self.rows:
            return 0
        await _record(audit)
        self.asked.append(replay)
        return len(self.asked)

    async def _set(self, name: str, audit: Audit | None, **changed: object) -> bool:
        if name not in self.rows:
            return False
        await _record(audit)
        self.rows[name] = msgspec.structs.replace(self.rows[name], **changed)
        return True


async def _record(audit: Audit | None) -> None:
    if audit is not None:
        await audit(None)
