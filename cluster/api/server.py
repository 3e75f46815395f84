"""The cluster API on its own port, under the same bounded protocols as a hub. No websocket is taken
here."""

import ssl
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from actors.core.errors import ConfigError
from actors.core.settings import Settings
from cluster.api.app import create_app
from cluster.api.context import ApiContext
from hub.access import client_address
from hub.access.authorization import Access
from hub.access.host_names import Hosts
from hub.dashboards.connection import Dashboard
from hub.dashboards.handshake import Refusal
from hub.server.listeners import open_alone
from hub.server.tls import is_loopback, server_context
from hub.server.uvicorn_server import HubServer
from hub.server.websocket_protocol import HubWebSocket
from hub.web.answer_headers import AnswerHeaders


class _Shut:
    """A `Door` that nobody comes through."""

    def admit(self, path: str, origins: Sequence[str], address: str) -> Refusal | None:
        """Nobody."""
        return Refusal(404, "There are no websockets here; hubs have them.\n")

    def open(
        self, link: HubWebSocket, codec: str, address: str, origins: Sequence[str]
    ) -> Dashboard:
        """Never called."""
        raise NotImplementedError


class ApiServer:
    """`port` is what was bound once it has started."""

    def __init__(
        self,
        settings: Settings,
        context: ApiContext,
        access: Access,
        *,
        deadline_s: float | None = None,
    ) -> None:
        """Raises ConfigError where others could listen to plain text."""
        self.context = context
        self._cluster = settings.cluster
        options = {} if deadline_s is None else {"deadline_s": deadline_s}
        hosts = Hosts(settings.cluster.api_host, settings.hub.allowed_hosts)
        self.app = create_app(
            context,
            access,
            release=release(),
            hosts=hosts,
            origins=settings.hub.allowed_origins,
            proxies=client_address.networks(settings.hub.trusted_proxies),
            **options,
        )
        self._server = HubServer(
            self.app,
            _Shut(),
            settings.hub,
            headers=AnswerHeaders(),
            hosts=hosts,
            tls=tls_of(settings),
        )
        self.port = 0

    async def start(self) -> None:
        """Listen and serve. Raises StartError when the port cannot be had."""
        sock = open_alone(
            self._cluster.api_host, self._cluster.api_port, setting="cluster.api_port"
        )
        self.port = int(sock.getsockname()[1])
        await self._server.start([sock])

    async def stop(self) -> None:
        """Take no more, wait a bounded time for what is under way."""
        await self._server.stop()


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """The hub's certificate serves the API too where it is not on loopback. Raises ConfigError
    where there is none."""
    host = settings.cluster.api_host
    if is_loopback(host) or settings.hub.insecure:
        return None
    if not settings.hub.tls_cert_file:
        raise ConfigError(
            f"cluster.api_host {host or 'everywhere'} is open to others, and nothing there is "
            "encrypted",
            hint="Keep it on 127.0.0.1, or set hub.tls_cert_file and hub.tls_key_file: the API "
            "uses them too.",
        )
    return server_context(settings.hub)


def release() -> str:
    """Eyrie's version."""
    try:
        return version("eyrie")
    except PackageNotFoundError:
        return "development"
