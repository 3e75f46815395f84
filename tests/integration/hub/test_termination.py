"""SIGTERM to the process of a hub that serves, with its loop in a thread beside the main one, as
Ray runs it."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.support.cluster.product import ROOT

HUB = """
import asyncio, json, signal, sys, threading
from pathlib import Path
from hub.termination import Termination
from tests.support.hub.hub import running_hub

async def serve(folder, hangs, termination):
    async with running_hub(folder) as hub:
        async def drain():
            if hangs:
                await asyncio.Event().wait()
            await hub.hub.stop(2.0)
            return True

        termination.arm()
        termination.serve("hub-0", drain, 3.0 if hangs else 60.0)
        while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # the main thread has not come to it yet
            await asyncio.sleep(0.001)
        print(json.dumps({"port": hub.port, "token": hub.token()}), flush=True)
        await asyncio.Event().wait()

arguments = (Path(sys.argv[1]), sys.argv[2] == "hangs", Termination())
loop = threading.Thread(target=lambda: asyncio.run(serve(*arguments)), daemon=True)
loop.start()
while True:
    loop.join(0.01)
"""  # noqa: E501


@contextmanager
def hub(folder: Path, how: str) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    command = [sys.executable, "-c", HUB, str(folder), how]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


async def closed_by(
    process: "subprocess.Popen[str]", told: dict[str, Any]
) -> tuple[int | None, str | None]:
    """How a dashboard is closed by a SIGTERM, or by two of them."""
    async with connect(
        f"ws://127.0.0.1:{told['port']}/connection/websocket", compression=None
    ) as socket:
        await socket.send(json.dumps({"id": 1, "connect": {"token": told["token"]}}))
        assert "client" in json.loads(await socket.recv())["connect"]
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(socket.wait_closed(), 60)
        return socket.close_code, socket.close_reason


def test_a_hub_that_is_told_sigterm_sends_its_dashboards_elsewhere_and_ends(tmp_path: Path) -> None:
    with hub(tmp_path, "drains") as (process, told):
        code, reason = asyncio.run(closed_by(process, told))
        assert code == 3001
        assert (reason or "").startswith("shutdown; reconnect_after_ms=")
        assert process.wait(60) == 0


@pytest.mark.timeout(120)
def test_one_that_cannot_drain_ends_all_the_same(tmp_path: Path) -> None:
    with hub(tmp_path, "hangs") as (process, _told):
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 1
