"""From the bytes of one item to an observation that the core can apply, or the reason why not (it then goes to the dead letters)."""

import msgspec

from actors.core.event_data import AlarmData
from actors.core.observations import Alarm, Object, Observation
from actors.core.times import EPOCH, MICROSECOND

MAX_ALARM_BYTES = 16_384  # an alarm's data as JSON
_LATEST_US = 7_258_118_400_000_000  # 2200-01-01: beyond it a clock is broken, not wrong

_json = msgspec.json.Decoder(Observation)
_msgpack = msgspec.msgpack.Decoder(Observation)
_encode = msgspec.json.encode


class Unusable(Exception):
    """One item that cannot be applied. `code` and `detail` go to the dead letters and back to the edge."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def decode(raw: bytes, form: str) -> Observation:
    """The observation in `raw` (``json`` or ``msgpack``). Raises `Unusable`."""
    try:
        if form == "json":
            return _json.decode(raw)
        if form == "msgpack":
            return _msgpack.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise Unusable("bad_input", str(error)[:500]) from error
    raise Unusable("bad_input", f"unknown encoding {form[:40]!r}")


def require_time(seen: Observation) -> int:
    """The capture time in microseconds since 1970. Raises `Unusable` outside 1970..2200."""
    moment: int = (seen.time - EPOCH) // MICROSECOND
    if not 0 < moment < _LATEST_US:
        raise Unusable("bad_time", f"capture time {seen.time.isoformat()} is outside 1970..2200")
    return moment


def require_boxes(objects: list[Object]) -> None:
    """Raises `Unusable` for a box without an area: the profile of the adapter is wrong (video reference 1.4)."""
    for seen in objects:
        x1, y1, x2, y2 = seen.box
        if not (x1 < x2 and y1 < y2):
            raise Unusable("bad_box", f"box {list(seen.box)} has no area; write [x1, y1, x2, y2] with x1 < x2 and y1 < y2")


def alarm_data(alarm: Alarm) -> AlarmData:
    """An alarm's text and data for its event. Raises `Unusable` when they cannot be stored."""
    found = AlarmData(text=alarm.text, data=alarm.data)
    try:
        encoded = _encode(found)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise Unusable("bad_alarm", f"the alarm's data is no JSON: {str(error)[:300]}") from error
    if len(encoded) > MAX_ALARM_BYTES:
        raise Unusable("bad_alarm", f"the alarm's data has {len(encoded)} bytes, at most {MAX_ALARM_BYTES} are kept; send a reference")
    if b"\\u0000" in encoded:
        raise Unusable("bad_alarm", "the alarm's text or data contains a NUL character")
    return found
