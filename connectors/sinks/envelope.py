"""CloudEvents 1.0.2 around our events, structured and binary (cloudevents/spec, json-format.md,
bindings/http-protocol-binding.md, bindings/nats-protocol-binding.md). Pure.

`previous` is ours: the id of the message before, of the same sink and camera, empty for the first.
A consumer that knows it has missed nothing, whatever filter and policy have left out.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

SPEC = "1.0"
PLAIN = re.compile(r"[!#$&-~]*")  # what a header's value says as it is
JSON = "application/json"
STRUCTURED = "application/cloudevents+json"
SKIPPED = "eyrie.sink.skipped.v1"
LOST = "eyrie.sink.lost.v1"
# The numbers of OpenTelemetry's log data model, as the severity extension asks.
SEVERITIES: Mapping[str, tuple[str, int]] = {
    "info": ("INFO", 9),
    "notice": ("INFO2", 10),
    "warning": ("WARN", 13),
    "critical": ("ERROR", 17),
}


class CloudEvent(msgspec.Struct, frozen=True):
    """`attributes` without data; `data` is JSON."""

    attributes: dict[str, Any]
    data: bytes

    @property
    def id(self) -> str:
        return str(self.attributes["id"])


class Head(msgspec.Struct, frozen=True):
    """What is read of an event's body."""

    id: str
    type: str
    site: str
    camera: str
    epoch: str
    offset: int
    time: str
    received: str
    severity: str


_head = msgspec.json.Decoder(Head)


def head(body: bytes) -> Head:
    """The attributes of an event."""
    return _head.decode(body)


def envelope(
    body: bytes, previous: str, *, redacted: bool, known: Head | None = None
) -> CloudEvent:
    """The envelope of an event as it may be shown. Times are RFC 3339 already. `known`: what
    :func:`head` says of it."""
    event = head(body) if known is None else known
    text, number = SEVERITIES.get(event.severity, ("INFO", 9))
    attributes: dict[str, Any] = {
        **_common(event.id, event.site, event.camera, event.epoch, event.offset, previous),
        "type": f"eyrie.{event.type}.v1",
        "time": event.time,
        "recordedtime": event.received,
        "severitytext": text,
        "severitynumber": number,
        "dataclassification": "internal" if redacted else "restricted",
    }
    return CloudEvent(attributes, body)


def hole(
    site: str,
    camera: str,
    epoch: str,
    first: int,
    last: int,
    previous: str,
    *,
    why: str,
    lost: bool,
) -> CloudEvent:
    """Says that events `first` to `last` are not coming."""
    id = f"{camera}/{epoch}/{last}"
    attributes = {
        **_common(f"{id}/{'lost' if lost else 'skipped'}", site, camera, epoch, last, previous),
        "type": LOST if lost else SKIPPED,
    }
    data = {"camera": camera, "epoch": epoch, "first": first, "last": last, "reason": why}
    return CloudEvent(attributes, msgspec.json.encode(data))


def _common(
    id: str, site: str, camera: str, epoch: str, offset: int, previous: str
) -> dict[str, Any]:
    return {
        "specversion": SPEC,
        "id": id,
        "source": f"/sites/{site}/cameras/{camera}",
        "subject": camera,
        "datacontenttype": JSON,
        "sequence": f"{offset:019d}",
        "partitionkey": camera,
        "eyriesite": site,
        "eyrieepoch": epoch,
        **({"previous": previous} if previous else {}),
    }


def structured(one: CloudEvent) -> bytes:
    """The JSON event format."""
    return msgspec.json.encode({**one.attributes, "data": msgspec.Raw(one.data)})


def headers(one: CloudEvent, prefix: str = "ce-") -> dict[str, str]:
    """The binary mode: attributes as headers, percent-encoded; `data` is the body."""
    found = {
        f"{prefix}{name}": encoded(str(value))
        for name, value in one.attributes.items()
        if name != "datacontenttype"
    }
    return {"content-type": JSON, **found}


def encoded(text: str) -> str:
    """A header's value: space, quote, percent and what is not printable ASCII are encoded
    (HTTP protocol binding, 3.1.3.2)."""
    if PLAIN.fullmatch(text):
        return text
    return "".join(
        char if "!" <= char <= "~" and char not in '"%' else _percent(char) for char in text
    )


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "replace"))
