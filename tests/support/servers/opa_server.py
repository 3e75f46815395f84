"""A real OPA for tests: ``OPA_BINARY`` or `opa` on the PATH, serving a folder of policies on
loopback."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cluster.launcher.launcher import free_port
from policy.engine.modules import PACKAGED, read_sources, revision
from policy.engine.opa_engine import REVISION_MODULE, revision_module

MISSING = "no OPA: set OPA_BINARY or put `opa` on the PATH (`.ci/run` builds one)"


def opa_binary() -> str | None:
    """The OPA to use, or None."""
    return os.environ.get("OPA_BINARY") or shutil.which("opa")


@contextlib.contextmanager
def opa_server(binary: str, folder: Path | None = PACKAGED) -> Iterator[str]:
    """The address of an OPA that serves the policies of `folder` (tests apart) and tells their
    revision; it is stopped at the end.

    None: it serves nothing yet.
    """
    port = free_port("127.0.0.1", 0)
    files = (
        []
        if folder is None
        else [
            str(path)
            for path in sorted(folder.glob("*.rego"))
            if not path.name.endswith("_test.rego")
        ]
    )
    with tempfile.TemporaryFile() as output, tempfile.TemporaryDirectory() as extra:
        if folder is not None:
            module = Path(extra, REVISION_MODULE)
            module.write_text(revision_module(revision(read_sources(str(folder)))))
            files.append(str(module))
        server = subprocess.Popen(
            [
                binary,
                "run",
                "--server",
                "--addr",
                f"127.0.0.1:{port}",
                "--log-level",
                "error",
                "--disable-telemetry",
                *files,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            _wait(server, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(10)


def _wait(server: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise AssertionError(f"opa ended with {server.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError("opa did not listen within 30 s")
