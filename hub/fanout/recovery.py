"""Where a subscriber starts: what history and the publications buffered meanwhile make of a
subscribe request (pure).

The subscribe race is closed by the order: buffer the live lane, then read history, then merge,
reply, and release what is left. The rule of recovery is Centrifuge's (`isStreamRecovered`): all or
nothing, never a part.
"""

from collections.abc import Sequence

import msgspec

from hub.protocol.messages import SubscribeRequest, SubscribeResult
from storage.ports.live import BrokerMessage

MAX_RECOVERED = 300  # publications; beyond it a client reloads, as in Centrifugo


class Item(msgspec.Struct, frozen=True):
    """One publication of a stream: its offset (1, 2, 3, …), the bytes to show, and where they came
    from when that is still of use."""

    offset: int
    body: bytes
    source: BrokerMessage | None = None


class Start(msgspec.Struct, frozen=True):
    """The answer. `offset` is what the reply says; `position` the last offset the client has after
    the reply."""

    recovered: bool
    epoch: str
    offset: int
    position: int
    publications: list[Item] = []


def merge(history: Sequence[Item], buffered: Sequence[Item], after: int) -> list[Item] | None:
    """Both in order of offset, each once, only what is beyond `after`; None when an offset is
    missing between."""
    found = {item.offset: item for item in (*history, *buffered) if item.offset > after}
    merged = [found[offset] for offset in sorted(found)]
    expected = range(after + 1, after + 1 + len(merged))
    return merged if [item.offset for item in merged] == list(expected) else None


def fresh(epoch: str, top: int) -> Start:
    """A subscriber that brings no position starts at the top."""
    return Start(False, epoch, top, top)


def recover(asked_epoch: str, asked: int, epoch: str, top: int, found: Sequence[Item]) -> Start:
    """A subscriber that brings (`asked_epoch`, `asked`); `found` is what lies beyond it, merged,
    and `top` the newest offset.

    A place in an empty epoch could be one of any numbering: only the very beginning is the same in
    all of them.
    """
    lost = Start(False, epoch, top, top)
    if _of_another_numbering(asked_epoch, asked, epoch) or asked > top:
        return lost
    if top - asked > MAX_RECOVERED or len(found) != top - asked:
        return lost
    if found and (found[0].offset != asked + 1 or found[-1].offset != top):
        return lost
    return Start(True, epoch, asked, top, list(found))


def _of_another_numbering(asked_epoch: str, asked: int, epoch: str) -> bool:
    return asked_epoch != epoch if asked_epoch else asked > 0


def outcome(asked: SubscribeRequest, got: SubscribeResult) -> str:
    """What became of a recovery: ``recovered``, or why not.

    ``epoch``: another numbering; ``ahead``: a position that is not there yet; ``retention``: too
    far behind.
    """
    if got.recovered:
        return "recovered"
    if _of_another_numbering(asked.epoch, asked.offset, got.epoch):
        return "epoch"
    return "ahead" if asked.offset > got.offset else "retention"
