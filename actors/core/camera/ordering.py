"""Order and duplicates by (session, seq) alone: sessions, links, holes, credits. Go-back-N: nothing
beyond a hole is kept.

`Ordering` says what of a delivery is new; applying it is the caller's. `seq` is the last applied,
`acked` the last committed.
"""

from collections import deque

from actors.core.camera.credits import CreditLine
from actors.core.errors import Conflict, TooMany, Unavailable
from actors.core.messages.deliveries import (
    NOT_OWNER,
    Answer,
    AskedAgain,
    Attach,
    Data,
    Dismissed,
    Welcomed,
)

REMEMBERED = 256  # bodies of applied items, to tell a resend from another item under the same seq
SUPERSEDED_KEPT = 32  # sessions known to be superseded; the store knows them all
OPENINGS = 16  # hellos that wait for a session to be opened
ASK_AGAIN_US = 1_000_000  # first repetition of a resync; doubled each time
ASK_AGAIN_MAX_US = 8_000_000
MOVED = 1000  # Dismissed.code of a link whose session went on on a newer one


class Hole:
    """Items were seen up to `last` and not taken, since some before them are missing; no progress
    since `since_us`.

    Missing for certain: from `Ordering.seq + 1` to `beyond - 1`. Where that is empty, deliveries
    have overtaken each other (calls to an actor keep no order) and the rest was dropped here: it
    must be asked for, and is never a gap.
    """

    __slots__ = ("again_us", "beyond", "last", "pause_us", "since_us")

    def __init__(self, beyond: int, last: int, now_us: int) -> None:
        self.beyond = beyond
        self.last = last
        self.since_us = now_us
        self.pause_us = ASK_AGAIN_US
        self.again_us = now_us + ASK_AGAIN_US


class Ordering:
    """The numbering of one camera."""

    __slots__ = (
        "ack_due",
        "acked",
        "ask_due",
        "bodies",
        "camera",
        "credit",
        "duplicates",
        "gap_timeout_us",
        "hole",
        "inherited",
        "late",
        "link",
        "opening",
        "seq",
        "session",
        "superseded",
        "timed_out",
    )

    def __init__(
        self,
        camera: str,
        session: str,
        seq: int,
        *,
        window_items: int,
        inherited_items: int = 0,
        gap_timeout_us: int,
    ) -> None:
        self.camera = camera
        self.gap_timeout_us = gap_timeout_us
        self.link: str | None = None
        self.superseded: deque[str] = deque(maxlen=SUPERSEDED_KEPT)
        self.opening: list[Attach] = []
        self.duplicates = 0
        self.late = 0
        self._start(session, seq, window_items)
        self.inherited = seq + inherited_items  # a predecessor may have given credits up to here

    def _start(self, session: str, seq: int, window_items: int) -> None:
        self.session = session
        self.seq = seq
        self.acked = seq
        self.credit = CreditLine(seq, window_items)
        self.inherited = 0
        self.hole: Hole | None = None
        self.timed_out: tuple[int, int] = (0, 0)
        self.bodies: list[tuple[int, str, int] | None] = [None] * REMEMBERED
        self.ack_due = False
        self.ask_due = False

    # sessions and links

    def attach(self, hello: Attach) -> list[Answer]:
        """A hello: answers, or it joins `opening` (its session is new here, or another is being
        opened)."""
        if hello.session in self.superseded:
            return [
                Dismissed(
                    self.camera,
                    hello.link,
                    Conflict.close_code,
                    "superseded by a newer session; start a new one",
                )
            ]
        if self.opening or hello.session != self.session:
            if len(self.opening) >= OPENINGS:
                return [
                    Dismissed(
                        self.camera,
                        hello.link,
                        Unavailable.close_code,
                        "too many sessions at once; come back later",
                    )
                ]
            self.opening.append(hello)
            return []
        answers: list[Answer] = []
        if self.link is not None and self.link != hello.link:
            answers.append(
                Dismissed(
                    self.camera, self.link, MOVED, "the session went on on a newer connection"
                )
            )
        self.link = hello.link
        self.hole = None
        self.ask_due = False
        answers.append(self._welcome())
        return answers

    def opened(self, outcome: str) -> tuple[Attach | None, list[Answer], bool]:
        """The store's word on `opening[0]`: (that hello or None, answers, whether the session
        changed)."""
        hello, waiting = self.opening[0], self.opening[1:]
        self.opening = []
        answers: list[Answer] = []
        changed = outcome == "opened"
        if changed:
            if self.session:
                self.superseded.append(self.session)
            if self.link is not None and self.link != hello.link:
                answers.append(
                    Dismissed(
                        self.camera, self.link, Conflict.close_code, "superseded by a newer session"
                    )
                )
            self._start(hello.session, 0, self.credit.window)
            self.link = hello.link or None
            if self.link is not None:
                answers.append(self._welcome())
        else:
            self.superseded.append(hello.session)
            if hello.link:
                answers.append(
                    Dismissed(
                        self.camera,
                        hello.link,
                        Conflict.close_code,
                        "superseded by a newer session; start a new one",
                    )
                )
            answers.extend(self.ask_now())
        for other in waiting:
            if other.link:
                answers.extend(self.attach(other))
        return hello, answers, changed

    def detach(self, link: str) -> bool:
        """A link is gone: True when it was the current one."""
        self.opening = [
            hello if hello.link != link else _without_link(hello) for hello in self.opening
        ]
        if self.link != link:
            return False
        self.link = None
        self.hole = None
        self.ask_due = False
        return True

    def _welcome(self) -> Welcomed:
        assert self.link is not None
        return Welcomed(
            self.camera, self.link, self.session, self.acked + 1, self.credit.grant(self.acked)
        )

    def stranger(self, link: str) -> list[Answer]:
        """A sign of life from a link that is not the current one: it says hello again, unless its
        hello waits for its session."""
        if any(hello.link == link for hello in self.opening):
            return []
        return [Dismissed(self.camera, link, NOT_OWNER, "this link has not said hello here")]

    # deliveries

    def admit(self, link: str, session: str) -> list[Answer] | None:
        """None when items of this link and session may be looked at, else the answers (nothing at
        all while a session is opened)."""
        if self.opening:
            if link == self.link:
                self.ask_due = True
            return []
        if session != self.session:
            if session in self.superseded:
                return [
                    Dismissed(
                        self.camera, link, Conflict.close_code, "superseded by a newer session"
                    )
                ]
            return [Dismissed(self.camera, link, NOT_OWNER, "this session has not said hello here")]
        if self.link is None:
            self.link = link
        elif link != self.link:
            return [
                Dismissed(self.camera, link, MOVED, "the session went on on a newer connection")
            ]
        return None

    def over_credit(self, last_seq: int) -> list[Answer] | None:
        """The dismissal of a link that sent beyond its credit, else None."""
        if last_seq <= max(self.credit.limit, self.inherited):
            return None
        link, self.link, self.hole = self.link, None, None
        assert link is not None
        return [
            Dismissed(
                self.camera,
                link,
                TooMany.close_code,
                f"sent seq {last_seq}, credit ended at {self.credit.limit}",
            )
        ]

    def beyond_hole(self, first_seq: int, last_seq: int, now_us: int) -> list[Answer]:
        """Items `first_seq` to `last_seq` came and some before them are missing: ask again, at
        growing intervals."""
        hole = self.hole
        if hole is None:
            self.hole = Hole(first_seq, last_seq, now_us)
            return self.ask()
        hole.beyond = first_seq if hole.beyond <= self.seq + 1 else min(hole.beyond, first_seq)
        hole.last = max(hole.last, last_seq)
        return self.ask_if_due(now_us)

    def ask(self) -> list[Answer]:
        """The resync from what is expected next."""
        return [AskedAgain(self.camera, self.link, self.seq + 1)] if self.link is not None else []

    def ask_now(self) -> list[Answer]:
        """The resync, if items were dropped unread while nothing could be applied."""
        if not self.ask_due:
            return []
        self.ask_due = False
        return self.ask()

    def ask_if_due(self, now_us: int) -> list[Answer]:
        """The resync again, if the hole is still there when its time has come."""
        hole = self.hole
        if hole is None or now_us < hole.again_us:
            return []
        hole.pause_us = min(hole.pause_us * 2, ASK_AGAIN_MAX_US)
        hole.again_us = now_us + hole.pause_us
        return self.ask()

    def given_up(self, now_us: int) -> tuple[int, int] | None:
        """The range (first, last) of a hole that nobody filled in time; it is passed over from now
        on."""
        hole = self.hole
        if (
            hole is None
            or hole.beyond <= self.seq + 1
            or now_us - hole.since_us < self.gap_timeout_us
        ):
            return None
        missing = (self.seq + 1, hole.beyond - 1)
        self.timed_out = missing
        self.advance(hole.beyond - 1, now_us)
        return missing

    def advance(self, seq: int, now_us: int) -> None:
        """Everything up to `seq` is applied. A hole that is not wholly filled stays, with new
        patience."""
        self.seq = seq
        hole = self.hole
        if hole is None:
            return
        if seq >= hole.last:
            self.hole = None
            return
        hole.since_us = now_us
        hole.pause_us = ASK_AGAIN_US
        hole.again_us = now_us + ASK_AGAIN_US

    def remember(self, seq: int, form: str, body: bytes) -> None:
        """Keep what tells this item from another one. Hashes live in this process only and are
        compared for equality only."""
        self.bodies[seq % REMEMBERED] = (seq, form, hash(body))

    def differs(self, seq: int, form: str, body: bytes) -> bool:
        """True, once, when the item known under this seq was another one. Counts the duplicate, or
        what came after its gap."""
        if self.timed_out[0] <= seq <= self.timed_out[1]:
            self.late += 1
            return False
        self.duplicates += 1
        known = self.bodies[seq % REMEMBERED]
        if known is None or known[0] != seq or known[1] != form or known[2] == hash(body):
            return False
        self.bodies[seq % REMEMBERED] = None
        return True

    def clock_stepped(self, by_us: int) -> None:
        """The clock that `now_us` is read from was set: a hole stays as old as it was."""
        if self.hole is not None:
            self.hole.since_us += by_us
            self.hole.again_us += by_us

    def deadline_us(self) -> int | None:
        """When the hole must be asked for again or given up."""
        hole = self.hole
        if hole is None:
            return None
        return (
            hole.again_us
            if hole.beyond <= self.seq + 1
            else min(hole.again_us, hole.since_us + self.gap_timeout_us)
        )


def fresh_from(order: Ordering, data: Data) -> int:
    """Index of the first new item of a delivery that begins at or before what is expected;
    ``len(items)`` when all are duplicates."""
    return min(order.seq + 1 - data.first_seq, len(data.items))


def _without_link(hello: Attach) -> Attach:
    return Attach(
        hello.camera,
        "",
        hello.session,
        hello.next_seq,
        hello.received_us,
        hello.producer,
        hello.frame_size,
    )
