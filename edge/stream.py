"""One camera's stream: its sessions, each a window with a spool, and what they have to say. Knows
no socket and no clock.

The first session is the one that is sent; offers go to the last. There are two only while a session
that cannot be continued (a lost counter) is delivered before its successor.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from actors.core.backoff import Backoff
from actors.core.errors import BadInput, Conflict, EyrieError, TooMany, Unauthorized, Unavailable
from actors.core.messages.edge_protocol import Ack, Bye, Gap, Hello, Reject, Resync, ToEdge, Welcome
from actors.core.messages.object_faults import Faults, add
from actors.core.messages.observations import Backlog, Observation
from edge import messages
from edge.reconnect import terminal_close
from edge.spools import Spool
from edge.window import FORGOTTEN, MAX_ITEM_BYTES, SHED, UNREADABLE, Account, Batch, Missing, Window

OnFull = Literal["shed", "wait"]
Phase = Literal["closed", "greeting", "open", "away", "ended"]

GREETING_S = 30.0  # seconds without a welcome before the hello is said again
UNWRITTEN = "the edge could not spool it"

log = logging.getLogger("eyrie.edge")


class Session:
    """A named session: what is numbered, and where it is kept."""

    def __init__(self, name: str, window: Window, spool: Spool) -> None:
        self.name = name
        self.window = window
        self.spool = spool

    @property
    def settled(self) -> bool:
        """Everything numbered is durable at the hub."""
        return self.window.pending == 0


class Stream:
    """A camera's stream. Made by :meth:`edge.client.EdgeClient.open`; `wake(urgent)` tells the
    client that there is something to send."""

    def __init__(
        self,
        camera: str,
        sessions: list[Session],
        *,
        wake: Callable[[bool], None],
        on_full: OnFull,
        numbered_elsewhere: bool,
        fresh: Callable[[], Session] | None,
        chance: Callable[[], float],
        producer: str | None,
        frame_size: tuple[int, int] | None,
        renew: Callable[[], str] | None = None,
    ) -> None:
        self.camera = camera
        self.error: EyrieError | None = None
        self.on_reject: Callable[[int, str, str], None] | None = None
        self._sessions = deque(sessions)
        self._wake = wake
        self._on_full = on_full
        self._numbered_elsewhere = numbered_elsewhere
        self._fresh = fresh
        self._chance = chance
        self._producer = producer
        self._frame_size = frame_size
        self._renew = renew
        self._renewing = False
        self._proved = False
        self._phase: Phase = "closed"
        self._due = 0.0  # when a hello is due, on the client's clock
        self._backoff = Backoff()
        self._past = Account()
        self._change = asyncio.Event()
        self.welcomed = False
        self._left: str | None = None

    # the device's side

    @property
    def session(self) -> str:
        """The session that new observations go to."""
        return self._sessions[-1].name

    @property
    def next_seq(self) -> int:
        """The seq that the next observation gets in `session`."""
        return self._sessions[-1].window.next_seq

    @property
    def pending(self) -> int:
        """Observations and gaps not yet acked."""
        return sum(session.window.pending for session in self._sessions)

    @property
    def account(self) -> Account:
        """The counts of all sessions of this process."""
        total = Account()
        for part in (self._past, *(session.window.account for session in self._sessions)):
            total.add(part)
        return total

    async def send(self, observation: Observation) -> int:
        """Take an observation and return its seq; an alarm is on the disk then. Durability at the
        hub comes later (:meth:`drain`).

        Full spool: waits for acks (`on_full` ``wait``), or sheds the oldest live observation, never
        an alarm (``shed``). A bad object costs itself; the account tells. Raises :class:`BadInput`
        for what is no observation or is too large, :class:`TooMany` for an alarm when alarms fill
        the spool, :class:`Unavailable` when an alarm cannot be spooled, and the stream's terminal
        error once it has one.
        """
        body, faults = messages.encode_body(observation)
        if len(body) > MAX_ITEM_BYTES:
            raise BadInput(
                f"this observation has {len(body)} bytes, more than {MAX_ITEM_BYTES}",
                hint="Send fewer objects or attributes.",
            )
        while self._on_full == "wait" and self.error is None and not self._roomy(len(body)):
            await self.changed()
        seq = self.append(body, faults, alarm=observation.alarm is not None)
        if observation.alarm is not None:
            await asyncio.to_thread(self.sync)
        return seq

    def send_nowait(self, observation: Observation) -> int:
        """:meth:`send` for a stream that sheds. With ``wait`` it raises :class:`TooMany` instead of
        waiting."""
        body, faults = messages.encode_body(observation)
        if len(body) > MAX_ITEM_BYTES:
            raise BadInput(
                f"this observation has {len(body)} bytes, more than {MAX_ITEM_BYTES}",
                hint="Send fewer objects or attributes.",
            )
        if self._on_full == "wait" and not self._roomy(len(body)):
            raise TooMany("the spool is full", hint="Wait for acks.")
        return self.append(body, faults, alarm=observation.alarm is not None)

    async def drain(self, timeout_s: float | None = None) -> None:
        """Return when everything taken is durable. Raises the stream's terminal error, or
        TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not (self.welcomed and self.pending == 0):
                if self.error is not None:
                    raise self.error
                await self.changed()

    async def changed(self) -> None:
        """Wait until something moved: an ack, a welcome, an end."""
        await self._change.wait()

    def leave(self, reason: str) -> None:
        """Say goodbye for this camera once all is durable, and be away until :meth:`come_back`: its
        origin does not see it (`reason`, one word of the camera's state)."""
        self._left = reason
        self._wake(False)

    def come_back(self) -> None:
        """The origin sees the camera again."""
        self._left = None
        if self._phase == "away":
            self._phase, self._due = "closed", 0.0
        self._wake(False)

    def _roomy(self, size: int) -> bool:
        window = self._sessions[-1].window
        return window.next_seq <= window.acked or window.has_room(size)

    def append(self, body: bytes, faults: Faults, *, alarm: bool) -> int:
        """Take an observation as `messages.encode_body` made it (at most `MAX_ITEM_BYTES`), live
        ones shed when full; its seq. Raises as :meth:`send`, which syncs an alarm besides."""
        if self.error is not None:
            raise self.error
        session = self._sessions[-1]
        if faults:
            add(session.window.account.object_faults, faults)
        taken = session.window.offer(len(body), alarm=alarm)
        if taken.durable:
            return taken.seq
        try:
            if taken.shed:
                session.spool.give_up(taken.shed, SHED)
            if taken.seq not in taken.shed:
                session.spool.append(taken.seq, body, alarm=alarm)
        except Unavailable:
            session.window.lose(taken.seq, UNWRITTEN)
            if alarm:
                raise
        self._wake(alarm)
        return taken.seq

    # the socket's side

    @property
    def urgent(self) -> bool:
        """An alarm can go out now."""
        return self._phase == "open" and self._sessions[0].window.urgent

    @property
    def open(self) -> bool:
        """The hub has welcomed this stream on this socket."""
        return self._phase == "open"

    @property
    def away(self) -> bool:
        """It has left, and nothing of it waits."""
        return self._phase == "away"

    @property
    def greeting(self) -> bool:
        """A hello is under way."""
        return self._phase == "greeting"

    def outgoing(self, form: messages.Format, now: float, sent: datetime) -> bytes | None:
        """The next frame to write, or None. `now` is the client's monotonic clock in seconds,
        `sent` its wall clock."""
        session = self._sessions[0]
        if self._left is not None and not self.pending and self._phase in ("open", "closed"):
            was_open = self._phase == "open"
            self._phase = "away"
            return messages.encode(form, Bye(1000, self._left, self.camera)) if was_open else None
        if self._phase == "away" and self.pending:
            self._phase, self._due = "closed", 0.0
        if self._phase in ("closed", "greeting"):
            if now < self._due:
                return None
            self._phase = "greeting"
            self._due = now + GREETING_S
            token = self._renew() if self._renew is not None and self._renewing else None
            return messages.encode(
                form,
                Hello(
                    self.camera,
                    session.name,
                    session.window.next_seq,
                    self._producer,
                    self._frame_size,
                    token,
                ),
            )
        if self._phase != "open":
            return None
        match session.window.next():
            case Batch(first, last):
                return self._observe(form, session, first, last, sent)
            case Missing(first, last, reason):
                return messages.encode(form, Gap(self.camera, first, last, reason[:120]))
            case None:
                return None

    def disconnected(self) -> None:
        """The socket is gone."""
        if self._phase not in ("ended", "away"):
            self._phase = "closed"
            self._due = 0.0
        self._sessions[0].window.disconnected()

    def received(self, message: ToEdge, now: float) -> None:
        """A message of the hub about this camera."""
        if self._phase == "ended":
            return
        session = self._sessions[0]
        match message:
            case Welcome():
                self._welcome(session, message)
            case Ack():
                self._forget(session, session.window.ack(message.seq, message.credits))
            case Resync():
                acked = session.window.acked
                session.window.resync(message.resume_from)
                self._rewound(session, acked)
            case Reject():
                if session.window.refused(message.seq) and self.on_reject is not None:
                    self.on_reject(message.seq, message.code, message.detail)
            case Bye():
                self._bye(message, now)
            case _:
                return
        self._advance(now)
        self._notify()

    def fail(self, error: EyrieError) -> None:
        """The stream ends for good; what it holds stays in its spool."""
        if self.error is None:
            self.error = error
        self._phase = "ended"
        self._notify()

    def sync(self) -> None:
        """Bring the spools to the disk (blocks)."""
        for session in list(self._sessions):
            session.spool.sync()

    def close(self) -> None:
        """Close the spools; nothing more is taken."""
        self._phase = "ended"
        for session in self._sessions:
            session.spool.close()

    def _observe(
        self, form: messages.Format, session: Session, first: int, last: int, sent: datetime
    ) -> bytes | None:
        bodies = []
        for seq in range(first, last + 1):
            body = session.spool.get(seq)
            if (
                body is None
                # damaged on disk: it becomes a declared gap, and what was passed over is walked
                # again
            ):
                session.window.lose(seq, UNREADABLE)
                session.window.resync(first)
                self._wake(False)
                return self.outgoing(form, 0.0, sent)
            bodies.append(body)
        backlog = Backlog(session.window.pending, session.window.held_bytes)
        return messages.encode_observe(form, self.camera, first, bodies, sent, backlog)

    def _welcome(self, session: Session, message: Welcome) -> None:
        if message.session != session.name:
            return
        acked = session.window.acked
        try:
            gone = session.window.connected(
                message.resume_from, message.credits, numbered_elsewhere=self._numbered_elsewhere
            )
        except Conflict as error:
            if self._fresh is None:
                self.fail(error)
                return
            self._forget(session, session.window.ack(session.window.next_seq - 1, 0))
            if len(self._sessions) == 1:
                self._sessions.append(self._fresh())
            return
        self._rewound(session, acked)
        self._phase = "open"
        self.welcomed = self._proved = True
        self._backoff.reset()
        self._forget(session, gone)

    def _bye(self, message: Bye, now: float) -> None:
        error = terminal_close(message.code, message.reason)
        if isinstance(error, Unauthorized) and self._renew is not None and self._proved:
            self._renewing, self._proved = (
                True,
                False,
            )  # the token was good until now: a new one may be again
        elif error is not None:
            self.fail(error)
            return
        self._phase = "closed"
        self._due = now + self._backoff.wait_s(self._chance())
        self._sessions[0].window.disconnected()

    def _advance(self, now: float) -> None:
        """Go on to the next session once the first is settled."""
        while len(self._sessions) > 1 and self._sessions[0].settled:
            finished = self._sessions.popleft()
            self._past.add(finished.window.account)
            finished.spool.remove()
            self._phase = "closed"
            self._due = now

    def _forget(self, session: Session, seqs: list[int]) -> None:
        session.spool.forget(seqs, session.window.acked)

    def _rewound(self, session: Session, acked: int) -> None:
        """The hub knows less than the `acked` it had confirmed: a restart of this device must know
        it too."""
        now = session.window.acked
        if now < acked:
            log.warning(
                "camera %s: the hub lost seq %d to %d of session %s, they are declared a gap",
                self.camera,
                now + 1,
                acked,
                session.name,
            )
            session.spool.rewind(now, acked, FORGOTTEN)

    def _notify(self) -> None:
        self._change.set()
        self._change = asyncio.Event()
        self._wake(False)
