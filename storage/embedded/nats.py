"""The embedded NATS server with JetStream, for trials: from a package, as our own foreground child,
on loopback, behind a token in a file.

It speaks TCP alone, so the token is what closes it. Each batch is synced to the disk: with atomic
batches that costs nothing to speak of. As root it runs as a user of its own.
"""

import contextlib
import json
import os
import random
import secrets
import signal
import socket
from pathlib import Path

import msgspec

from actors.core.errors import StartError
from storage.embedded.data_dir import DataDir
from storage.embedded.packages import nats_program
from storage.embedded.server import ServerProcess
from storage.embedded.server_user import ServerUser

HOST = "127.0.0.1"
USUAL = 4222
OTHERS = range(20_000, 32_768)  # outside of the system's ephemeral range
TRIES = 50
MAX_STORE = "2GB"  # of all streams on disk
MAX_INFO = 64 * 1024  # bytes of a server's first line


class EmbeddedNats:
    """Start with :meth:`start`, then use :attr:`url` and :attr:`token_file`. The port stays the
    same from one life to the next where it is free, so that consumers find it again."""

    def __init__(self, data: DataDir) -> None:
        self._data = data
        self._user = ServerUser()
        self._child = ServerProcess("nats", data, self._user)
        self._folder = data.path / "nats"
        self._port = _port(data.path / "nats.port")
        self.token_file = data.keys / "nats.token"

    @property
    def url(self) -> str:
        """Address of the server; holds no secret."""
        return f"nats://{HOST}:{self._port}"

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._child.pid

    def alive(self) -> bool:
        """True while it runs."""
        return self._child.alive()

    def start(self) -> None:
        """Start the server and wait until it answers. Raises StartError."""
        program = nats_program(self._user, self._data.path / "binaries")
        self._user.own(self._folder)
        name = f"eyrie-{secrets.token_hex(8)}"
        config = self._folder / "nats.conf"
        self._write(config, self._configured(name))
        self._child.spawn([program, "-c", config], folder=self._folder)
        self._child.wait_ready(lambda: answers(self._port, name))

    def stop(self) -> None:
        """End the server."""
        self._child.stop(signal.SIGTERM)

    def _configured(self, name: str) -> str:
        def quoted(text: str) -> str:
            """NATS reads strings as JSON writes them, but for escapes by number."""
            return json.dumps(text, ensure_ascii=False)

        return (
            f'listen: "{HOST}:{self._port}"\nserver_name: {name}\n'
            f"authorization {{ token: {quoted(self._token())} }}\n"
            f"jetstream {{\n  store_dir: {quoted(str(self._folder / 'store'))}\n"
            f"  max_file_store: {MAX_STORE}\n  max_memory_store: 1MB\n  sync_interval: always\n}}\n"
        )

    def _token(self) -> str:
        if not self.token_file.exists():
            self._write(self.token_file, secrets.token_urlsafe(32), ours=True)
        return self.token_file.read_text("ascii").strip()

    def _write(self, path: Path, text: str, *, ours: bool = False) -> None:
        """Whole or not at all, for the server's user alone, or for us."""
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            if self._user.other and not ours:
                os.chown(fresh, self._user.uid, self._user.gid)
            fresh.replace(path)
        except OSError as error:
            raise StartError(f"{path} cannot be written: {error.strerror}") from error
        finally:
            fresh.unlink(missing_ok=True)


def answers(port: int, name: str) -> bool:
    """True when the NATS server of this name listens there: another one may have the port."""
    try:
        with socket.create_connection((HOST, port), 1.0) as link:
            said = b""
            while not said.endswith(b"\n") and len(said) < MAX_INFO:
                more = link.recv(4096)
                if not more:
                    return False
                said += more
            told = msgspec.json.decode(said.removeprefix(b"INFO "))
            return bool(told.get("server_name") == name)
    except (OSError, msgspec.DecodeError):
        return False


def _port(kept: Path) -> int:
    """The one of the last time, the usual one, or any that is free. Raises StartError."""
    last = []
    with contextlib.suppress(OSError, ValueError):
        last = [int(kept.read_text("ascii"))]
    for port in (*last, USUAL, *random.sample(OTHERS, TRIES)):
        with socket.socket() as probe, contextlib.suppress(OSError, OverflowError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            kept.write_text(f"{port}\n", encoding="ascii")
            return port
    raise StartError(f"no free port was found on {HOST} for NATS")
