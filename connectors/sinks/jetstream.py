"""A sink that fills a stream of NATS JetStream: of each camera every event once and in order.

What is due goes out in atomic batches of many cameras, one after the other. Each camera's first
message names the number that must be its last one in the stream, so of two relays at once only one
gets anywhere; whatever outcome is unknown, the stream is asked what it holds before anything else
is sent.
"""

import asyncio
import logging
import secrets

import msgspec

from actors.core.errors import ConfigError, Unavailable
from connectors.sinks.context import SinkContext, stored
from connectors.sinks.looking import SinkWork
from connectors.sinks.nats_client import DUPLICATE, WRONG_SEQUENCE, NatsLink, Outgoing, Rejected
from connectors.sinks.planning import Plan, Step
from connectors.sinks.spec import Jetstream, SinkSpec
from connectors.sinks.stream_places import (
    StreamEnd,
    camera_subject,
    end_of,
    expecting,
    message_headers,
    settled,
    subject_of,
    thin,
)
from storage.ports.background.sinks import Cursor, CursorMove, DueCamera
from workers.kinds import RunningConnector

CAMERAS = 100  # of one turn
EVENTS = 50  # of one camera in one turn
BATCH = 200  # messages; the server takes 1,000
BATCH_BYTES = 512 * 1024
KEPT_S = 7 * 86_400.0  # of a stream that we make
NOTE_S = 5.0

log = logging.getLogger("eyrie.sinks.jetstream")


async def run(connector: RunningConnector, context: SinkContext) -> None:
    """Until it is cancelled. Raises Fenced, Unavailable (the link is cut: begin again), NotFound,
    ConfigError."""
    row, spec = await stored(context.store, connector.args["sink"])
    if not isinstance(spec.to, Jetstream):
        raise TypeError(f"sink {row.name} is no stream")
    url = spec.to.url or context.nats_url
    if not url:
        raise ConfigError(f"sink {row.name} has no server", hint="Set EYRIE_NATS_URL.")
    link = await NatsLink.open(url, context.nats_token)
    try:
        relay = JetstreamRelay(connector, context, row.name, spec, spec.to, link)
        await relay.run()
    finally:
        await link.close()


class JetstreamRelay:
    """One per running sink and connection."""

    def __init__(
        self,
        connector: RunningConnector,
        context: SinkContext,
        name: str,
        spec: SinkSpec,
        to: Jetstream,
        link: NatsLink,
    ) -> None:
        self._connector = connector
        self._context = context
        self._to = to
        self._link = link
        self._work = SinkWork(name, spec, connector.connector.claim, context)
        self._stream_last = 0  # the highest number that this connection knows to be there
        self._ends: dict[str, int] = {}  # camera → the number of its last message, as we know
        self._alone: set[str] = set()  # cameras whose batch was refused: one at a time

    async def run(self) -> None:
        """For ever."""
        await self._begin()
        noted = float("-inf")
        while True:
            now = asyncio.get_running_loop().time()
            if now - noted >= NOTE_S:
                await self._connector.note({})
                noted = now
            if not await self._turn():
                await asyncio.sleep(self._context.idle_s)

    async def _begin(self) -> None:
        subject = f"{self._to.prefix}.>"
        state = await self._link.stream(self._to.stream)
        if state is None:
            await self._link.make_stream(self._to.stream, [subject], KEPT_S)
            state = await self._link.stream(self._to.stream)
        if state is None or not state.batches or subject not in state.subjects:
            raise ConfigError(
                f"the stream {self._to.stream} takes no atomic batches of {subject}",
                hint=f"Give it allow_atomic and the subject {subject}, or the sink another name.",
            )
        self._stream_last = state.last
        behind = await self._context.store.beyond(self._work.name, state.last)
        if behind:
            log.warning("the broker lost the tail of %s: %d cameras", self._to.stream, len(behind))
        for due in behind:
            await self._settle(due)

    async def _turn(self) -> bool:
        """Whether anything was done."""
        plans = await self._work.next_plans(busy=(), cameras=CAMERAS, events=EVENTS)
        ready: list[tuple[DueCamera, Plan]] = []
        for due, plan in plans:
            if due.camera in self._ends or await self._settle(due):
                ready.append((due, plan))
        alone = [one for one in ready if one[0].camera in self._alone]
        left = alone[:1] or ready
        while left:
            left = await self._send(left)
        return bool(plans)

    async def _settle(self, due: DueCamera) -> bool:
        """Ask the stream where a camera ends; whether the cursor is right as it stands."""
        last = await self._link.last(self._to.stream, self._filter(due))
        end: StreamEnd | None = None
        if last is not None and (end := end_of(last.number, last.headers)) is None:
            raise ConfigError(f"somebody else publishes on {self._filter(due)}")
        cursor = settled(due, end, self._stream_last)
        self._ends[due.camera] = 0 if end is None else end.number
        if cursor == due.cursor:
            return True
        await self._work.move([CursorMove(due.camera, due.cursor, cursor)])
        return False

    def _filter(self, due: DueCamera) -> str:
        return f"{camera_subject(self._to.prefix, due.site, due.camera)}.>"

    async def _send(self, ready: list[tuple[DueCamera, Plan]]) -> list[tuple[DueCamera, Plan]]:
        """One batch; what it had no room for."""
        messages, reached = self._batch(ready)
        if not messages:
            return []
        cameras = [due.camera for due, _, _ in reached]
        try:
            last = await self._link.publish_batch(secrets.token_hex(16), messages)
        except Rejected as refused:
            for camera in cameras:
                self._ends.pop(camera, None)  # asked again before the next try
            if refused.err_code not in (WRONG_SEQUENCE, DUPLICATE):
                raise
            self._alone.update(cameras)
            log.warning("a batch of %d cameras is sent one by one: %s", len(cameras), refused)
            return []
        except Unavailable:
            self._ends.clear()
            raise
        self._stream_last = max(self._stream_last, last)
        first = last - len(messages) + 1
        moves: list[CursorMove] = []
        for due, steps, count in reached:
            self._alone.discard(due.camera)
            first += count
            after = steps[-1].after
            self._ends[due.camera] = first - 1
            moves.append(CursorMove(due.camera, due.cursor, _placed(after, first - 1)))
        await self._work.move(moves)
        self._context.counts.sent += len(messages)
        return _rest(ready, {move.camera: move for move in moves}, reached)

    def _batch(
        self, ready: list[tuple[DueCamera, Plan]]
    ) -> tuple[list[Outgoing], list[tuple[DueCamera, list[Step], int]]]:
        """As much as a batch holds: messages, and of each camera the steps and how many messages
        they are."""
        messages: list[Outgoing] = []
        reached: list[tuple[DueCamera, list[Step], int]] = []
        size = 0
        for due, plan in ready:
            steps: list[Step] = []
            count = 0
            subject = camera_subject(self._to.prefix, due.site, due.camera)
            for step in plan.steps:
                if step.message is not None:
                    message = thin(step.message, self._link.max_payload)
                    size += len(message.data)
                    if messages and (len(messages) == BATCH or size > BATCH_BYTES):
                        break
                    headers = message_headers(message)
                    if not count:
                        headers |= expecting(subject, self._ends[due.camera])
                    out = Outgoing(subject_of(self._to.prefix, message), headers, message.data)
                    messages.append(out)
                    count += 1
                steps.append(step)
            if count:
                reached.append((due, steps, count))
            if len(messages) == BATCH or size > BATCH_BYTES:
                break
        return messages, reached


def _rest(
    ready: list[tuple[DueCamera, Plan]],
    moves: dict[str, CursorMove],
    reached: list[tuple[DueCamera, list[Step], int]],
) -> list[tuple[DueCamera, Plan]]:
    """What is left of the plans, from where their cursors are now."""
    over = {due.camera: len(steps) for due, steps, _ in reached}
    left = []
    for due, plan in ready:
        steps = plan.steps[over.get(due.camera, 0) :]
        if not steps:
            continue
        if (move := moves.get(due.camera)) is not None:
            due = msgspec.structs.replace(due, cursor=move.after)
        left.append((due, Plan(steps)))
    return left


def _placed(cursor: Cursor, number: int) -> Cursor:
    return msgspec.structs.replace(cursor, place=number)
