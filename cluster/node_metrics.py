"""The node's `/metrics`: all processes of this machine merged, served by the launcher as long as the node lives."""

from prometheus_client import CollectorRegistry, start_http_server

from actors.core.errors import StartError
from actors.core.settings import MetricsSettings
from storage.data_dir import DataDir
from storage.process_metrics import NodeMetrics, clear


class MetricsServer:
    """`start`, then :attr:`url`. A thread of its own; each scrape merges."""

    def __init__(self, data: DataDir, settings: MetricsSettings) -> None:
        self._data = data
        self._settings = settings
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
            raise StartError(f"metrics cannot be served on {host}:{port}: {error.strerror}", hint="Set metrics.port (0: any).") from error
        self.url = f"http://{host}:{self._server.server_port}/metrics"

    def stop(self) -> None:
        """Listen no more."""
        if self.url:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(timeout=5.0)
            self.url = ""
