"""A source as a real process, beside a broker and a hub's socket."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from actors.core.messages.observations import Observation
from edge.adapters.readings import RefusedInput
from edge.sources.frigate.mapping import FrigateMapping, FrigateOptions
from edge.sources.frigate.messages import read_config
from edge.sources.receipts import Given, Memory, Receipt
from tests.support.servers.edge_server import EdgeServer
from tests.support.servers.frigate import Step
from tests.support.waiting import until

_body = msgspec.msgpack.Decoder(Observation)


class SourceProcess:
    """``eyrie-edge source frigate`` with its folder, started and ended as often as wanted."""

    def __init__(self, folder: Path, hub: EdgeServer, port: int, config: Path, *more: str) -> None:
        self.status_file = folder / "status.json"
        self._arguments = [
            *("source", "frigate", "--broker", f"mqtt://127.0.0.1:{port}", "--hub", hub.url),
            *("--folder", str(folder / "source"), "--config", str(config), "--settle-s", "0"),
            *("--status", str(self.status_file), *more),
        ]
        self._log = folder / "source.log"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, point: str = "never", number: int = 0) -> None:
        """Start it; it kills itself at the `number`-th time of `point`."""
        self.status_file.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.support.sources.killed", point, str(number), "--"),
                *self._arguments,
                stderr=log,
                env={**os.environ, "EYRIE_TOKEN": "token"},
            )

    async def killed(self) -> None:
        """It has killed itself."""
        assert self.process is not None
        code = await asyncio.wait_for(self.process.wait(), 60)
        assert code == -signal.SIGKILL, self._log.read_text()[-2_000:]

    async def stop(self) -> None:
        """End it cleanly."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
            assert await asyncio.wait_for(self.process.wait(), 60) == 0

    def status(self) -> dict[str, Any]:
        """What it says of itself; empty before it said anything."""
        try:
            return dict(json.loads(self.status_file.read_bytes()))
        except FileNotFoundError:
            return {}

    async def online(self) -> None:
        """It is subscribed."""
        await self.is_at("online")

    async def is_at(self, state: str) -> None:
        """Its broker's state is that."""
        await until(
            lambda: self.status().get("broker", {}).get("state") == state,
            within_s=60,
            what=f"the broker's state {state}",
        )


@asynccontextmanager
async def source_process(
    folder: Path, hub: EdgeServer, port: int, config: Path, *more: str
) -> AsyncIterator[SourceProcess]:
    """One that is not started yet."""
    source = SourceProcess(folder, hub, port, config, *more)
    try:
        yield source
    finally:
        await source.stop()


def expected(
    steps: Sequence[Step], config: bytes, camera: str = "yard", prefix: str = "frigate"
) -> list[Observation]:
    """What the mapping makes of these messages, each delivered once and in order."""
    mapping = FrigateMapping(FrigateOptions(prefix, settle_s=0), Memory())
    mapping.configured(read_config(config))
    found = []
    for topic, payload in steps:
        with contextlib.suppress(RefusedInput):
            for outcome in mapping.receive(Receipt(f"{prefix}/{topic}", payload, 1)):
                if isinstance(outcome, Given) and outcome.source == camera:
                    found.append(outcome.observation)
    return found


def arrived(hub: EdgeServer, camera: str = "yard") -> list[Observation]:
    """What the hub applied of a camera, over all sessions."""
    return [
        _body.decode(body)
        for (name, _), seen in hub.seen.items()
        if name == camera
        for _, body in sorted(seen.applied.items())
    ]
