"""Times: RFC 3339 UTC with microseconds on the wire, int microseconds since 1970 inside."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


Rfc3339 = Annotated[
    str, msgspec.Meta(extra_json_schema={"format": "date-time"})
]  # a time as text, as :func:`rfc3339` writes it


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (moment - EPOCH) // MICROSECOND


def from_us(us: int) -> datetime:
    """The aware UTC datetime of `us`."""
    return EPOCH + timedelta(microseconds=us)


def rfc3339(us: int) -> str:
    """`us` as RFC 3339 with six digits and Z, for example ``2026-03-01T12:00:00.000000Z``."""
    return from_us(us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_rfc3339(text: str) -> int:
    """Microseconds of an RFC 3339 time with an offset. Raises ValueError without one."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no offset; write it with Z or +hh:mm")
    return to_us(moment)
