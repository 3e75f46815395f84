"""A private Ray head in our care. On loopback, unless `ray.host` names an address by which other
machines may join."""

import os
import secrets
from pathlib import Path

from actors.core.settings import RaySettings
from actors.on_ray.calls import ALONE
from cluster.ray.ports import OWN_PORTS, free_ports
from cluster.ray.process import RayProcesses, environment
from policy.identity.keys import read_secret
from storage.embedded.data_dir import DataDir


class RayHead(RayProcesses):
    """`spawn`, `wait`, then use :attr:`address`. A head that starts again keeps its port: joined
    nodes come back by themselves."""

    def __init__(self, data: DataDir, *, cameras: int, settings: RaySettings | None = None) -> None:
        ray = settings or RaySettings()
        super().__init__(data, "ray", settings=ray, host=ray.host or ALONE, cameras=cameras)
        self._own_token = data.keys / "ray.token"
        self.token_file = Path(ray.token_file) if ray.token_file else self._own_token
        self._port = ray.port
        self.address = ""

    def spawn(self) -> None:
        """Start the head; it takes a few seconds: :meth:`wait` for it. Raises StartError,
        ConfigError for a bad token file."""
        if self.token_file == self._own_token:
            ensure_token(self.token_file)
        read_secret(self.token_file)
        first = self._settings.port_min
        if self._port:
            self._claims.claim(self._port)  # who has it listens there, and Ray will say so
        else:
            (self._port,) = free_ports(range(first, first + OWN_PORTS), 1, self._claims)
        self.start(
            ["--head", f"--port={self._port}", "--include-dashboard=false", "--no-monitor"],
            environment(self.token_file),
            taken=self._port,
        )

    def wait(self) -> None:
        """Wait until the head can be joined. Raises StartError."""
        self.wait_joined()
        self.address = f"{self.host}:{self._port}"


def ensure_token(path: Path) -> None:
    """A random token in `path` (0600), made when there is none."""
    if path.exists():
        return
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
    ) as file:
        file.write(secrets.token_hex(32))
