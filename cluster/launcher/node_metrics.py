"""The node's `/metrics`: all processes of this machine merged, served by the launcher as long as
the node lives."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import CollectorRegistry, make_wsgi_app, start_http_server

from actors.core.errors import StartError
from actors.core.settings import Settings
from hub.access.host_names import Hosts
from hub.web.answer_headers import AnswerHeaders
from storage.embedded.data_dir import DataDir
from storage.process.metrics import NodeMetrics, clear

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_HEADERS = [
    (name.decode("ascii"), value.decode("ascii")) for name, value in AnswerHeaders().of(tls=False)
]


class MetricsServer:
    """`start`, then :attr:`url`. A thread of its own; each scrape merges."""

    def __init__(self, data: DataDir, settings: Settings) -> None:
        """Raises ConfigError for names of hosts that are none."""
        self._data = data
        self._settings = settings.metrics
        self._hosts = Hosts(settings.metrics.host, settings.hub.allowed_hosts)
        self.url = ""

    def start(self) -> None:
        """Forget the node's earlier life and listen. Raises StartError when the port is taken."""
        clear(self._data)
        registry = CollectorRegistry()
        registry.register(NodeMetrics(self._data))
        host, port = self._settings.host, self._settings.port
        try:
            self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            raise StartError(
                f"metrics cannot be served on {host}:{port}: {error.strerror}",
                hint="Set metrics.port (0: any).",
            ) from error
        self._server.RequestHandlerClass = _Handler
        self._server.set_app(_guarded(make_wsgi_app(registry), self._hosts))
        self.url = f"http://{host}:{self._server.server_port}/metrics"

    def stop(self) -> None:
        """Listen no more."""
        if self.url:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(timeout=5.0)
            self.url = ""


class _Handler(WSGIRequestHandler):
    """Silent, and what it answers by itself (a request that is none) has our headers too."""

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing."""

    def end_headers(self) -> None:
        """See http.server."""
        for name, value in _HEADERS:
            self.send_header(name, value)
        super().end_headers()


def _guarded(app: "WSGIApplication", hosts: Hosts) -> "WSGIApplication":
    """`app`, for requests to names of ours alone, with the headers of every answer."""

    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        named = environ.get("HTTP_HOST")
        refused = hosts.problem([] if named is None else [named.encode("latin-1")], "")
        if refused is not None:
            start_response(
                "421 Misdirected Request" if refused[0] == 421 else "400 Bad Request",
                [("content-type", "text/plain"), *_HEADERS],
            )
            return [refused[1].encode()]
        return app(
            environ,
            lambda status, headers, exc_info=None: start_response(
                status, [*headers, *_HEADERS], exc_info
            ),
        )

    return serve
