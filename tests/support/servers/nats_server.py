"""A real NATS server with JetStream, from its package, on a port of the system's choice."""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

START_S = 30.0


class NatsServer:
    """Starts again in the same folder, at another port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self.folder / "nats.conf"
        ports = self.folder / "ports"
        ports.mkdir(exist_ok=True)
        for left in ports.iterdir():
            left.unlink()
        config.write_text(
            f'listen: "127.0.0.1:-1"\nports_file_dir: "{ports}"\n'
            f'jetstream {{ store_dir: "{self.folder / "store"}" }}\n'
        )
        binary = Path(sys.executable).parent / "nats-server"
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([binary, "-c", config], stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not self.url:
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2_000:]
            assert time.monotonic() < deadline, "nats-server does not start"
            with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
                (file,) = ports.iterdir()
                self.url = json.loads(file.read_text())["nats"][0]
            time.sleep(0.02)

    def kill(self) -> None:
        """As a machine that loses power, but for what the system had in memory."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def cut(self, size: int) -> None:
        """Take so many bytes off the newest block, and what the server knows by heart."""
        blocks = sorted(self.folder.glob("store/**/msgs/*.blk"), key=lambda one: int(one.stem))
        with blocks[-1].open("r+b") as file:
            file.truncate(max(0, blocks[-1].stat().st_size - size))
        for name in ("index.db",):
            for file_of in self.folder.glob(f"store/**/msgs/{name}"):
                file_of.unlink()

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(20)
        self._process, self.url = None, ""


@contextlib.contextmanager
def nats_server() -> Iterator[NatsServer]:
    with tempfile.TemporaryDirectory(prefix="eyrie-nats-") as folder:
        server = NatsServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
