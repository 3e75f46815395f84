"""Subscribers may ask for less (pure): a lower rate, a smaller projection, fewer cameras. Never for
more than policy grants.

They are the JSON in the `data` of a subscribe: ``{"max_hz": 2, "projection": "boxes", "tags":
["entrance"]}``. They become a part of the view, so equal options share one encoding. What a channel
cannot do is refused, so that nobody believes it was granted.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from actors.core.errors import BadInput
from hub.access.redaction import View
from hub.protocol.channels import Channel
from storage.ports.registry import CameraRecord

MAX_BYTES = 4096
MAX_TAGS = 32

Projection = Literal["full", "boxes", "summary"]


class SubscriptionOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`max_hz`: live messages a second, at most. `projection`: of a camera's state. `tags`: cameras
    with all of them (walls, events)."""

    max_hz: Annotated[float, msgspec.Meta(ge=0.01, le=60)] | None = None
    projection: Projection | None = None
    tags: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=64)]],
        msgspec.Meta(max_length=MAX_TAGS),
    ] = []


NONE = SubscriptionOptions()
_decoder = msgspec.json.Decoder(SubscriptionOptions)
_PROJECTIONS: dict[str, tuple[Projection, ...]] = {
    "live": ("full", "boxes", "summary"),
    "wall": ("summary",),
}


def parse(data: bytes, channel: Channel) -> SubscriptionOptions:
    """The options in a subscribe's `data`, :data:`NONE` without any. Raises BadInput for others,
    or what `channel` does not offer."""
    if not data or data == b"null":
        return NONE
    if len(data) > MAX_BYTES:
        raise BadInput(f"a wish has at most {MAX_BYTES} bytes")
    try:
        options = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(
            f"data of a subscribe asks for max_hz, projection or tags: {error}"
        ) from error
    lane = channel.lane
    if options.max_hz is not None and lane not in ("live", "wall"):
        raise BadInput("events come one by one; max_hz is for live channels and walls")
    if options.projection is not None and options.projection not in _PROJECTIONS.get(lane, ()):
        raise BadInput(f"{channel.name} has no projection {options.projection!r}")
    if options.tags and channel.scope not in ("site", "fleet"):
        raise BadInput("tags choose cameras of a site or of the fleet")
    return options


def narrowed(
    view: View, options: SubscriptionOptions, channel: Channel, cameras: Iterable[CameraRecord]
) -> View:
    """`view` as far as `options` wants it; `cameras` are those of the channel."""
    rates = [rate for rate in (view.max_hz, options.max_hz) if rate is not None]
    unwanted = (
        {record.camera for record in cameras if not set(options.tags) <= set(record.tags)}
        if options.tags
        else set()
    )
    projection = (
        options.projection
        if channel.lane == "live" and options.projection is not None
        else view.projection
    )
    return msgspec.structs.replace(
        view,
        exclude=view.exclude | unwanted if unwanted else view.exclude,
        max_hz=min(rates) if rates else None,
        projection=projection,
    )
