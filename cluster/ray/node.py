"""This machine as a further node of a Ray cluster whose head is elsewhere."""

import contextlib
import ipaddress
import re
import socket
from pathlib import Path

from actors.core.errors import StartError
from actors.core.settings import RaySettings
from cluster.ray.process import RayProcesses, descendants, environment
from storage.embedded.data_dir import DataDir, start_time

# a node beside a head on loopback: Ray turns 127.0.0.1 into the machine's public address
BESIDE = "127.0.0.3"
_NODE_ID = re.compile(rb"--node_id=([0-9a-f]+)")  # of a raylet's command line


class RayNode(RayProcesses):
    """`spawn`, `wait`, then :attr:`node_id` is known. `settings_file` is what processes on this
    node read; it must be there before."""

    def __init__(
        self,
        data: DataDir,
        *,
        address: str,
        settings: RaySettings,
        cameras: int,
        settings_file: Path,
    ) -> None:
        super().__init__(
            data,
            "ray",
            settings=settings,
            host=settings.host or own_address(address),
            cameras=cameras,
        )
        self._address = address
        self._settings_file = settings_file
        self._raylet: tuple[int, int | None] = (0, None)
        self.node_id = ""

    def spawn(self) -> None:
        """Start it; :meth:`wait` for it. Raises StartError."""
        self.node_id = ""
        self.start(
            [f"--address={self._address}"],
            environment(Path(self._settings.token_file), self._settings_file),
        )

    def wait(self) -> None:
        """Wait until the cluster has this node. Raises StartError."""
        self.wait_joined()
        for pid in descendants(self._child.pid):
            with contextlib.suppress(OSError):
                found = _NODE_ID.search(Path(f"/proc/{pid}/cmdline").read_bytes())
                if found is not None:
                    self._raylet, self.node_id = (pid, start_time(pid)), found[1].decode()
                    return
        raise StartError("ray start runs no raylet", hint=f"See {self._child.log_file}.")

    def released(self) -> bool:
        """True when the raylet ended in order, and ``ray start`` waits on for nothing: the node was
        let go, or its head was replaced."""
        pid, started = self._raylet
        return self.alive() and pid > 0 and start_time(pid) != started


def own_address(head: str) -> str:
    """The address of this machine on the way to `head` (``host:port``). Raises StartError when
    there is no way."""
    host, _, port = head.rpartition(":")
    try:
        with socket.socket(
            socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM
        ) as probe:
            probe.connect(
                (host.strip("[]"), int(port))
            )  # sends nothing: the kernel chooses the source
            found = str(probe.getsockname()[0])
    except (OSError, ValueError) as error:
        raise StartError(
            f"{head} cannot be reached: {error}",
            hint="Give the head as HOST:PORT; `eyrie up` there prints it.",
        ) from error
    return BESIDE if ipaddress.ip_address(found).is_loopback else found
