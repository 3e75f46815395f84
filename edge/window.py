"""One session of one camera at the edge, as pure decisions: numbering, credits, shedding, gaps.
Payloads live in a spool, not here.

What is not acked and not held is a gap: the window declares it in place of the missing seqs, so a
hole never stays silent. Seqs are held in order; what credits do not admit yet waits; after a new
connection or a resync everything not acked is sent again.
"""

from bisect import bisect_right, insort
from dataclasses import dataclass, field

from actors.core.errors import Conflict, TooMany
from actors.core.messages.edge_protocol import MAX_OBSERVATIONS
from actors.core.messages.object_faults import Faults, add

MAX_BATCH_BYTES = (
    60_000  # payload of one `observe`; with its envelope it stays below MAX_MESSAGE_BYTES
)
MAX_ITEM_BYTES = MAX_BATCH_BYTES - 1_000  # one encoded observation
SHED = "spool full: oldest live observations dropped"
UNREADABLE = "spool damaged: observations lost"
FORGOTTEN = "the hub lost what it had acked"  # a database restored to an earlier state


@dataclass(slots=True, frozen=True)
class Batch:
    """Held observations `first_seq` to `last_seq`, to send as one `observe`."""

    first_seq: int
    last_seq: int


@dataclass(slots=True, frozen=True)
class Missing:
    """Seqs to declare as one `gap`."""

    first_seq: int
    last_seq: int
    reason: str


@dataclass(slots=True, frozen=True)
class Taken:
    """The answer to an offer: its seq, the seqs shed to make room, and whether the hub has it
    already (nothing to spool)."""

    seq: int
    shed: list[int]
    durable: bool = False


@dataclass(slots=True)
class Account:
    """Counts of observations. `committed` were sent by this process and acked; `duplicate` were
    durable without being sent; `forgotten` were acked, and the hub has them no more (they are
    declared as gaps). `object_faults`: objects by what was wrong with them
    (`actors.core.messages.object_faults`)."""

    offered: int = 0
    committed: int = 0
    duplicate: int = 0
    rejected: int = 0
    shed: int = 0
    resent: int = 0
    forgotten: int = 0
    object_faults: Faults = field(default_factory=dict)

    def add(self, other: "Account") -> None:
        """Count `other` in."""
        self.offered += other.offered
        self.committed += other.committed
        self.duplicate += other.duplicate
        self.rejected += other.rejected
        self.shed += other.shed
        self.resent += other.resent
        self.forgotten += other.forgotten
        add(self.object_faults, other.object_faults)


@dataclass(slots=True)
class Window:
    """The state of a session. `capacity` bounds the held payload in bytes. `acked` = 0 and
    `next_seq` = 1 for a fresh one."""

    capacity: int
    acked: int = 0
    next_seq: int = 1
    limit: int = 0  # highest seq that credits admit
    cursor: int | None = None  # next seq to send on this connection; None while not welcome
    sent: int = 0  # highest seq ever sent by this process
    held_bytes: int = 0
    account: Account = field(default_factory=Account)
    _sizes: dict[int, int] = field(default_factory=dict)
    _alarms: dict[int, None] = field(default_factory=dict)
    _gaps: list[tuple[int, int, str]] = field(default_factory=list)  # sorted, disjoint
    _refused: set[int] = field(default_factory=set)

    # what the device offers

    def has_room(self, size: int) -> bool:
        """Whether `size` more bytes fit without shedding. An empty window takes anything."""
        return not self._sizes or self.held_bytes + size <= self.capacity

    def offer(self, size: int, *, alarm: bool) -> Taken:
        """Number an observation of `size` bytes and shed what must go. `seq` in `shed` means that
        it is itself what was dropped.

        Raises :class:`TooMany` for an alarm when alarms alone fill the spool: nothing was numbered
        then.
        """
        seq = self.next_seq
        if seq <= self.acked:
            self.next_seq += 1
            self.account.offered += 1
            self.account.duplicate += 1
            return Taken(seq, [], durable=True)
        shed = self._make_room(size, alarm=alarm)
        self.next_seq += 1
        self.account.offered += 1
        if shed is None:
            self._lose(seq, SHED)
            self.account.shed += 1
            return Taken(seq, [seq])
        self.restore(seq, size, alarm=alarm)
        return Taken(seq, shed)

    def restore(self, seq: int, size: int, *, alarm: bool) -> None:
        """Hold `seq`, as recovered from a spool (seqs ascending)."""
        self._sizes[seq] = size
        self.held_bytes += size
        if alarm:
            self._alarms[seq] = None
        self.next_seq = max(self.next_seq, seq + 1)

    def lose(self, seq: int, reason: str) -> None:
        """This seq cannot be had any more (its record is damaged or was never written): declare
        it."""
        if seq > self.acked:
            self._drop(seq)
            self._lose(seq, reason)

    def restore_holes(self) -> None:
        """After `restore` of everything that was recovered: what is neither acked, held nor a known
        gap was lost, and is declared."""
        seq = self.acked + 1
        for held in sorted(self._sizes):
            self._fill(seq, held - 1, UNREADABLE)
            seq = held + 1
        self._fill(seq, self.next_seq - 1, UNREADABLE)

    def restore_gap(self, first_seq: int, last_seq: int, reason: str) -> None:
        """A gap recovered from a spool: what it covers was given up."""
        first_seq = max(first_seq, self.acked + 1)
        self.next_seq = max(self.next_seq, last_seq + 1)
        for held in [seq for seq in self._sizes if first_seq <= seq <= last_seq]:
            self._drop(held)
        if first_seq <= last_seq and self._gap_at(first_seq) is None:
            insort(self._gaps, (first_seq, last_seq, reason))

    # what the hub says

    def connected(self, resume_from: int, credits: int, *, numbered_elsewhere: bool) -> list[int]:
        """A welcome: returns the held seqs that are durable and can be forgotten.

        `numbered_elsewhere`: the same numbers come again from the same source (a replay), so the
        hub may know more than this window. Otherwise that means a lost counter, and raises
        :class:`Conflict`: the device must start a new session.
        """
        if resume_from > self.next_seq and not numbered_elsewhere:
            raise Conflict(
                f"the hub has this session up to {resume_from - 1}, this device only up to "
                f"{self.next_seq - 1}",
                hint="The counter of this session was lost: start a new session.",
            )
        self.rewind(resume_from)
        self.limit = (
            resume_from - 1 + credits
        )  # of this connection: its hub knows no credits of others
        gone = self._settle(resume_from - 1)
        self.cursor = self.acked + 1
        return gone

    def disconnected(self) -> None:
        """The connection is gone: everything not acked is sent again on the next one."""
        self.cursor = None

    def ack(self, seq: int, credits: int) -> list[int]:
        """All up to `seq` is durable: returns the held seqs to forget. An ack of what was never
        numbered is ignored beyond `next_seq`."""
        self.limit = max(self.limit, seq + credits)
        return self._settle(min(seq, max(self.next_seq - 1, self.acked)))

    def resync(self, resume_from: int) -> None:
        """The hub saw a hole, or knows less than it acked: go back to `resume_from`."""
        self.rewind(resume_from)
        if self.cursor is not None:
            self.cursor = min(self.cursor, max(resume_from, self.acked + 1))

    def rewind(self, resume_from: int) -> None:
        """The hub asks for what it acked before: its database was restored to an earlier state.
        What is not held any more is a gap."""
        if not 1 <= resume_from <= self.acked:
            return
        forgotten = (resume_from, self.acked)
        self.acked = resume_from - 1
        self.account.forgotten += forgotten[1] - forgotten[0] + 1
        self._fill(*forgotten, FORGOTTEN)

    def refused(self, seq: int) -> bool:
        """This item went to the dead letters; False when that was known already."""
        if seq in self._refused or not self.acked - MAX_OBSERVATIONS * 64 <= seq < self.next_seq:
            return False
        self._refused.add(seq)
        if len(self._refused) > MAX_OBSERVATIONS * 64:
            self._refused = {known for known in self._refused if known > self.acked}
        self.account.rejected += 1
        return True

    # what to send

    def next(self) -> Batch | Missing | None:
        """What to send now, or None: not connected, nothing left, or no credit. Gaps are within the
        credits like everything else."""
        if self.cursor is None:
            return None
        first = self.cursor
        end = min(self.next_seq - 1, self.limit)
        if first > end:
            return None
        gap = self._gap_at(first)
        if gap is not None:
            last = min(gap[1], end)
            self._pass(last, 0)
            return Missing(first, last, gap[2])
        last, size = first, self._sizes[first]
        while last < end and last - first + 1 < MAX_OBSERVATIONS:
            more = self._sizes.get(last + 1)
            if more is None or size + more > MAX_BATCH_BYTES:
                break
            last, size = last + 1, size + more
        self._pass(last, last - first + 1)
        return Batch(first, last)

    @property
    def urgent(self) -> bool:
        """Whether an alarm waits to be sent and may be: its camera goes first."""
        if self.cursor is None or not self._alarms:
            return False
        return self.cursor <= min(next(reversed(self._alarms)), self.limit)

    @property
    def pending(self) -> int:
        """How many seqs are numbered and not acked."""
        return max(self.next_seq - 1 - self.acked, 0)

    # within

    def _pass(self, last: int, observations: int) -> None:
        assert self.cursor is not None
        self.account.resent += min(max(self.sent - self.cursor + 1, 0), observations)
        self.cursor = last + 1
        self.sent = max(self.sent, last)

    def _settle(self, seq: int) -> list[int]:
        """Everything up to `seq` is durable."""
        if seq <= self.acked:
            return []
        gone = []
        for held in self._sizes:
            if held > seq:
                break
            gone.append(held)
        for held in gone:
            self._drop(held)
            if held <= self.sent:
                self.account.committed += 1
            else:
                self.account.duplicate += 1
        while self._gaps and self._gaps[0][0] <= seq:
            _, last, reason = self._gaps.pop(0)
            if last > seq:
                self._gaps.insert(0, (seq + 1, last, reason))
        self.acked = seq
        if self.cursor is not None:
            self.cursor = max(self.cursor, seq + 1)
        return gone

    def _make_room(self, size: int, *, alarm: bool) -> list[int] | None:
        """The seqs shed so that `size` fits; None when the offered live observation itself must
        go."""
        shed: list[int] = []
        while self._sizes and self.held_bytes + size > self.capacity:
            victim = self._oldest_live(self.cursor or 0) or self._oldest_live(0)
            if victim is None:
                if not alarm:
                    return None
                raise TooMany(
                    f"the spool of {self.capacity} bytes is full of alarms",
                    hint="Give the spool more room, or wait for acks.",
                )
            self._drop(victim)
            self._lose(victim, SHED)
            self.account.shed += 1
            shed.append(victim)
        return shed

    def _oldest_live(self, start: int) -> int | None:
        """The oldest held live seq from `start`: what is on its way to the hub is not taken back
        while something else can be."""
        seq = max(start, self.acked + 1)
        while seq < self.next_seq:
            gap = self._gap_at(seq)
            if gap is not None:
                seq = gap[1] + 1
            elif seq in self._alarms:
                seq += 1
            else:
                return seq
        return None

    def _fill(self, first: int, last: int, reason: str) -> None:
        """Declare of `first` to `last` what no gap covers yet."""
        while first <= last:
            gap = self._gap_at(first)
            if gap is not None:
                first = gap[1] + 1
                continue
            at = bisect_right(self._gaps, first, key=_first)
            end = min(last, self._gaps[at][0] - 1) if at < len(self._gaps) else last
            self._gaps.insert(at, (first, end, reason))
            first = end + 1

    def _drop(self, seq: int) -> None:
        self.held_bytes -= self._sizes.pop(seq, 0)
        self._alarms.pop(seq, None)

    def _gap_at(self, seq: int) -> tuple[int, int, str] | None:
        at = bisect_right(self._gaps, seq, key=_first) - 1
        return self._gaps[at] if at >= 0 and self._gaps[at][1] >= seq else None

    def _lose(self, seq: int, reason: str) -> None:
        """Remember `seq` as missing, joined to its neighbours of the same reason."""
        at = bisect_right(self._gaps, seq, key=_first)
        first = last = seq
        if at > 0:
            before = self._gaps[at - 1]
            if before[1] >= seq:
                return
            if before[1] == seq - 1 and before[2] == reason:
                at -= 1
                first = self._gaps.pop(at)[0]
        if at < len(self._gaps) and self._gaps[at][0] == seq + 1 and self._gaps[at][2] == reason:
            last = self._gaps.pop(at)[1]
        self._gaps.insert(at, (first, last, reason))


def _first(gap: tuple[int, int, str]) -> int:
    return gap[0]
