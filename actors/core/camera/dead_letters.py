"""A dead letter that is looked at again: a late fact, never a late observation.

Its place in the numbering was taken when it was refused, and what came after it is applied. So a
replay decodes the item by today's rules and, when they take it, records it: one `stream.replayed`
and, where it held an alarm, that alarm. Order, tracks, zones, lines, counts and occupancy stay as
they are; they follow from the stream as it was applied, and a replay of the stream must come to the
same.
"""

from collections import Counter
from typing import cast

import msgspec

from actors.core.camera.decoding import Unusable, alarm_data, decode, require_time
from actors.core.camera.state import CameraCore
from actors.core.errors import Conflict, Unavailable
from actors.core.messages.commits import Replayed
from actors.core.messages.event_data import LetterReplayed
from actors.core.severity import Severity

REMEMBERED = 256  # replays of an activation that are known without asking the store


class ReplayedLetter(msgspec.Struct, frozen=True):
    """A dead letter of this camera, and who wants it replayed (the subject of a token)."""

    id: int
    session: str
    seq: int
    code: str
    raw: bytes
    by: str


def replay(core: CameraCore, letter: ReplayedLetter, now_us: int) -> str:
    """Record `letter`; the id of its `stream.replayed`, which the next commit row holds together
    with the letter's mark.

    Raises Conflict when today's rules refuse it too, Unavailable while the camera opens a session.
    """
    if core.order.opening:
        raise Unavailable(f"camera {core.camera} opens a session; try again")
    try:
        seen, _faults = decode(letter.raw, form_of(letter.raw))
        time_us = require_time(seen)
        alarm = seen.alarm
        details = None if alarm is None else alarm_data(alarm)
    except Unusable as reason:
        raise Conflict(
            f"dead letter {letter.id} is still refused: {reason.code}, {reason.detail}",
            hint="Discard it, saying why.",
        ) from reason
    if letter.id in core.replays:
        raise Conflict(f"dead letter {letter.id} was replayed already")
    journal = core.journal
    journal.moment(
        core.order.session,
        core.order.seq,
        time_us=time_us,
        stream_us=core.clock.now_us,
        received_us=now_us,
    )
    objects = Counter(thing.label for thing in seen.objects or ())
    journal.emit(
        "stream.replayed",
        data=LetterReplayed(
            letter=letter.id,
            session=letter.session,
            seq=letter.seq,
            code=letter.code,
            objects=dict(sorted(objects.items())),
            alarm=None if alarm is None else alarm.type,
        ),
    )
    event = journal.waiting[-1][0].id
    if alarm is not None:
        journal.emit(
            f"alarm.{alarm.type}",
            data=details,
            track=alarm.track,
            label=alarm.label,
            level=cast(Severity, alarm.severity),
        )
    core.replayed.append(Replayed(letter.id, letter.by))
    core.replays[letter.id] = None
    if len(core.replays) > REMEMBERED:
        del core.replays[next(iter(core.replays))]
    return event


def form_of(raw: bytes) -> str:
    """``json`` or ``msgpack``: an observation is a map, and no msgpack map begins with a brace
    (MessagePack specification, "Formats")."""
    return "json" if raw.lstrip()[:1] == b"{" else "msgpack"
