"""Durable events: shape, severities and the hash chain (design section 7, "Shapes").

The body of an event is its canonical JSON *without* the hash; ``hash = sha256(previous hash ||
body)`` in hex. What is stored is the body, byte for byte; what is shown is the body with the hash
appended (:func:`published`). A body of version 2 lacks its personal values, to which it commits
(`actors.core.messages.personal`).
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from actors.core.messages.event_data import ALARM
from actors.core.messages.personal import (
    COMMITTED,
    VERSION,
    PersonalValue,
    Sealing,
    commitment,
    joined,
    open_part,
)
from actors.core.severity import Severity
from actors.core.times import Rfc3339

CHAIN_START = b"\x00" * 32  # the hash before the first event of an epoch


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One durable fact. Times are RFC 3339 text; `offset` is 1, 2, 3, … within (camera, epoch).

    `commitments` (only where `v` is 2): path of a personal value → ``class:hex``, the salted
    SHA-256 that the hash of the event covers in place of the value.
    """

    id: str
    type: str
    site: str
    camera: str
    epoch: str
    offset: int
    session: str
    seq: int
    time: Rfc3339
    received: Rfc3339
    severity: Severity
    v: int = 1
    track: str | None = None
    label: str | None = None
    zone: str | None = None
    line: str | None = None
    data: dict[str, Any] = {}
    commitments: dict[str, str] = {}
    hash: str | None = None


class StoredEvent(msgspec.Struct, frozen=True, array_like=True):
    """An event as the store takes it: columns to search by, the canonical body, and the chain hash
    after it. Event and body are the open part; `personal`: the values that were taken out of it."""

    event: Event
    received_us: int
    time_us: int
    body: bytes
    hash: bytes
    personal: list[PersonalValue] = []


_encoder = msgspec.json.Encoder()


class _Body(msgspec.Struct, frozen=True, omit_defaults=False):
    id: str
    type: str
    v: int
    site: str
    camera: str
    epoch: str
    offset: int
    session: str
    seq: int
    time: str
    received: str
    severity: str


def seal(event: Event, previous: bytes, *, received_us: int, time_us: int) -> StoredEvent:
    """Encode `event` (its `hash` still None) canonically and chain it to `previous`, the hash of
    the event before it."""
    body = _canonical(event)
    return StoredEvent(event, received_us, time_us, body, hashlib.sha256(previous + body).digest())


def seal_open(
    event: Event, previous: bytes, sealing: Sealing, *, received_us: int, time_us: int
) -> StoredEvent:
    """The same of an event's open part: its personal values are taken out first. Only an alarm has
    any; all other events say what the product measured."""
    if not event.type.startswith(ALARM):
        return seal(event, previous, received_us=received_us, time_us=time_us)
    envelope = {"type": event.type, "label": event.label, "track": event.track}
    found = open_part(event.data, envelope, sealing.classes)
    if found is None:
        return seal(event, previous, received_us=received_us, time_us=time_us)
    personal = [
        PersonalValue(path, class_, sealing.salt(event.id, path), value)
        for path, (class_, value) in found.values.items()
    ]
    stands = msgspec.structs.replace(
        event,
        v=VERSION,
        data=found.data,
        commitments={
            one.path: commitment(one.path, one.class_, one.salt, one.value) for one in personal
        },
        type=found.envelope["type"],
        label=found.envelope["label"],
        track=found.envelope["track"],
    )
    stored = seal(stands, previous, received_us=received_us, time_us=time_us)
    return msgspec.structs.replace(stored, personal=personal)


def _canonical(event: Event) -> bytes:
    head = _Body(
        event.id,
        event.type,
        event.v,
        event.site,
        event.camera,
        event.epoch,
        event.offset,
        event.session,
        event.seq,
        event.time,
        event.received,
        event.severity,
    )
    rest: dict[str, Any] = {
        k: v for k in ("track", "label", "zone", "line") if (v := getattr(event, k)) is not None
    }
    rest["data"] = event.data
    if event.commitments:
        rest["commitments"] = event.commitments
    return _encoder.encode(head)[:-1] + b"," + _encoder.encode(rest)[1:]


def published(body: bytes, digest: bytes, personal: Iterable[PersonalValue] = ()) -> bytes:
    """The event as dashboards get it: the stored body with its hash, and with these of its personal
    values; the others say that they were erased."""
    if COMMITTED in body:
        body = joined(body, personal)
    return body[:-1] + b',"hash":"' + digest.hex().encode() + b'"}'
