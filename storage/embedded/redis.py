"""The embedded Redis: a Valkey, from a package, as our own foreground child, on a Unix socket that
only we may open.

It keeps nothing on disk: all it holds can be rebuilt from PostgreSQL (design section 6, *Publish*).
Valkey is what goes on with Redis under its former licence; it speaks the same protocol. As root it
runs as a user of its own, whose socket root may open all the same.
"""

import signal
import socket
from pathlib import Path

from storage.embedded.data_dir import DataDir
from storage.embedded.packages import VALKEY, programs
from storage.embedded.server import ServerProcess
from storage.embedded.server_user import ServerUser

MAX_MEMORY = "512mb"
# hard limit, soft limit, seconds: a hub that does not read is cut off and catches up
PUBSUB_BUFFER = "64mb 16mb 60"


class EmbeddedRedis:
    """Start with :meth:`start`, then use :attr:`url`."""

    def __init__(self, data: DataDir) -> None:
        self._data = data
        self._user = ServerUser()
        self._child = ServerProcess("redis", data, self._user)
        self._folder = data.socket_folder("redis")
        self._socket = self._folder / "redis.sock"

    @property
    def url(self) -> str:
        """Address of the server; holds no secret."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._child.pid

    def alive(self) -> bool:
        """True while it runs."""
        return self._child.alive()

    def start(self) -> None:
        """Start the server and wait until it answers. Raises StartError."""
        binary = programs(VALKEY, self._user, self._data.path / "binaries") / "valkey-server"
        self._user.own(self._folder)
        self._socket.unlink(missing_ok=True)
        self._child.spawn(
            [
                binary,
                "--port",
                "0",
                "--unixsocket",
                self._socket,
                "--unixsocketperm",
                "700",
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
                self._folder,
                "--daemonize",
                "no",
                "--maxmemory",
                MAX_MEMORY,
                "--maxmemory-policy",
                "noeviction",
                "--client-output-buffer-limit",
                "pubsub",
                *PUBSUB_BUFFER.split(),
                "--databases",
                "1",
            ],
            folder=self._folder,
        )
        self._child.wait_ready(lambda: answers(self._socket))

    def stop(self) -> None:
        """End the server."""
        self._child.stop(signal.SIGTERM)
        self._data.leave_socket_folder("redis")


def answers(path: Path) -> bool:
    """True when a Redis behind the Unix socket `path` answers a ping."""
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(1.0)
            link.connect(str(path))
            link.sendall(b"PING\r\n")
            return link.recv(16).startswith(b"+PONG")
    except OSError:
        return False
