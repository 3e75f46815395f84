"""Options of the commands that talk to a hub: where it is, and the token to show."""

import argparse
import secrets
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from actors.core.errors import BadInput, ConfigError
from actors.core.settings import Settings
from cluster.cli.options import add_settings_options, running
from cluster.rest_client import HubRest
from policy.identity.principal import TokenType
from policy.identity.tokens import issue
from storage.process.settings_files import read_resolved

EDGE_PATH = "/v1/edge"
DASHBOARD_PATH = "/connection/websocket"
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}


def add_hub_options(parser: argparse.ArgumentParser) -> None:
    """``--url``, ``--token-file`` and the options that find the running instance."""
    add_link_options(parser)
    parser.add_argument(
        "--token-file",
        default="",
        metavar="FILE",
        help="file with the token (default: one is made for the running Eyrie)",
    )


def add_link_options(parser: argparse.ArgumentParser) -> None:
    """The same without a token to show."""
    parser.add_argument(
        "--url",
        default="",
        metavar="URL",
        help="the hub, for example http://127.0.0.1:8000 (default: the running Eyrie)",
    )
    add_settings_options(parser)
    parser.add_argument(
        "--settings", default="", help=argparse.SUPPRESS
    )  # how `eyrie up` tells its children


def settings(arguments: argparse.Namespace) -> Settings:
    """The resolved settings of the running instance. Raises ConfigError when there is none."""
    return read_resolved(arguments.settings) if arguments.settings else running(arguments)


def websocket_url(arguments: argparse.Namespace, path: str) -> str:
    """The address of `path` at the hub. Raises BadInput for an address that is none, ConfigError
    when no instance is found."""
    if arguments.url:
        return complete(arguments.url, path)
    hub = settings(arguments).hub
    return f"{'wss' if hub.tls_cert_file else 'ws'}://{EVERYWHERE.get(hub.host, hub.host)}:{hub.port}{path}"  # noqa: E501


def http_url(arguments: argparse.Namespace) -> str:
    """The address of the hub's REST. Raises BadInput for an address that is none, ConfigError when
    no instance is found."""
    parts = urlsplit(websocket_url(arguments, "/"))
    return urlunsplit(("https" if parts.scheme == "wss" else "http", parts.netloc, "", "", ""))


def rest(arguments: argparse.Namespace, *, subject: str) -> HubRest:
    """The hub's REST under `--token-file`, or a fresh administrator's token of the running
    instance."""
    token = token_source(
        arguments, subject=subject, typ="user", roles=["admin"], scopes=["restricted:read"]
    )
    return HubRest(http_url(arguments), token(), tls_context(arguments))


def rows(hub: HubRest, path: str, name: str) -> Iterator[dict[str, Any]]:
    """All pages of a list of the hub's REST."""
    after = ""
    while True:
        found = hub.get(f"{path}{'&' if '?' in path else '?'}limit=500{after}")
        page = msgspec.json.decode(found.body, type=dict[str, Any]) if found is not None else {}
        yield from page.get(name, [])
        if "next" not in page:
            return
        after = f"&after={quote(str(page['next']))}"


def tls_context(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    """For the running instance: its own certificate is trusted and no other. None elsewhere: what
    the system trusts (or SSL_CERT_FILE)."""
    try:
        hub = settings(arguments).hub
    except ConfigError:
        return None
    if arguments.url:
        parts = urlsplit(complete(arguments.url, "/"))
        if (
            parts.scheme != "wss"
            or parts.port != hub.port
            or parts.hostname not in _own_names(hub.host)
        ):
            return None
    return pinned(hub.tls_cert_file)


def pinned(certificate_file: str) -> ssl.SSLContext | None:
    """Trusts the certificate in the file itself, whatever name it has and whoever signed it; None
    for no file."""
    if not certificate_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate_file)
    return context


def _own_names(host: str) -> set[str]:
    return {host, EVERYWHERE.get(host, host).strip("[]"), "127.0.0.1", "::1", "localhost"}


def complete(url: str, path: str) -> str:
    """`url` as a websocket address: http becomes ws, and `path` is added where there is none."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise BadInput(f"{url} is no address of a hub", hint="Write it like http://127.0.0.1:8000.")
    return urlunsplit(
        (scheme, parts.netloc, parts.path if parts.path.strip("/") else path, parts.query, "")
    )


def token_source(
    arguments: argparse.Namespace,
    *,
    subject: str,
    typ: TokenType,
    roles: Sequence[str] = (),
    sites: Sequence[str] = ("*",),
    scopes: Sequence[str] = (),
) -> Callable[[], str]:
    """A function that gives the token to show now: read from `--token-file`, or freshly issued for
    the running instance.

    Raises ConfigError when neither can be had.
    """
    if arguments.token_file:
        path = Path(arguments.token_file)
        _read(path)
        return lambda: _read(path)
    auth = settings(arguments).auth

    def fresh() -> str:
        return issue(
            auth,
            sub=subject,
            typ=typ,
            jti=secrets.token_hex(12),
            now_s=time.time(),
            roles=roles,
            sites=sites,
            scopes=scopes,
        )

    fresh()
    return fresh


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(
            f"the token file {path} cannot be read: {reason}",
            hint="Name a file that holds one token.",
        ) from error
    if not text or len(text) > 8192 or any(character.isspace() for character in text):
        raise ConfigError(
            f"the token file {path} does not hold one token", hint="Write the token into it, alone."
        )
    return text
