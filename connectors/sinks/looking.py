"""What a sink has to do next: due cameras, their events, the plan of each."""

import time
from collections.abc import Collection

from actors.core.errors import Fenced
from connectors.sinks.context import SinkContext, SinkPolicy
from connectors.sinks.planning import Plan, plan
from connectors.sinks.spec import SinkSpec
from storage.ports.background.connectors import ConnectorClaim
from storage.ports.background.sinks import CursorMove, DueCamera

ADOPT_S = 2.0  # between two looks for cameras that are new
MAX_HOLES = 1_000  # skipped events that are looked at, of the cameras of one look


class SinkWork:
    """One per running sink."""

    def __init__(
        self, name: str, spec: SinkSpec, claim: ConnectorClaim, context: SinkContext
    ) -> None:
        self.name = name
        self.claim = claim
        self.policy = SinkPolicy(name, spec, context.decider)
        self._filter = spec.filter
        self._context = context
        self._store = context.store
        self._adopted = float("-inf")

    async def next_plans(
        self, *, busy: Collection[str], cameras: int, events: int
    ) -> list[tuple[DueCamera, Plan]]:
        """At most so many cameras, none of `busy`, and of each so many events. Where nothing goes
        out, cursors are moved on at once. Raises Fenced, Unavailable."""
        if time.monotonic() - self._adopted >= ADOPT_S:
            await self._store.adopt(self.name)
            self._adopted = time.monotonic()
        due = await self._store.due(self.name, busy=busy, limit=cameras)
        if not due:
            return []
        read = await self._store.read(due, events)
        skipped = await self._store.holes(
            self.name, cameras=[one.camera for one in due], limit=MAX_HOLES
        )
        found: list[tuple[DueCamera, Plan]] = []
        quiet: list[CursorMove] = []
        for one in due:
            ruling = await self.policy.ruling(one.camera, one.site, one.tags)
            if ruling is None:
                continue
            holes = [hole for hole in skipped if hole.camera == one.camera]
            made = plan(one, read[one.camera], self._filter, ruling, holes)
            self._context.counts.withheld += sum(step.message is None for step in made.steps)
            if made.lost:
                self._context.counts.lost += sum(h.last - h.first + 1 for h in made.lost)
                await self._store.lose(self.claim, self.name, made.lost)
            if any(step.message is not None for step in made.steps):
                found.append((one, made))
            else:
                quiet.append(CursorMove(one.camera, one.cursor, made.steps[-1].after))
        await self.move(quiet)
        return found

    async def move(self, moves: list[CursorMove]) -> None:
        """Raises Fenced where a cursor is not ours to move any more."""
        if moves and len(await self._store.move(self.claim, self.name, moves)) < len(moves):
            raise Fenced(f"sink {self.name} was lost to another worker")
