"""What a request for stored events asks for: filters, order and cursors, from its query (pure).

A cursor is the place of an event in the order of listings,
``<received>~<camera>~<epoch>~<offset>``: it stays valid whatever comes or goes.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from starlette.requests import Request

from actors.core.errors import BadInput, Forbidden
from actors.core.identifiers import is_id
from actors.core.redaction import UNKNOWN
from hub.access import redaction
from hub.access.redaction import View
from storage.ports.event_queries import EventQuery, Key

SEVERITIES = ("info", "notice", "warning", "critical")
ORDERS = ("oldest", "newest")
FIELDS = {"type": "types", "zone": "zones", "line": "lines", "label": "labels", "track": "tracks"}
FILTERS = frozenset(
    {"epoch", "after", "before", "limit", "from", "to", "order", "severity", *FIELDS}
)
MAX_VALUES = 32  # of one filter
MAX_TEXT = 200  # characters of one filter
MAX_OFFSET = 10**18 - 1
MAX_US = 250_000_000_000_000_000


class EventPageQuery(msgspec.Struct, frozen=True):
    """`base`: the filters. `newest`: which end comes first. At most one of `after`, `before` and
    `offset` (a number as `after`) is set."""

    base: EventQuery
    newest: bool
    after: Key | None = None
    before: Key | None = None
    offset: int | None = None
    plain: bool = True  # neither filters nor an order were given


def wanted(request: Request) -> EventPageQuery:
    """The query of a request. Raises BadInput for what is not as the document says."""
    query = request.query_params
    for name in query:
        if name not in FIELDS and len(query.getlist(name)) > 1:
            raise BadInput(f"{name} is given more than once")
    order = query.get("order", ORDERS[0])
    if order not in ORDERS:
        raise BadInput(f"order is one of {', '.join(ORDERS)}")
    if "after" in query and "before" in query:
        raise BadInput("only one of after and before")
    after = query.get("after", "")
    if "epoch" in query and not is_id(query["epoch"]):
        raise BadInput("epoch must be that of an event", hint="Leave it out for the newest.")
    plain = not any(
        name in query for name in ("order", "before", "from", "to", "severity", *FIELDS)
    )
    return EventPageQuery(
        _filters(request),
        order == "newest",
        after=key_of_text(after) if after and not after.isdigit() else None,
        before=key_of_text(query["before"]) if "before" in query else None,
        offset=_offset(after) if after.isdigit() else None,
        plain=plain,
    )


def _filters(request: Request) -> EventQuery:
    query = request.query_params
    fields = {
        field: found
        for name, field in FIELDS.items()
        if (found := _values(name, query.getlist(name))) is not None
    }
    severity = query.get("severity", SEVERITIES[0])
    if severity not in SEVERITIES:
        raise BadInput(f"severity is one of {', '.join(SEVERITIES)}")
    base = EventQuery(**fields)  # type: ignore[arg-type]
    if severity != SEVERITIES[0]:
        base = msgspec.structs.replace(base, severities=SEVERITIES[SEVERITIES.index(severity) :])
    low = moment(query["from"], "from") if "from" in query else base.low_us
    high = moment(query["to"], "to") if "to" in query else base.high_us
    return msgspec.structs.replace(
        base, low_us=max(low, 0), high_us=min(max(high, 0), base.high_us)
    )


def _values(name: str, texts: list[str]) -> tuple[str, ...] | None:
    if not texts:
        return None
    if any(len(text) > MAX_TEXT for text in texts):
        raise BadInput(f"{name} has at most {MAX_TEXT} characters")
    if any("\x00" in text for text in texts):
        raise BadInput(f"{name} holds a zero character")
    found = tuple(sorted({value for text in texts for value in text.split(",") if value}))
    if len(found) > MAX_VALUES:
        raise BadInput(f"at most {MAX_VALUES} values of {name}")
    if not found:
        raise BadInput(f"{name} is empty", hint="Leave it out for all.")
    return found


def require_filters(query: Mapping[str, str], view: View) -> None:
    """Refuse what no filter is called, so that nobody takes everything for what they asked for.

    Raises Forbidden for one on an attribute that `view` hides (by what comes back it would tell the
    value), BadInput for any other.
    """
    for name in query.keys() - FILTERS:
        hidden = redaction.class_of(name, view.redact)
        if hidden not in (None, UNKNOWN):
            raise Forbidden(
                f"events cannot be filtered by {name[:40]!r}: its class ({hidden}) is redacted "
                "for you"
            )
        raise BadInput(
            f"events cannot be filtered by {name[:40]!r}",
            hint=f"There are {', '.join(sorted(FILTERS))}.",
        )


def moment(text: str, name: str) -> int:
    """An RFC 3339 time with its zone as microseconds since 1970. Raises BadInput."""
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
        if found.tzinfo is None:
            raise BadInput(f"{name} needs a time zone, Z for UTC")
        return int(found.timestamp() * 1_000_000)
    except (ValueError, OverflowError) as error:
        raise BadInput(
            f"{name} must be a time like 2026-03-01T12:00:00Z, not {text[:40]!r}"
        ) from error


def text_of_key(key: Key) -> str:
    """A cursor."""
    return "~".join(map(str, key))


def key_of_text(text: str) -> Key:
    """The opposite of :func:`text_of_key`. Raises BadInput."""
    parts = text.split("~")
    if (
        len(parts) == 4
        and _number(parts[0], MAX_US)
        and (_number(parts[3], MAX_OFFSET) or parts[3] == "-1")
    ):
        received, camera, epoch, offset = parts
        if all(not name or is_id(name) for name in (camera, epoch)):
            return int(received), camera, epoch, int(offset)
    raise BadInput(
        "after and before take the `next` and the `previous` of a page",
        hint="Leave them out to begin.",
    )


def _number(text: str, most: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most


def _offset(text: str) -> int:
    if not _number(text, MAX_OFFSET):
        raise BadInput(f"after must be at most {MAX_OFFSET}")
    return int(text)
