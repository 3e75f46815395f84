"""The compatibility profile: plain channels, loose tokens and a server API, so that suites made for
Centrifugo can run against a hub.

It is read from the TOML file that `hub.compatibility_file` names, and refused unless the hub
listens on loopback.
"""

import ipaddress
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec

from actors.core.errors import ConfigError, NotFound
from actors.core.settings import HubSettings
from hub.dashboards.connection_state import ConnectionLimits
from hub.protocol import channels
from hub.protocol.channels import MAX_NAME, Channel, Namespace

MAX_HISTORY = 10_000
INSECURE_COMMANDS_PER_S = 10_000.0


class NamespaceOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one namespace of plain channels allows its subscribers. `history_size` 0: no history, no
    recovery."""

    presence: bool = False
    join_leave: bool = False
    history_size: Annotated[int, msgspec.Meta(ge=0, le=MAX_HISTORY)] = 0
    history_ttl_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 300
    publish: bool = False
    read_presence: bool = False
    read_history: bool = False

    def namespace(self, *, insecure: bool = False) -> Namespace:
        """The same as the session sees it. `insecure`: who may what is not asked, only what there
        is."""
        return Namespace(
            "plain",
            "user",
            recover=self.history_size > 0,
            history=self.read_history or (insecure and self.history_size > 0),
            publish=self.publish or insecure,
            presence=self.read_presence or (insecure and self.presence),
            refresh=True,
            open=insecure,
        )


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    secret_file: str
    api_key_file: str = ""
    personal: bool = True
    insecure: bool = False
    without_namespace: NamespaceOptions = NamespaceOptions()
    namespaces: dict[str, NamespaceOptions] = {}


class Profile:
    """The profile in force. `personal`: every user is subscribed to ``#<user>`` by the server.

    `insecure`, as Centrifugo's `client.insecure`: a connection without a token is one of the user
    "", plain channels need no token and ask for no permission. A token that is given must still be
    genuine.
    """

    def __init__(self, found: _File, own: Callable[[str], Channel]) -> None:
        """`own` parses the names of Eyrie's own channels. Raises OSError, ConfigError."""
        self._own = own
        self.secret = _read(found.secret_file)
        self.api_key = _read(found.api_key_file) if found.api_key_file else b""
        self.personal = found.personal
        self.insecure = found.insecure
        self._options = {"": found.without_namespace} | found.namespaces
        self._namespaces = {
            name: options.namespace(insecure=found.insecure)
            for name, options in self._options.items()
        }

    def limits(self, usual: ConnectionLimits) -> ConnectionLimits:
        """Bounds of a connection; `insecure` asks for no token and hardly counts commands: suites
        publish in loops."""
        return (
            msgspec.structs.replace(
                usual, token_needed=False, commands_per_s=INSECURE_COMMANDS_PER_S
            )
            if self.insecure
            else usual
        )

    def parse(self, name: str) -> Channel:
        """Eyrie's own channels first, then plain ones. Raises NotFound."""
        if not name.startswith("#"):
            try:
                return self._own(name)
            except NotFound:
                pass  # not one of ours: plain, if the profile knows its namespace
        head, colon, _ = name.partition(":")
        namespace = self._namespaces.get(head if colon else "")
        if namespace is None or len(name) > MAX_NAME or not name.isprintable():
            raise NotFound(f"no channel is called {name[:80]!r}")
        return Channel(name, namespace, name)

    def options(self, channel: str) -> NamespaceOptions:
        """What a plain channel allows; call it with names that :meth:`parse` took."""
        head, colon, _ = channel.partition(":")
        return self._options.get(head if colon else "", NamespaceOptions())


def load(hub: HubSettings, own: Callable[[str], Channel] = channels.parse) -> Profile | None:
    """The profile of a hub, if it has one; `own` parses the names of the hub's own channels. Raises
    ConfigError."""
    if not hub.compatibility_file:
        return None
    if not _loopback(hub.host):
        raise ConfigError(
            f"hub.compatibility_file relaxes who may do what, and hub.host is {hub.host}",
            hint="Listen on 127.0.0.1, or do without the compatibility profile.",
        )
    try:
        found = tomllib.loads(Path(hub.compatibility_file).read_text("utf-8"))
        return Profile(msgspec.convert(found, _File), own)
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise ConfigError(f"hub.compatibility_file cannot be used: {error}") from error


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(path: str) -> bytes:
    text = Path(path).read_bytes().strip()
    if not text:
        raise ConfigError(f"{path} is empty")
    return text
