"""Channel names and what each namespace allows (pure; design section 7).

camera:<id>          live     the camera's whole state, latest wins
site:<id>, fleet     wall     summaries that changed, per tick
events:camera:<id>   events   durable, epoch and offset of the camera
events:site:<id>     events   durable, epoch and offset of the site's Redis stream
events:fleet         events   as they come, no history
cluster:operations   live     what the cluster is being changed to, and how far it is
#<user>              personal notices to one user, subscribed by the server
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from actors.core.errors import NotFound
from actors.core.identifiers import is_id
from actors.core.settings import ChannelKind, ChannelsSettings

Lane = str  # live, wall, events, personal; an extension has its own
Scope = Literal["camera", "site", "fleet", "user", "cluster"]

MAX_NAME = 255  # characters, as in Centrifugo


class Namespace(msgspec.Struct, frozen=True):
    """What clients may do in a kind of channel; off means error 108."""

    lane: Lane
    scope: Scope
    recover: bool = True
    history: bool = False
    publish: bool = False
    presence: bool = False
    refresh: bool = False  # subscriptions have tokens of their own, which may be renewed
    open: bool = False  # all that is on may be done without a subscription


class Channel(msgspec.Struct, frozen=True):
    """A parsed channel name. `target` is the camera, site or user; empty for the fleet."""

    name: str
    namespace: Namespace
    target: str

    @property
    def lane(self) -> Lane:
        """Which lane its messages travel in."""
        return self.namespace.lane

    @property
    def scope(self) -> Scope:
        """What `target` names."""
        return self.namespace.scope


CAMERA = Namespace("live", "camera")
SITE = Namespace("wall", "site")
FLEET = Namespace("wall", "fleet")
CAMERA_EVENTS = Namespace("events", "camera", history=True)
SITE_EVENTS = Namespace("events", "site", history=True)
FLEET_EVENTS = Namespace("events", "fleet", recover=False)
PERSONAL = Namespace("personal", "user", recover=False)
OPERATIONS = Namespace("live", "cluster")

CLUSTER_OPERATIONS = "cluster:operations"


def parse(name: str) -> Channel:
    """The channel called `name`. Raises :class:`NotFound` when there is no such namespace or the id
    in it is malformed."""
    if len(name) > MAX_NAME + name.startswith("#"):  # a user's name may have as many characters
        raise NotFound("channel name is longer than 255 characters")
    if name == "fleet":
        return Channel(name, FLEET, "")
    if name == "events:fleet":
        return Channel(name, FLEET_EVENTS, "")
    if name == CLUSTER_OPERATIONS:
        return Channel(name, OPERATIONS, "")
    if name.startswith("#") and len(name) > 1:
        return Channel(name, PERSONAL, name[1:])
    head, _, target = name.rpartition(":")
    namespace = _BY_PREFIX.get(head)
    if namespace is None or not is_id(target):
        raise NotFound(f"no channel is called {name[:80]!r}")
    return Channel(name, namespace, target)


def parser(settings: ChannelsSettings) -> Callable[[str], Channel]:
    """:func:`parse` for one deployment: what its settings switch off is off, and a closed kind of
    channel does not exist."""

    def parse_here(name: str) -> Channel:
        channel = parse(name)
        kind = _KINDS.get((channel.lane, channel.scope))
        if kind is None:
            return channel
        if kind in settings.closed:
            raise NotFound(f"no channel is called {name[:80]!r}")
        namespace = msgspec.structs.replace(
            channel.namespace,
            history=channel.namespace.history and kind not in settings.without_history,
            recover=channel.namespace.recover and kind not in settings.without_recovery,
        )
        return msgspec.structs.replace(channel, namespace=namespace)

    return parse_here if settings != ChannelsSettings() else parse


_KINDS: dict[tuple[Lane, Scope], ChannelKind] = {
    ("live", "camera"): "camera",
    ("wall", "site"): "site",
    ("wall", "fleet"): "fleet",
    ("events", "camera"): "events:camera",
    ("events", "site"): "events:site",
    ("events", "fleet"): "events:fleet",
}

_BY_PREFIX = {
    "camera": CAMERA,
    "site": SITE,
    "events:camera": CAMERA_EVENTS,
    "events:site": SITE_EVENTS,
}


def camera(camera_id: str) -> str:
    """The live channel of a camera."""
    return f"camera:{camera_id}"


def site(site_id: str) -> str:
    """The wall of a site."""
    return f"site:{site_id}"


def camera_events(camera_id: str) -> str:
    """The durable events of a camera."""
    return f"events:camera:{camera_id}"


def site_events(site_id: str) -> str:
    """The durable events of a site."""
    return f"events:site:{site_id}"
