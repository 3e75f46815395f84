"""A sink that posts to a receiver: one request in flight per camera, each event until it is taken,
refused for good, or three days are over. A camera that fails keeps up no other."""

import asyncio
import logging

from actors.core.errors import Fenced
from connectors.sinks import attempts, planning, sealed, webhook_requests
from connectors.sinks.attempts import AttemptVerdict
from connectors.sinks.context import SinkContext, stored
from connectors.sinks.endpoint_breaker import EndpointBreaker
from connectors.sinks.envelope import CloudEvent
from connectors.sinks.looking import SinkWork
from connectors.sinks.planning import Plan
from connectors.sinks.sealed import Secrets
from connectors.sinks.spec import SinkSpec, Webhook
from storage.ports.background.sinks import (
    Attempt,
    Cursor,
    CursorMove,
    DueCamera,
    Failure,
    SinkReplay,
)
from workers.kinds import RunningConnector

EVENTS = 20  # of a camera, read at once
REFRESH_S = 2.0  # seconds until changed secrets are used
FORGET_S = 60.0  # seconds between two looks for old attempts

log = logging.getLogger("eyrie.sinks.webhook")


async def run(connector: RunningConnector, context: SinkContext) -> None:
    """Until it is cancelled. Raises Fenced when another has it, Unavailable, NotFound."""
    row, spec = await stored(context.store, connector.args["sink"])
    relay = WebhookRelay(connector, context, row.name, spec)
    await relay.run()


class WebhookRelay:
    """One per running sink."""

    def __init__(
        self, connector: RunningConnector, context: SinkContext, name: str, spec: SinkSpec
    ) -> None:
        if not isinstance(spec.to, Webhook):
            raise TypeError(f"sink {name} is no webhook")
        self._to = spec.to
        self._filter = spec.filter
        self._connector = connector
        self._context = context
        self._name = name
        self._work = SinkWork(name, spec, connector.connector.claim, context)
        self._breaker = EndpointBreaker(name, context)
        self._secrets = Secrets()
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by camera
        self._forget_at = 0.0

    async def run(self) -> None:
        """For ever."""
        await self._breaker.load()
        refresh = asyncio.get_running_loop().time()
        try:
            while True:
                if asyncio.get_running_loop().time() >= refresh:
                    await self._refresh()
                    refresh = asyncio.get_running_loop().time() + REFRESH_S
                began = await self._begin()
                await self._settle(wait=not began)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _refresh(self) -> None:
        row, _ = await stored(self._context.store, self._name)
        self._secrets = sealed.unseal(self._context.key, self._name, row.secrets)
        await self._connector.note({})
        if (now := asyncio.get_running_loop().time()) >= self._forget_at:
            await self._context.store.forget_attempts(self._name)
            self._forget_at = now + FORGET_S

    async def _begin(self) -> bool:
        """Give free places to cameras; whether there were any. While the breaker is not closed
        there is one place."""
        places = (self._to.at_once if self._breaker.closed else 1) - len(self._tasks)
        if places <= 0 or self._breaker.waits_s() > 0:
            return False
        busy = list(self._tasks)
        found = await self._work.next_plans(busy=busy, cameras=places, events=EVENTS)
        for due, plan in found:
            self._tasks[due.camera] = asyncio.create_task(self._serve(due, plan))
        places -= len(found)
        busy = list(self._tasks)
        again = await self._context.store.replays(self._name, busy=busy, limit=places)
        for replay in again:
            self._tasks[replay.camera] = asyncio.create_task(self._replay(replay))
        return bool(found or again)

    async def _settle(self, *, wait: bool) -> None:
        """Take the ends of what has ended. `wait`: there is nothing to begin just now."""
        idle_s = max(self._context.idle_s, min(self._breaker.waits_s(), 5.0)) if wait else 0.0
        if not self._tasks:
            await asyncio.sleep(idle_s)
            return
        done, _ = await asyncio.wait(
            self._tasks.values(), timeout=idle_s, return_when=asyncio.FIRST_COMPLETED
        )
        for camera in [camera for camera, task in self._tasks.items() if task in done]:
            self._tasks.pop(camera).result()

    async def _serve(self, due: DueCamera, plan: Plan) -> None:
        at = due.cursor
        failures, since_us = due.failures, due.since_us
        for step in plan.steps:
            if step.message is None:
                continue
            verdict = await self._attempt(due.camera, step.message, failures, since_us)
            if verdict is None or verdict.outcome != "delivered":
                await self._pass_over(due, at, plan, step.message)
                if verdict is not None:
                    await self._failed(due, self._before(at, plan, step.message), verdict)
                return
            await self._work.move([CursorMove(due.camera, at, step.after)])
            self._context.counts.sent += 1
            at, failures, since_us = step.after, 0, 0
        if at != plan.steps[-1].after:
            await self._work.move([CursorMove(due.camera, at, plan.steps[-1].after)])

    def _before(self, at: Cursor, plan: Plan, message: CloudEvent) -> Cursor:
        """Where the cursor stands when everything before `message` is over."""
        for step in plan.steps:
            if step.message is message:
                return at
            if (step.after.epoch, step.after.offset) > (at.epoch, at.offset):
                at = step.after
        return at

    async def _pass_over(self, due: DueCamera, at: Cursor, plan: Plan, message: CloudEvent) -> None:
        """What was withheld before `message`: so the cursor says of which event a failure tells."""
        before = self._before(at, plan, message)
        if before != at:
            await self._work.move([CursorMove(due.camera, at, before)])

    async def _failed(self, due: DueCamera, before: Cursor, verdict: AttemptVerdict) -> None:
        store = self._context.store
        if verdict.outcome == "disabled":
            await store.disable(self._work.claim, self._name, verdict.reason)
            raise Fenced(f"sink {self._name} is disabled: {verdict.reason}")
        parked = verdict.outcome == "parked"
        self._context.counts.failed += 1
        self._context.counts.parked += parked
        failure = Failure(due.camera, before, verdict.reason, verdict.after_s, parked)
        if not await store.fail(self._work.claim, self._name, [failure]):
            raise Fenced(f"sink {self._name} was lost to another worker")

    async def _replay(self, replay: SinkReplay) -> None:
        """Once more, what the sink may have of it now."""
        start = Cursor(replay.epoch, replay.next - 1)
        due = DueCamera(replay.camera, replay.site, replay.tags, start, replay.epoch, replay.last)
        ruling = await self._work.policy.ruling(replay.camera, replay.site, replay.tags)
        if ruling is None:
            return
        rows = (await self._context.store.read([due], EVENTS))[replay.camera]
        rows = [row for row in rows if row.epoch == replay.epoch and row.offset <= replay.last]
        for row in rows:
            message = planning.shown(row, "", self._filter, ruling)
            if message is None:
                continue
            verdict = await self._attempt(replay.camera, message, replay.failures, 0, replay=True)
            if verdict is None:
                return
            if verdict.outcome == "retry":
                await self._replayed(replay, row.offset, verdict.reason, verdict.after_s)
                return
        await self._replayed(replay, rows[-1].offset + 1 if rows else replay.last + 1)

    async def _replayed(
        self, replay: SinkReplay, next: int, error: str = "", after_s: float = 0.0
    ) -> None:
        store = self._context.store
        if not await store.replayed(
            self._work.claim, self._name, replay.id, next=next, error=error, after_s=after_s
        ):
            raise Fenced(f"sink {self._name} was lost to another worker")

    async def _attempt(
        self,
        camera: str,
        message: CloudEvent,
        failures: int,
        since_us: int,
        *,
        replay: bool = False,
    ) -> AttemptVerdict | None:
        """One request and its record. None: the breaker lets nothing through now."""
        if not await self._breaker.admit():
            return None
        headers, body = webhook_requests.request(
            self._name, self._to, message, self._secrets, self._context.now_s(), replay=replay
        )
        answer = await self._context.client.post(self._to.url, headers, body)
        now_s = self._context.now_s()
        verdict = attempts.verdict(
            answer,
            failures=failures,
            failing_s=now_s - since_us / 1e6 if since_us else 0.0,
            chance=self._context.chance(),
            now_s=now_s,
        )
        await self._breaker.note(verdict.healthy)
        detail = answer.detail if verdict.outcome == "delivered" else verdict.reason
        record = Attempt(
            camera, message.id, answer.ms, answer.status, verdict.outcome, detail, replay
        )
        await self._context.store.attempted(self._name, [record])
        return verdict
