"""Messages of ``/v1/edge`` as the edge encodes and decodes them. Bodies are spooled as MessagePack,
whatever the socket speaks."""

from datetime import datetime
from math import isfinite
from typing import Any, Literal

import msgspec

from actors.core.camera import decoding
from actors.core.errors import BadInput
from actors.core.messages import edge_protocol
from actors.core.messages.edge_protocol import Bye, Gap, Hello, ObserveRaw, Ping, Pong, ToEdge
from actors.core.messages.object_faults import REPEATED_ID, TOO_MANY, Faults, note, repeated
from actors.core.messages.observations import MAX_OBJECTS, Backlog, Observation

Format = Literal["msgpack", "json"]

SUBPROTOCOLS: dict[Format, str] = {
    "msgpack": edge_protocol.SUBPROTOCOL_MSGPACK,
    "json": edge_protocol.SUBPROTOCOL_JSON,
}

_body = msgspec.msgpack.Encoder()
_json = msgspec.json.Encoder()
_from_msgpack: msgspec.msgpack.Decoder[ToEdge] = msgspec.msgpack.Decoder(ToEdge)
_from_json: msgspec.json.Decoder[ToEdge] = msgspec.json.Decoder(ToEdge)


def encode_body(observation: Observation) -> tuple[bytes, Faults]:
    """An observation as it is spooled, and what the hub will find wrong with single objects of it.

    Raises :class:`BadInput` for one that the hub would refuse: structs are not checked when made.
    """
    objects = observation.objects
    if objects is not None and len(objects) > MAX_OBJECTS:
        faults = {**(observation.faults or {}), TOO_MANY: len(objects) - MAX_OBJECTS}
        observation = msgspec.structs.replace(
            observation, objects=objects[:MAX_OBJECTS], faults=faults
        )
    try:
        body = _body.encode(observation)
        seen, faults = decoding.decode(body, "msgpack")
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, decoding.Unusable) as error:
        raise BadInput(f"this is no observation: {error}") from error
    if seen.objects and (again := repeated(seen.objects)):
        note(faults, REPEATED_ID, again)
    return body, faults


def encode_observe(
    form: Format,
    camera: str,
    first_seq: int,
    bodies: list[bytes],
    sent: datetime,
    backlog: Backlog | None = None,
) -> bytes:
    """One `observe` of encoded observations; `backlog` is what the device holds then."""
    if form == "msgpack":
        raws = [msgspec.Raw(body) for body in bodies]
    else:
        raws = [
            msgspec.Raw(_json.encode(_spelled(msgspec.msgpack.decode(body)))) for body in bodies
        ]
    return encode(form, ObserveRaw(camera, first_seq, raws, sent, backlog))


def _spelled(body: Any) -> Any:
    """A score that is NaN as a text: JSON would say null for it, which means none."""
    for seen in body.get("objects") or []:
        score = seen["score"] if isinstance(seen, dict) and "score" in seen else None
        if isinstance(score, float) and not isfinite(score):
            seen["score"] = str(score)
    return body


def encode(form: Format, message: Hello | ObserveRaw | Gap | Ping | Pong | Bye) -> bytes:
    """One frame."""
    return _body.encode(message) if form == "msgpack" else _json.encode(message)


def decode(form: Format, frame: bytes | str) -> ToEdge:
    """One frame of the hub. Raises :class:`BadInput`."""
    data = frame.encode() if isinstance(frame, str) else frame
    try:
        return _from_msgpack.decode(data) if form == "msgpack" else _from_json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(f"the hub sent a frame that is no message of {form}: {error}") from error
