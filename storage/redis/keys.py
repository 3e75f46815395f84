"""Every key and channel in Redis, and the framing of what is published. Pure; validated ids only.

All keys of a site share the hash tag ``{site}``, so that its scripts run on one node of a cluster.

    eyrie:{site}:fences            hash    camera → the lowest generation that may publish
    eyrie:{site}:versions          hash    camera → "<generation> <version>" of the state shown last
    eyrie:{site}:states            hash    camera → that state, as published eyrie:{site}:summaries
    hash    camera → the summary shown last (LiveSummary) eyrie:{site}:site              hash
    epoch, top (of the site's stream), server, mark:<camera> → "<epoch> <offset>" shown last
    eyrie:{site}:events            stream  ids "<site offset>-0" eyrie:{site}:events:<camera>
    stream  ids "<camera offset>-0" eyrie:{site}:wall              channel summaries, heartbeats and
    events of the site eyrie:{site}:live:<camera>     channel states eyrie:canary:<hub>
    channel what a hub sends to itself eyrie:cluster:operations       string and channel  the
    cluster's operations (JSON) eyrie:limit:<name>             hash    tokens, at (microseconds
    since 1970): a bucket of `hub.access.rate_limits`

A payload is the MessagePack of `storage.ports.live.BrokerMessage` as an array. Of events the script
alone knows the site offset, of summaries and heartbeats which entries pass the fence; so the
publisher sends such a payload in parts whose concatenation is plain MessagePack, and whoever
receives one sees no difference.
"""

import msgspec

from actors.core.errors import BadInput
from actors.core.identifiers import require_id
from storage.ports.live import BrokerMessage, LiveEvent, LiveState, LiveSummary

_encoder = msgspec.msgpack.Encoder()
_publications = msgspec.msgpack.Decoder(BrokerMessage)
_summaries = msgspec.msgpack.Decoder(LiveSummary)

_FIXARRAY = 0x90  # MessagePack: an array of up to 15 elements is 0x90 + length
_FIELDS = len(BrokerMessage.__struct_fields__)


# where the cluster's operations lie, and the channel that they come by
OPERATIONS = "eyrie:cluster:operations"
CLUSTER = "cluster"  # in the place of a site in such a publication


def _base(site: str) -> str:
    return f"eyrie:{{{require_id(site, 'site')}}}:"


def fences(site: str) -> str:
    """Key of the fences."""
    return _base(site) + "fences"


def versions(site: str) -> str:
    """Key of the versions shown last."""
    return _base(site) + "versions"


def states(site: str) -> str:
    """Key of the states shown last."""
    return _base(site) + "states"


def summaries(site: str) -> str:
    """Key of the summaries shown last."""
    return _base(site) + "summaries"


def position(site: str) -> str:
    """Key of the site's numbering and of the cameras' marks."""
    return _base(site) + "site"


def mark_field(camera: str) -> str:
    """Field of a camera's mark."""
    return f"mark:{camera}"


def stream(site: str, camera: str | None = None) -> str:
    """Key of the site's event stream, or of a camera's."""
    return _base(site) + ("events" if camera is None else f"events:{require_id(camera, 'camera')}")


def wall_channel(site: str) -> str:
    """Channel of a site's summaries, heartbeats and events."""
    return _base(site) + "wall"


def live_prefix(site: str) -> str:
    """What `live_channel` puts before the camera."""
    return _base(site) + "live:"


def live_channel(site: str, camera: str) -> str:
    """Channel of a camera's states."""
    return live_prefix(site) + require_id(camera, "camera")


def canary_channel(name: str) -> str:
    """Channel of what the hub `name` sends to itself."""
    return f"eyrie:canary:{name}"


def bucket(name: str) -> str:
    """Key of a token bucket."""
    return f"eyrie:limit:{name}"


def grant(name: str) -> str:
    """Key of what was allowed to somebody lately."""
    return f"eyrie:granted:{name}"


def sign_in(name: str) -> str:
    """Key of what a code of one sign-in hands over."""
    return f"eyrie:sign-in:{name}"


def encode_canary(name: str, body: bytes) -> bytes:
    """The payload of a canary; its `site` is the hub."""
    return _encoder.encode(BrokerMessage("canary", name, body=body))


def encode_operations(body: bytes) -> bytes:
    """The payload of the cluster's operations."""
    return _encoder.encode(BrokerMessage("operations", CLUSTER, body=body))


def encode_state(state: LiveState) -> bytes:
    """The whole payload of a state."""
    return _encoder.encode(
        BrokerMessage(
            "state",
            state.site,
            state.camera,
            state.generation,
            state.version,
            offset=state.offset,
            body=state.body,
        )
    )


def event_parts(event: LiveEvent) -> tuple[bytes, bytes]:
    """(head, tail): the payload is ``head + msgpack(stream epoch) + msgpack(stream offset) +
    tail``."""
    head = ["event", event.site, event.camera, event.generation, 0, event.epoch, event.offset]
    tail: list[object] = [event.body, []]
    return bytes([_FIXARRAY + _FIELDS]) + _encoder.encode(head)[1:], _encoder.encode(tail)[1:]


def entries_head(kind: str, site: str) -> bytes:
    """The payload is ``head + 0xdc + count (two bytes) + entries``, each entry a LiveSummary."""
    whole = _encoder.encode(BrokerMessage(kind, site))
    return whole[:-1]  # without the empty array of entries


def encode_entry(entry: LiveSummary) -> bytes:
    """One entry of a summaries or heartbeat payload."""
    return _encoder.encode(entry)


def decode_entry(raw: bytes) -> LiveSummary:
    """The opposite of :func:`encode_entry`. Raises BadInput."""
    try:
        return _summaries.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"not a summary: {error}") from error


def decode(payload: bytes) -> BrokerMessage:
    """A payload as received. Raises BadInput for anything that is none (anyone who reaches Redis
    can publish)."""
    try:
        return _publications.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"not a publication: {error}") from error
