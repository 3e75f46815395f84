"""What dashboards were shown against what is stored: I5, I6, I7, I9, I11 per watcher and camera,
and I12 per connection (pure)."""

import bisect
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from actors.core.errors import EyrieError
from cluster.event_proofs import CameraTotals
from hub.ingest import link, socket
from hub.protocol import disconnects
from load_tests.checker.violations import Violation
from load_tests.harness.history import (
    Closed,
    LostOnItsWay,
    Move,
    ShownEvent,
    ShownState,
    ToldGap,
    WatcherPosition,
)

TOLD_WITHIN_S = 10.0  # a dashboard that lacks something newer is told so within this
CATCH_UP_S = 3.0  # seconds in which a backlog passes over the dashboards
# seconds by which a newer state on a wall may come before it is noted (`dashboard_seen.EVERY_S`)
NOTED_S = 2.0
DISCONNECTED = (
    "disconnected"  # the status of a state whose dashboard has lost its connection, and knows it
)
UNKNOWN = -1  # `ToldGap.last` of who is told only that something is missing

Lane = list[WatcherPosition | ShownEvent | ToldGap]


def watched(
    camera: str,
    watcher: str,
    lane: Lane,
    stored: Mapping[tuple[str, int], Mapping[str, Any]],
    row: CameraTotals | None,
    *,
    whole: bool,
) -> Iterable[Violation]:
    """I5, I7 and I9: every event once and in order, or a told gap; nothing that is not stored.
    `stored`: (epoch, offset) → event. `whole`: the run has ended and everything was healed, so the
    last event was shown too."""
    epoch, offset, known = "", 0, False
    for operation in lane:
        if isinstance(operation, WatcherPosition):
            epoch, offset, known = operation.epoch, operation.offset, True
            continue
        if isinstance(operation, ToldGap):
            known = operation.last != UNKNOWN
            offset = max(offset, operation.last)
            continue
        at = operation.offset
        body = stored.get((operation.epoch, at))
        if body is None or body["type"] != operation.type:
            detail = f"{watcher} was shown event {at} ({operation.type}), stored is {body}"
            yield Violation("I7", camera, detail, watcher=watcher, offset=at)
        elif body["time"] != operation.time:
            detail = f"{watcher} was shown event {at} at {operation.time}, not {body['time']}"
            yield Violation("I9", camera, detail, watcher=watcher, offset=at)
        if known and (operation.epoch != epoch or at != offset + 1):
            kind = "again" if at <= offset else "after a silent gap"
            yield Violation(
                "I5",
                camera,
                f"{watcher} was shown event {at} {kind}, it had {offset}",
                watcher=watcher,
                offset=at,
            )
        epoch, offset, known = operation.epoch, max(offset, at), True
    if whole and known and row is not None and epoch == row.epoch and offset < row.last_offset:
        detail = f"{watcher} ends at event {offset}, stored are {row.last_offset}"
        yield Violation("I5", camera, detail, watcher=watcher, offset=offset)


def told(
    camera: str,
    watcher: str,
    states: Sequence[ShownState],
    moves: Sequence[Move],
    row: CameraTotals | None,
    lost: Sequence[LostOnItsWay] = (),
) -> Iterable[Violation]:
    """I6: who lacks something newer for `TOLD_WITHIN_S` has been told that what it sees is old. I7:
    no state beyond what is committed."""
    top = row.last_offset if row is not None else 0
    for state in states:
        if state.offset > top:
            detail = f"{watcher} was shown a state of event {state.offset}, committed are {top}"
            yield Violation("I7", camera, detail, watcher=watcher, offset=state.offset)
    times = [state.at_s for state in states]
    for move in moves:
        until = _told_by(move.at_s, lost)
        if move.at_s < times[0] or until > times[-1]:
            continue
        newest = states[bisect.bisect_right(times, until) - 1]
        if newest.status == "online" and newest.offset < move.offset:
            detail = (
                f"{watcher} saw event {newest.offset} as present, {move.offset} was stored "
                f"{until - move.at_s:g} s before"
            )
            yield Violation("I6", camera, detail, watcher=watcher, offset=newest.offset)
            return


def _told_by(at_s: float, lost: Sequence[LostOnItsWay]) -> float:
    """When a dashboard must have been told that it lacks what is newer since `at_s`. Where its own
    link loses what goes to it, nobody but its client can tell it: when pings stay away, or soon
    after the link carries again."""
    until_s = at_s + TOLD_WITHIN_S
    for one in lost:
        if one.from_s <= until_s and at_s <= one.until_s + CATCH_UP_S:
            last_s = min(one.from_s + one.told_s, one.until_s + TOLD_WITHIN_S)
            until_s = max(until_s, last_s)
    return until_s


def aged(
    camera: str,
    watcher: str,
    states: Sequence[ShownState],
    sent_at: Sequence[float],
    lost: Sequence[LostOnItsWay] = (),
) -> Iterable[Violation]:
    """I6 by the age of what is shown, whatever the cause. What the device sent (`sent_at`: the
    first times, in order) after what is shown as ``online`` was received must be shown within
    `TOLD_WITHIN_S`, or the state be told to be old. A store that stands still commits nothing, so
    nothing *committed* is missing then. A state that is old when it comes may pass by in
    `CATCH_UP_S`: a backlog is applied."""
    since = math.inf  # what is shown is too old from here on
    for state, after in itertools.pairwise(states):
        place = bisect.bisect_right(sent_at, state.received_s + NOTED_S)
        if state.status != "online" or not state.received_s or place >= len(sent_at):
            since = math.inf
            continue
        late_s = _told_by(sent_at[place], lost)
        if late_s >= after.at_s:
            since = math.inf
            continue
        since = min(since, late_s if late_s > state.at_s else state.at_s + CATCH_UP_S)
        if since < after.at_s:
            newer = bisect.bisect_left(sent_at, after.at_s - TOLD_WITHIN_S) - place
            detail = (
                f"{watcher} saw as present what was received {after.at_s - state.received_s:.1f} "
                f"s before; {newer} newer observations "
                f"had been sent {TOLD_WITHIN_S:g} s ago or earlier"
            )
            yield Violation("I6", camera, detail, watcher=watcher, offset=state.offset)
            return


def never_older(camera: str, watcher: str, states: Sequence[ShownState]) -> Iterable[Violation]:
    """I11: inside a session nothing of a generation is shown after something of a newer one."""
    newest = 0
    for state in states:
        if state.status == DISCONNECTED:
            newest = 0
        elif state.generation < newest:
            detail = f"{watcher} was shown generation {state.generation} after generation {newest}"
            yield Violation("I11", camera, detail, watcher=watcher, offset=state.offset)
            return
        else:
            newest = max(newest, state.generation)


def documented(closes: Iterable[Closed]) -> Iterable[Violation]:
    """I12: every connection that the hub ended has a code of docs/protocols.md, and a reason in
    words where the code is ours."""
    for close in closes:
        where = close.camera or close.by
        if not close.code:
            what = f"without a close frame{f' ({close.reason})' if close.reason else ''}"
            yield Violation("I12", where, f"{close.by} was cut off {what}", watcher=close.by)
        elif close.code not in DOCUMENTED:
            yield Violation(
                "I12",
                where,
                f"{close.by} was closed with {close.code} {close.reason!r}",
                watcher=close.by,
            )
        elif close.code >= 3000 and not close.reason.strip():
            yield Violation(
                "I12",
                where,
                f"{close.by} was closed with {close.code} and no reason",
                watcher=close.by,
            )


def _family(error: type[EyrieError]) -> Iterable[type[EyrieError]]:
    yield error
    for heir in error.__subclasses__():
        yield from _family(heir)


DOCUMENTED = frozenset(
    {
        1000,
        1002,
        1009,  # RFC 6455 section 7.4.1: normal, no websocket frame, too big
        *(
            value.code
            for value in vars(disconnects).values()
            if isinstance(value, disconnects.CloseCode)
        ),
        *(error.close_code for error in _family(EyrieError)),
        link.DAMAGED,
        link.REWOUND,
        link.NO_HELLO,
        link.SILENT,
        socket.TOO_SLOW,
        socket.GOING_AWAY,
    }
)
