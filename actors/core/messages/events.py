"""Durable events: shape, severities and the hash chain (design section 7, "Shapes").

The body of an event is its canonical JSON *without* the hash; ``hash = sha256(previous hash ||
body)`` in hex. What is stored is the body, byte for byte; what is shown is the body with the hash
appended (:func:`published`).
"""

import hashlib
from typing import Any

import msgspec

from actors.core.severity import Severity
from actors.core.times import Rfc3339

CHAIN_START = b"\x00" * 32  # the hash before the first event of an epoch


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One durable fact. Times are RFC 3339 text; `offset` is 1, 2, 3, … within (camera, epoch)."""

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
    hash: str | None = None


class StoredEvent(msgspec.Struct, frozen=True, array_like=True):
    """An event as the store takes it: columns to search by, the canonical body, and the chain hash
    after it."""

    event: Event
    received_us: int
    time_us: int
    body: bytes
    hash: bytes


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
    rest = {
        k: v for k in ("track", "label", "zone", "line") if (v := getattr(event, k)) is not None
    }
    rest["data"] = event.data
    return _encoder.encode(head)[:-1] + b"," + _encoder.encode(rest)[1:]


def published(body: bytes, digest: bytes) -> bytes:
    """The event as dashboards get it: the stored body with its hash."""
    return body[:-1] + b',"hash":"' + digest.hex().encode() + b'"}'
