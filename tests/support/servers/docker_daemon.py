"""A Docker daemon of its own: its data, socket and containers are a test's alone. Root; Debian's
docker.io, docker-compose, debootstrap.

It makes no rules of iptables: networks that a compose file names reach each other, published ports
go by Docker's own proxy.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.support.waiting import block_until

PROGRAMS = ("dockerd", "docker", "docker-compose", "debootstrap")
# a folder that keeps the daemon's data from one run to the next, so that images are not built anew
KEPT = "DOCKER_TEST_ROOT"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def impossible() -> str:
    """Why there can be none here, or an empty text."""
    if os.geteuid() != 0:
        return "a Docker daemon needs root"
    missing = [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]
    return (
        f"not installed: {', '.join(missing)} (Debian: docker.io, docker-cli, docker-compose, "
        "debootstrap)"
        if missing
        else ""
    )


class Daemon:
    """`root`: the folder of its data and its socket."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._socket = root / "docker.sock"
        self._log = root / "dockerd.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        (self.root / "daemon.json").write_text("{}", encoding="ascii")
        (self.root / "docker.pid").unlink(missing_ok=True)
        command = [
            "dockerd",
            "--config-file",
            str(self.root / "daemon.json"),
            "--iptables=false",
            "--ip6tables=false",
            "--bridge=none",
        ]
        folders = [
            f"--data-root={self.root}/data",
            f"--exec-root={self.root}/exec",
            f"--pidfile={self.root}/docker.pid",
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *folders, "--host", f"unix://{self._socket}"],
                stdout=log,
                stderr=log,
                env=self.environment(),
            )
        block_until(self._answers, f"the daemon answers ({self._log})", within_s=60.0)

    def stop(self) -> None:
        """End it, and the containers with it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=180)
            # What a build in the machine's own network leaves: it is mounted, so the folder could
            # not be removed.
            subprocess.run(
                ["umount", self.root / "exec" / "netns" / "default"],
                capture_output=True,
                timeout=30,
                check=False,
            )

    def environment(self, variables: Mapping[str, str] | None = None) -> dict[str, str]:
        """What Docker's commands need to find it."""
        return {
            **os.environ,
            "PATH": PATH,
            "DOCKER_HOST": f"unix://{self._socket}",
            **(variables or {}),
        }

    def run(
        self,
        *words: str | Path,
        env: Mapping[str, str] | None = None,
        given: str | None = None,
        timeout_s: float = 120.0,
    ) -> str:
        """Run a command that speaks to it, with `given` on standard input; what it printed. Fails
        with what it said when it does."""
        done = subprocess.run(
            [str(word) for word in words],
            env=self.environment(env),
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    def inspect(self, container: str) -> dict[str, Any]:
        """All that Docker knows of a container."""
        return dict(json.loads(self.run("docker", "inspect", container))[0])

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text(encoding="utf-8")[-4000:]
        asked = subprocess.run(
            ["docker", "version"],
            env=self.environment(),
            capture_output=True,
            timeout=30,
            check=False,
        )
        return asked.returncode == 0


@contextlib.contextmanager
def daemon() -> Iterator[Daemon]:
    """One that runs, gone at the end with all it had, unless its data is to be kept."""
    kept = os.environ.get(KEPT, "")
    root = Path(kept or tempfile.mkdtemp(prefix="eyrie-docker-"))
    made = Daemon(root)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        if not kept:
            shutil.rmtree(root, ignore_errors=True)
