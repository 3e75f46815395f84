"""Centrifugo itself, as an oracle: what a suite asks of hubs must hold there."""

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

TRIES = 5  # ports: somebody may take the one that was free
START_S = 60


@asynccontextmanager
async def centrifugo(
    folder: Path, config: dict[str, Any], port: int = 0
) -> AsyncIterator[tuple[int, str]]:
    """(port, key of its server API) of one with the sections of `config`, on loopback. Skips where
    there is none."""
    binary = os.environ.get("CENTRIFUGO_BINARY") or shutil.which("centrifugo")
    if binary is None:
        pytest.skip("there is no Centrifugo (CENTRIFUGO_BINARY)")
    key = secrets.token_hex(8)
    path = folder / f"centrifugo-{key}.json"
    for _ in range(TRIES):
        chosen = port or _free()
        own = {
            "http_server": {"address": "127.0.0.1", "port": str(chosen)},
            "http_api": {"key": key},
        }
        path.write_bytes(msgspec.json.encode(config | own))
        process = await asyncio.create_subprocess_exec(
            binary,
            "-c",
            str(path),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            if await _answers(process, chosen, key):
                yield chosen, key
                return
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
    pytest.fail(f"Centrifugo does not answer in {TRIES} tries of {START_S} s")


async def _answers(process: asyncio.subprocess.Process, port: int, key: str) -> bool:
    """Whether it is this one that answers, which its key shows; False when it ended or takes longer
    than `START_S`."""
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": key}
    ) as http:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                while process.returncode is None:
                    with contextlib.suppress(httpx.HTTPError):
                        if (await http.post("/api/info", json={})).status_code == 200:
                            return True
                    await asyncio.sleep(0.05)
    return False


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
