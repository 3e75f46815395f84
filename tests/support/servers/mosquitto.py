"""A real Mosquitto on loopback, that can be ended, killed and started again on the same port with
what it had on disk."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

TRIES = 5  # ports: somebody may take the one that was free
START_S = 30
DEBIAN = "/usr/sbin"  # not on the PATH of everybody


class Mosquitto:
    """One broker. `options` are further lines of its configuration."""

    def __init__(self, binary: str, folder: Path, options: str = "") -> None:
        self.port = 0
        self._binary = binary
        self._folder = folder
        self._options = options
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, or start it again."""
        for _ in range(1 if self.port else TRIES):
            port = self.port or _free()
            config = self._folder / "mosquitto.conf"
            data = self._folder / "mosquitto"
            data.mkdir(exist_ok=True)
            anonymous = "false" if "password_file" in self._options else "true"
            user = "user root\n" if os.getuid() == 0 else ""
            config.write_text(
                f"listener {port} 127.0.0.1\nallow_anonymous {anonymous}\npersistence true\n{user}"
                f"persistence_location {data}/\nmax_queued_messages 100000\n{self._options}\n"
            )
            self._process = await asyncio.create_subprocess_exec(
                self._binary,
                "-c",
                str(config),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            if await self._answers(port):
                self.port = port
                return
        pytest.fail(f"Mosquitto does not answer within {START_S} s")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it; with SIGTERM it writes to disk what it holds."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
            await self._process.wait()

    async def _answers(self, port: int) -> bool:
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                while self._process.returncode is None:
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                        writer.close()
                        return self._process.returncode is None
                    await asyncio.sleep(0.02)
        return False


@asynccontextmanager
async def mosquitto(folder: Path, options: str = "") -> AsyncIterator[Mosquitto]:
    """A started one. Skips where there is none."""
    path = os.environ.get("PATH", "") + os.pathsep + DEBIAN
    binary = os.environ.get("MOSQUITTO_BINARY") or shutil.which("mosquitto", path=path)
    if binary is None:
        pytest.skip("there is no Mosquitto (MOSQUITTO_BINARY)")
    broker = Mosquitto(binary, folder, options)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
