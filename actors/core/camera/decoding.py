"""From the bytes of one item to an observation that the core can apply, or the reason why not (it
then goes to the dead letters)."""

import json
from typing import Annotated, Any

import msgspec

from actors.core.messages.event_data import AlarmData
from actors.core.messages.object_faults import (
    UNKNOWN_FIELD,
    Faults,
    note,
    read_loosely,
    showing,
    told,
    unknown_fields,
)
from actors.core.messages.observations import MAX_OBJECTS, Alarm, Object, Observation
from actors.core.times import EPOCH, MICROSECOND

MAX_ALARM_BYTES = 16_384  # an alarm's data as JSON
_LATEST_US = 7_258_118_400_000_000  # 2200-01-01: beyond it a clock is broken, not wrong


class _Object(Object, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """An object and nothing else."""


class _Alarm(Alarm, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """An alarm and nothing else."""


class _Exact(Observation, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """An observation without a field that nothing reads."""

    objects: Annotated[list[_Object], msgspec.Meta(max_length=MAX_OBJECTS)] | None = None  # type: ignore[assignment]
    alarm: _Alarm | None = None


_exact: dict[str, Any] = {
    "json": msgspec.json.Decoder(_Exact).decode,
    "msgpack": msgspec.msgpack.Decoder(_Exact).decode,
}
_tolerant: dict[str, Any] = {
    "json": msgspec.json.Decoder(Observation),
    "msgpack": msgspec.msgpack.Decoder(Observation),
}
_encode = msgspec.json.encode

_FIELDS = frozenset(Observation.__struct_fields__)
_BAD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError, ValueError)


class Unusable(Exception):
    """One item that cannot be applied. `code` and `detail` go to the dead letters and back to the
    edge."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def decode(raw: bytes, form: str) -> tuple[Observation, Faults]:
    """The observation in `raw` (``json`` or ``msgpack``), and what was wrong with single objects of
    it. Raises `Unusable`.

    What is as it should be is decoded at once; only what is not is looked at object by object. Hot
    path: no call for a whole frame.
    """
    faults: Faults = {}
    try:
        seen: Observation = _exact[form](raw)
    except KeyError as error:
        raise Unusable("bad_input", f"unknown encoding {form[:40]!r}") from error
    except _BAD:
        seen = _loosely(raw, form, faults)
    for thing in seen.objects or ():
        x1, y1, x2, y2 = thing.box
        if (
            x1 >= 0.0 and x1 < x2 and x2 <= 1.0 and y1 >= 0.0 and y1 < y2 and y2 <= 1.0
        ):  # quicker than a chain; NaN is none of it
            continue
        seen = msgspec.structs.replace(seen, objects=showing(seen.objects or [], faults))
        break
    if seen.faults is not None:
        told(seen.faults, faults)
    return seen, faults


def _loosely(raw: bytes, form: str, faults: Faults) -> Observation:
    """What `raw` says in spite of single objects. An unknown field, perhaps of a newer edge, costs
    a second decoding and no more."""
    try:
        seen: Observation = _tolerant[form].decode(raw)
        note(faults, UNKNOWN_FIELD)
        return seen
    except _BAD as error:
        reason = error
    try:
        value = _plain(raw, form)
        if not isinstance(value, dict) or not isinstance(value.get("objects"), list):
            raise reason
        objects = read_loosely(value["objects"], faults)
        seen = msgspec.convert({**value, "objects": None}, Observation)
    except _BAD as error:
        raise Unusable("bad_input", str(error)[:500]) from error
    if not _FIELDS.issuperset(value) or unknown_fields(value["objects"]):
        note(faults, UNKNOWN_FIELD)
    return msgspec.structs.replace(seen, objects=objects)


def _plain(raw: bytes, form: str) -> Any:
    """Plain values. Raises one of `_BAD`."""
    if form == "msgpack":
        return msgspec.msgpack.decode(raw)
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return msgspec.json.decode(without_constants(raw))


def without_constants(raw: bytes) -> bytes:
    """JSON with NaN and Infinity as texts: the standard library reads and Python devices write
    them. Raises ValueError for other faults."""
    return msgspec.json.encode(json.loads(raw, parse_constant=str))  # which refuses lone surrogates


def require_time(seen: Observation) -> int:
    """The capture time in microseconds since 1970. Raises `Unusable` outside 1970..2200."""
    moment: int = (seen.time - EPOCH) // MICROSECOND
    if not 0 < moment < _LATEST_US:
        raise Unusable("bad_time", f"capture time {seen.time.isoformat()} is outside 1970..2200")
    return moment


def alarm_data(alarm: Alarm) -> AlarmData:
    """An alarm's text and data for its event. Raises `Unusable` when they cannot be stored."""
    found = AlarmData(text=alarm.text, data=alarm.data)
    try:
        encoded = _encode(found)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise Unusable("bad_alarm", f"the alarm's data is no JSON: {str(error)[:300]}") from error
    if len(encoded) > MAX_ALARM_BYTES:
        raise Unusable(
            "bad_alarm",
            f"the alarm's data has {len(encoded)} bytes, at most {MAX_ALARM_BYTES} are kept; "
            "send a reference",
        )
    if b"\\u0000" in encoded:
        raise Unusable("bad_alarm", "the alarm's text or data contains a NUL character")
    return found
