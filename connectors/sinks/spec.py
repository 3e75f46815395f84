"""What a sink is told: destination, filter, view. Pure."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from actors.core.errors import BadInput
from policy.identity.principal import Principal
from storage.ports.background.jobs import Values

MAX_NAMES = 200  # of one list of a filter or view
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*(\.\*)?\Z")

Names = Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_NAMES)]
Mode = Literal["structured", "binary"]


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which events a sink wants; an empty list takes all. A type may end in ``.*``."""

    types: Names = ()
    severities: Names = ()
    sites: Names = ()
    cameras: Names = ()


class SinkView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom policy is asked for: a service with these roles at these sites (``*``: all) and, where
    given, these cameras alone, for this purpose."""

    sites: Names
    roles: Names = ("viewer",)
    cameras: Names | None = None
    scopes: Names = ()
    purpose: str = ""


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="webhook"):
    """An HTTP receiver. `mode`: of CloudEvents. `at_once`: requests in flight, one per camera."""

    url: str
    mode: Mode = "structured"
    at_once: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8


class Jetstream(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="jetstream"):
    """A stream of NATS JetStream. `url`: empty for ``EYRIE_NATS_URL``."""

    stream: str = "EYRIE_EVENTS"
    prefix: str = "eyrie.v1"
    url: str = ""


class SinkSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of it."""

    to: Webhook | Jetstream
    view: SinkView
    filter: Filter = Filter()


def principal_of(sink: str, view: SinkView) -> Principal:
    """The principal a sink is to policy. It never expires; deleting or pausing the sink ends it."""
    return Principal(
        sub=f"sink:{sink}",
        jti="",
        typ="service",
        iat=0,
        exp=2**53,
        roles=view.roles,
        sites=view.sites,
        cameras=view.cameras,
        scopes=view.scopes,
    )


def kind_of(spec: SinkSpec) -> str:
    """``webhook``, ``jetstream``."""
    return str(spec.to.__struct_config__.tag)


def covered(principal: Principal, view: SinkView) -> bool:
    """Whether a sink stays within what a token is given: who is limited to sites or cameras knows
    of no sink that reaches beyond, whatever policy is in force."""
    if principal.cameras is not None and not set(view.cameras or ("*",)) <= set(principal.cameras):
        return False
    if "*" in principal.sites:
        return True
    return bool(view.sites) and set(view.sites) <= set(principal.sites)


def beyond(principal: Principal, view: SinkView) -> str:
    """What a sink would have that its maker has not, in words; empty: nothing."""
    roles = sorted(set(view.roles) - set(principal.roles) - {"guest", "viewer"})
    scopes = sorted(set(view.scopes) - set(principal.scopes))
    if roles:
        return f"the roles {', '.join(roles)}"
    return f"the scopes {', '.join(scopes)}" if scopes else ""


def parse(values: Values) -> SinkSpec:
    """The sink that JSON says. Raises BadInput."""
    try:
        spec = msgspec.convert(values, SinkSpec)
    except msgspec.ValidationError as error:
        raise BadInput(f"this is no sink: {error}".replace("`$.", "`")) from error
    for kind in spec.filter.types:
        if not TYPE.match(kind):
            raise BadInput(f"{kind[:80]!r} is no type of events, nor a beginning with .*")
    if not spec.view.sites and not spec.view.cameras:
        raise BadInput("a sink's view names sites or cameras", hint='For all: sites ["*"].')
    if isinstance(spec.to, Webhook):
        require_url(spec.to.url)
    return spec


def built(spec: SinkSpec) -> Values:
    """What :func:`parse` reads."""
    return dict(msgspec.to_builtins(spec))


def require_name(name: str) -> str:
    """Raises BadInput for what names no sink."""
    if not NAME.match(name):
        raise BadInput(f"sink name {name[:80]!r} does not match [a-z0-9][a-z0-9-]{{0,39}}")
    return name


def require_url(url: str) -> None:
    """Raises BadInput for what no webhook is sent to. Credentials do not belong in an address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadInput(f"{url[:200]!r} is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise BadInput(f"{url[:200]!r} is no http or https address")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise BadInput("the address of a webhook has neither user, password nor fragment")
    if len(url) > 2_000 or not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        raise BadInput("the address of a webhook is at most 2000 plain characters")


def wants(filter: Filter, *, type: str, severity: str, site: str, camera: str) -> bool:
    """Whether an event with these attributes is for the sink."""
    return (
        (not filter.types or any(_matches(type, one) for one in filter.types))
        and (not filter.severities or severity in filter.severities)
        and (not filter.sites or site in filter.sites)
        and (not filter.cameras or camera in filter.cameras)
    )


def _matches(type: str, pattern: str) -> bool:
    return type.startswith(pattern[:-1]) if pattern.endswith(".*") else type == pattern
