"""A private OPA server on loopback for the policy bench, where there is a binary (``OPA_BINARY``,
or `opa` on the PATH)."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

from actors.core.errors import StartError
from cluster.launcher.launcher import free_port

START_S = 30.0
STOP_S = 10.0


def opa_binary() -> str | None:
    """The OPA to use, or None."""
    return os.environ.get("OPA_BINARY") or shutil.which("opa")


@contextlib.contextmanager
def opa_child(binary: str) -> Iterator[str]:
    """The address of an OPA without any policy; it is stopped at the end. Raises StartError."""
    port = free_port("127.0.0.1", 0)
    command = [
        binary,
        "run",
        "--server",
        "--addr",
        f"127.0.0.1:{port}",
        "--log-level",
        "error",
        "--disable-telemetry",
    ]
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_S
        while not _listens(port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise StartError("opa did not start")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(STOP_S)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
