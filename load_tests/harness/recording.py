"""Histories of a run: each process that drives it writes one append-only file of JSON lines, and
all of them are read back as operations.

The rules are Jepsen's: ``invoke`` is written before anything is sent, ``ok`` says that it happened,
``fail`` that it certainly did not, ``info`` that nobody knows (a lost connection, a timeout). One
machine, so `t_mono_ns` of all processes can be compared.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

import msgspec

from actors.core.errors import StartError
from load_tests.harness.history import (
    Acknowledged,
    Closed,
    Declared,
    Operation,
    Sent,
    ShownEvent,
    ShownState,
    ToldGap,
    WatcherPosition,
)

BUFFER_BYTES = 1 << 20

Kind = Literal["invoke", "ok", "fail", "info"]
Op = Literal["observe", "gap", "watch", "event", "told-gap", "state", "close", "fault"]


class HistoryRecord(msgspec.Struct, omit_defaults=True):
    """One line. `seq` to `last` are the observations of a frame (``invoke``) or what an ack reaches
    (``ok``, only `last`); `sha` is of their bodies. `by` is who has seen it: a device's socket or a
    dashboard. `code` and `reason` are those of a close frame; 0 means that the connection ended
    without one."""

    t_mono_ns: int
    t_wall: float
    proc: str
    kind: Kind
    op: Op
    camera: str = ""
    session: str = ""
    by: str = ""
    seq: int = 0
    last: int = 0
    epoch: str = ""
    offset: int = 0
    generation: int = 0
    type: str = ""
    time: str = ""
    status: str = ""
    sha: str = ""
    code: int = 0
    reason: str = ""
    received_s: float = 0.0


class Recorder:
    """Writes the history of one process. Lines are buffered; :meth:`flush` at least once a second
    keeps little in memory."""

    def __init__(self, path: Path, proc: str) -> None:
        self.proc = proc
        self._file = path.open("ab", buffering=BUFFER_BYTES)
        self._encode = msgspec.json.Encoder().encode

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def note(self, kind: Kind, op: Op, **fields: str | int | float) -> None:
        """One line, now."""
        record = HistoryRecord(time.monotonic_ns(), time.time(), self.proc, kind, op, **fields)  # type: ignore[arg-type]
        self._file.write(self._encode(record) + b"\n")

    def flush(self) -> None:
        """Give the lines to the file."""
        self._file.flush()


def digest(bodies: Iterable[bytes]) -> str:
    """What `HistoryRecord.sha` holds of a frame."""
    found = hashlib.sha256()
    for body in bodies:
        found.update(body)
    return found.hexdigest()[:16]


def read(folder: Path) -> list[HistoryRecord]:
    """The lines of all histories in `folder`, in the order of time. Raises StartError for a line
    that is none."""
    decoder = msgspec.json.Decoder(HistoryRecord)
    records: list[HistoryRecord] = []
    for path in sorted(folder.glob("*.jsonl")):
        try:
            records += decoder.decode_lines(path.read_bytes())
        except msgspec.MsgspecError as error:
            raise StartError(f"{path} holds a line that is no record: {error}") from error
    records.sort(key=lambda record: record.t_mono_ns)
    return records


def operations(
    records: Sequence[HistoryRecord], body: Callable[[str, int], bytes]
) -> list[Operation]:
    """The records as the checker takes them. `body` gives what a camera's device sends as `seq`;
    raises StartError where that is not what was recorded."""
    return list(_operations(records, body))


def _operations(
    records: Sequence[HistoryRecord], body: Callable[[str, int], bytes]
) -> Iterator[Operation]:
    for r in records:
        match r.op, r.kind:
            case "observe", "invoke":
                bodies = [body(r.camera, seq) for seq in range(r.seq, r.last + 1)]
                if r.sha and digest(bodies) != r.sha:
                    raise StartError(
                        f"the history of {r.camera} does not fit what its device sends as "
                        f"{r.seq}..{r.last}"
                    )
                for seq, one in zip(range(r.seq, r.last + 1), bodies, strict=True):
                    yield Sent(r.camera, r.session, seq, one, at_s=r.t_wall)
            case "observe", "ok":
                yield Acknowledged(r.camera, r.session, r.last, r.t_wall)
            case "gap", "invoke":
                yield Declared(r.camera, r.session, r.seq, r.last, r.reason)
            case "watch", "ok":
                yield WatcherPosition(r.by, r.camera, r.epoch, r.offset)
            case "event", "ok":
                yield ShownEvent(r.by, r.camera, r.epoch, r.offset, r.type, r.time)
            case "told-gap", "ok":
                yield ToldGap(r.by, r.camera, r.last)
            case "state", "ok":
                yield ShownState(
                    r.by,
                    r.camera,
                    r.generation,
                    r.offset,
                    r.status,
                    r.t_wall,
                    r.received_s,
                    r.reason,
                )
            case "close", "ok":
                yield Closed(r.by, r.code, r.reason, r.t_wall)
