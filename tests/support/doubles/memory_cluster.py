"""Double of `storage.ports.cluster.ClusterStore`; `away` makes every call fail."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from actors.core.errors import Conflict, Unavailable
from storage.ports.cluster import (
    MAX_TEXT,
    ClusterDecision,
    Cordon,
    Operation,
    OperationState,
    Order,
    OrderKind,
    Orders,
    RequestedOperation,
    TroubleRecord,
    WantedRecord,
    WantedShape,
)
from storage.ports.policy import Audit


class MemoryClusterStore:
    """`known` tells which cameras there are. Tests may look into it."""

    def __init__(self, known: Callable[[str], bool] = lambda camera: True) -> None:
        self.known = known
        self.away = False
        self.wanted: WantedRecord | None = None
        self.cordoned: dict[str, Cordon] = {}
        self.ordered: dict[tuple[str, str], Order] = {}
        self.troubles: dict[str, TroubleRecord] = {}
        self.asked: dict[str, Operation] = {}
        self.keys: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.log: list[ClusterDecision] = []
        self._numbers = itertools.count(1)
        self._clock = itertools.count(1)

    async def orders(self) -> Orders:
        self._check()
        return Orders(
            self.wanted,
            [self.cordoned[node] for node in sorted(self.cordoned)],
            [self.ordered[key] for key in sorted(self.ordered)],
            [self.troubles[camera] for camera in sorted(self.troubles)],
        )

    async def want(
        self, wanted: WantedShape, *, expected: int, who: str, audit: Audit | None = None
    ) -> int | None:
        self._check()
        version = 0 if self.wanted is None else self.wanted.version
        if version != expected:
            return None
        await _record(audit)
        self.wanted = WantedRecord(version + 1, wanted, who, next(self._clock))
        return version + 1

    async def cordon(self, node: str, *, reason: str, who: str, audit: Audit | None = None) -> bool:
        self._check()
        if node in self.cordoned:
            return False
        await _record(audit)
        self.cordoned[node] = Cordon(node, reason[:MAX_TEXT], who, next(self._clock))
        return True

    async def uncordon(self, node: str, *, audit: Audit | None = None) -> bool:
        self._check()
        if node not in self.cordoned:
            return False
        await _record(audit)
        del self.cordoned[node]
        return True

    async def order(
        self,
        kind: OrderKind,
        id: str,
        *,
        paused: bool | None = None,
        alone: bool | None = None,
        node: str | None = None,
        reason: str = "",
        who: str,
        audit: Audit | None = None,
    ) -> Order:
        self._check()
        await _record(audit)
        before = self.ordered.get((kind, id), Order(kind, id))
        changes: dict[str, Any] = {"paused": paused, "alone": alone, "node": node}
        after = msgspec.structs.replace(
            before,
            reason=reason[:MAX_TEXT],
            who=who,
            changed_us=next(self._clock),
            **{n: v for n, v in changes.items() if v is not None},
        )
        if after.empty:
            self.ordered.pop((kind, id), None)
        else:
            self.ordered[kind, id] = after
        return after

    async def quarantine(
        self, camera: str, *, reason: str, who: str, audit: Audit | None = None
    ) -> bool:
        self._check()
        if not self.known(camera):
            return False
        await _record(audit)
        before = self.troubles.get(camera, TroubleRecord(camera))
        self.troubles[camera] = msgspec.structs.replace(
            before, quarantined=True, reason=reason[:MAX_TEXT], who=who
        )
        return True

    async def release(self, camera: str, *, audit: Audit | None = None) -> bool:
        self._check()
        before = self.troubles.get(camera)
        if before is None or not (before.quarantined or before.alone or before.failures):
            return False
        await _record(audit)
        self.troubles[camera] = TroubleRecord(camera, restarts=before.restarts)
        return True

    async def note_troubles(self, troubles: Sequence[TroubleRecord]) -> None:
        self._check()
        for trouble in troubles:
            before = self.troubles.get(trouble.camera, TroubleRecord(trouble.camera))
            if self.known(trouble.camera) and not before.who:
                self.troubles[trouble.camera] = msgspec.structs.replace(
                    trouble,
                    restarts=max(before.restarts, trouble.restarts),
                    reason=trouble.reason[:MAX_TEXT],
                    who="",
                    age_s=0.0,
                )

    async def ask(
        self, operation: RequestedOperation, *, audit: Audit | None = None
    ) -> tuple[Operation, bool]:
        self._check()
        key = (operation.who, operation.key)
        if operation.key and key in self.keys:
            id, request = self.keys[key]
            if request != operation.request:
                raise Conflict("this idempotency key was used for another request")
            return self.asked[id], False
        await _record(audit)
        now = next(self._clock)
        found = Operation(
            next(self._numbers),
            operation.id,
            operation.kind,
            operation.target,
            operation.params,
            "waiting",
            0,
            0,
            "",
            {},
            operation.who,
            operation.token,
            now,
            now,
            None,
        )
        self.asked[found.id] = found
        if operation.key:
            self.keys[key] = (found.id, operation.request)
        return found, True

    async def remembers(self, who: str, key: str) -> bool:
        self._check()
        return (who, key) in self.keys

    async def operation(self, id: str) -> Operation | None:
        self._check()
        return self.asked.get(id)

    async def operations(
        self, *, before: int = 2**62, limit: int = 100, state: str = ""
    ) -> list[Operation]:
        self._check()
        found = sorted(self.asked.values(), key=lambda operation: -operation.number)
        return [o for o in found if o.number < before and state in ("", o.state)][:limit]

    async def open_operations(self, *, limit: int = 100) -> list[Operation]:
        self._check()
        return [
            o
            for o in sorted(self.asked.values(), key=lambda operation: operation.number)
            if not o.over
        ][:limit]

    async def begin(self, id: str, *, total: int, detail: str = "") -> bool:
        return self._update(
            id, ("waiting",), state="running", total=total, detail=detail[:MAX_TEXT]
        )

    async def progress(
        self,
        id: str,
        *,
        done: int,
        total: int,
        detail: str = "",
        figures: dict[str, float] | None = None,
    ) -> bool:
        return self._update(
            id, ("running",), figures, done=done, total=total, detail=detail[:MAX_TEXT]
        )

    async def finish(
        self,
        id: str,
        state: OperationState,
        *,
        detail: str = "",
        figures: dict[str, float] | None = None,
    ) -> bool:
        return self._update(
            id,
            ("waiting", "running"),
            figures,
            state=state,
            detail=detail[:MAX_TEXT],
            finished_us=next(self._clock),
        )

    async def cancel(self, id: str, *, who: str, audit: Audit | None = None) -> bool:
        found = self.asked.get(id)
        if found is None or found.over:
            return False
        await _record(audit)
        return await self.finish(id, "cancelled", detail=f"cancelled by {who}")

    async def decided(self, decisions: Sequence[ClusterDecision]) -> None:
        self._check()
        self.log += [
            ClusterDecision(
                d.subject[:MAX_TEXT],
                d.what[:MAX_TEXT],
                d.why[:MAX_TEXT],
                next(self._numbers),
                next(self._clock),
            )
            for d in decisions
        ]

    async def decisions(
        self, *, subject: str = "", before: int = 2**62, limit: int = 100
    ) -> list[ClusterDecision]:
        self._check()
        return [d for d in reversed(self.log) if d.number < before and subject in ("", d.subject)][
            :limit
        ]

    async def forget(
        self, *, keep_operations: int = 10_000, keep_decisions: int = 20_000, limit: int = 1000
    ) -> int:
        self._check()
        newest = max((operation.number for operation in self.asked.values()), default=0)
        old = [
            o.id for o in self.asked.values() if o.over and o.number <= newest - keep_operations
        ][:limit]
        for id in old:
            del self.asked[id]
        last = self.log[-1].number if self.log else 0
        late = [d for d in self.log if d.number <= last - keep_decisions][:limit]
        self.log = [d for d in self.log if d not in late]
        return len(old) + len(late)

    def _update(
        self,
        id: str,
        states: tuple[str, ...],
        figures: dict[str, float] | None = None,
        **changes: Any,
    ) -> bool:
        self._check()
        found = self.asked.get(id)
        if found is None or found.state not in states:
            return False
        merged = {**found.figures, **(figures or {})}
        self.asked[id] = msgspec.structs.replace(
            found, figures=merged, updated_us=next(self._clock), **changes
        )
        return True

    def _check(self) -> None:
        if self.away:
            raise Unavailable("PostgreSQL is away")


async def _record(audit: Audit | None) -> None:
    if audit is not None:
        await audit(None)
