"""What a Frigate source costs: messages per second of processor time, from a real broker to a hub's
socket, 200 cameras on one source.

The floor is a bare paho subscriber that decodes the same JSON and does nothing with it. Rounds of
both alternate; the same messages go to each, at QoS 1, as fast as the broker hands them out. The
source maps, journals with fsync, spools, acknowledges, and sends to a socket that acks at once.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from actors.core.errors import ConfigError, Unavailable
from actors.core.messages.edge_protocol import (
    SUBPROTOCOL_MSGPACK,
    Ack,
    FromEdge,
    Hello,
    ObserveRaw,
    Welcome,
)
from load_tests.harness.results import Measured, spread

CAMERAS = 200
ROUNDS = 5
UPDATES = 30  # messages of each camera in a round
WARM = 2  # and before it
CREDITS = 4_096
START = 1_790_000_000.0
WITHIN_S = 120.0
TICKS = os.sysconf("SC_CLK_TCK")


def run(seed: int, *, rounds: int = ROUNDS, updates: int = UPDATES) -> Measured:
    """About a minute. Raises ConfigError without a Mosquitto."""
    return asyncio.run(_run(rounds, updates))


async def _run(rounds: int, updates: int) -> Measured:
    own: list[float] = []
    plain: list[float] = []
    with tempfile.TemporaryDirectory(prefix="eyrie-bench-") as name:
        folder = Path(name)
        async with _broker(folder) as port, _Hub() as hub:
            for number in range(rounds):
                for which in (0, 1) if number % 2 == 0 else (1, 0):
                    if which:
                        plain.append(await _floor(port, number, updates))
                    else:
                        own.append(await _source(folder, port, hub, number, updates))
    ratios = [ours / theirs for ours, theirs in zip(own, plain, strict=True)]
    return Measured(
        {
            "cameras": CAMERAS,
            "messages": CAMERAS * updates,
            "message_bytes": len(messages(0, 1)[0]),
            "source_messages_per_cpu_s": spread([round(value) for value in own]),
        },
        {"subscriber_messages_per_cpu_s": spread([round(value) for value in plain])},
        {"source_vs_subscriber": round(spread(ratios).median, 3)},
    )


def messages(number: int, updates: int) -> list[bytes]:
    """The events of a round: one object a camera, that moves at each update. Every round has
    objects and times of its own."""
    made = []
    for update in range(updates):
        for camera in range(CAMERAS):
            left = 100 + (update * 17) % 900
            seen = {
                "id": f"{number}-{camera}",
                "camera": f"cam{camera}",
                "frame_time": START + number * 100 + update * 0.2,
                "snapshot": {
                    "frame_time": START,
                    "box": [left, 200, left + 90, 400],
                    "area": 18000,
                },
                "label": "person",
                "sub_label": None,
                "top_score": 0.91,
                "false_positive": False,
                "start_time": START + number * 100,
                "end_time": None,
                "score": 0.83,
                "box": [left, 200, left + 90, 400],
                "area": 18000,
                "ratio": 0.45,
                "region": [0, 0, 640, 640],
                "current_zones": ["yard"],
                "entered_zones": ["yard"],
                "thumbnail": None,
                "has_snapshot": False,
                "has_clip": False,
                "active": True,
                "stationary": False,
                "motionless_count": 0,
                "position_changes": update,
                "attributes": {},
                "current_attributes": [],
            }
            kind = "new" if update == 0 else "end" if update == updates - 1 else "update"
            if kind == "end":
                seen["end_time"] = seen["frame_time"]
            made.append(msgspec.json.encode({"type": kind, "before": seen, "after": seen}))
    return made


async def _source(folder: Path, port: int, hub: "_Hub", number: int, updates: int) -> float:
    """Messages per processor second of the product."""
    status, spool = folder / "status.json", folder / f"source-{number}"
    config = folder / "config.json"
    size = {"detect": {"width": 1280, "height": 720}}
    config.write_bytes(msgspec.json.encode({"cameras": {f"cam{n}": size for n in range(CAMERAS)}}))
    status.unlink(missing_ok=True)
    arguments = [
        *("source", "frigate", "--broker", f"mqtt://127.0.0.1:{port}", "--hub", hub.url),
        *("--folder", str(spool), "--config", str(config), "--status", str(status)),
        *("--settle-s", "0", "--client-id", f"bench-{number}"),
    ]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edge", *arguments), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _until(lambda: status.exists() and b'"online"' in status.read_bytes())
        start = hub.observations
        await _publish(port, messages(2 * number, WARM))  # every camera is open
        await _until(lambda: hub.observations >= start + CAMERAS * WARM)
        wanted = hub.observations + CAMERAS * updates
        before = _processor_s(process.pid)
        await _publish(port, messages(2 * number + 1, updates))
        await _until(lambda: hub.observations >= wanted)
        return CAMERAS * updates / (_processor_s(process.pid) - before)
    finally:
        process.terminate()
        await process.wait()


async def _floor(port: int, number: int, updates: int) -> float:
    """Messages per processor second of the bare subscriber."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "load_tests.benches.sources_floor", str(port), "frigate/events"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WITHIN_S):
            await process.stdout.readline()
            await _publish(port, messages(2 * number, WARM))
            count = 0
            while count < CAMERAS * WARM:
                count = int(await process.stdout.readline())
            before = _processor_s(process.pid)
            await _publish(port, messages(2 * number + 1, updates))
            while count < CAMERAS * (WARM + updates):
                count = int(await process.stdout.readline())
        return CAMERAS * updates / (_processor_s(process.pid) - before)
    finally:
        process.terminate()
        await process.wait()


async def _publish(port: int, payloads: list[bytes]) -> None:
    """All of them in order, at QoS 1; returns when the broker has them."""
    client = Client(CallbackAPIVersion.VERSION2, client_id="bench-publisher")
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        sent = [client.publish("frigate/events", payload, qos=1) for payload in payloads]
        for one in sent:
            await asyncio.to_thread(one.wait_for_publish, WITHIN_S)
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)


def _processor_s(pid: int) -> float:
    """Processor time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.02)


class _Hub:
    """A socket that speaks ``/v1/edge`` and acks at once."""

    def __init__(self) -> None:
        self.observations = 0
        self.url = ""
        self._running = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "_Hub":
        server = await self._running.enter_async_context(
            serve(
                self._serve,
                "127.0.0.1",
                0,
                subprotocols=[SUBPROTOCOL_MSGPACK],  # type: ignore[list-item]
                compression=None,
                ping_interval=None,
            )
        )
        port = next(iter(server.sockets)).getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}/v1/edge"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._running.aclose()

    async def _serve(self, connection: ServerConnection) -> None:
        decoder = msgspec.msgpack.Decoder(FromEdge)
        encode = msgspec.msgpack.encode
        with contextlib.suppress(ConnectionClosed):
            async for frame in connection:
                assert isinstance(frame, bytes)
                match decoder.decode(frame):
                    case Hello(camera=camera, session=session):
                        welcome = Welcome(camera, session, 1, CREDITS, 4.0, datetime.now(UTC))
                        await connection.send(encode(welcome))
                    case ObserveRaw(camera=camera, first_seq=first, observations=seen):
                        self.observations += len(seen)
                        last = first + len(seen) - 1
                        await connection.send(encode(Ack(camera, last, CREDITS)))


@asynccontextmanager
async def _broker(folder: Path) -> AsyncIterator[int]:
    """The port of a Mosquitto of our own."""
    path = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"
    binary = os.environ.get("MOSQUITTO_BINARY") or shutil.which("mosquitto", path=path)
    if binary is None:
        raise ConfigError("there is no Mosquitto", hint="apt-get install mosquitto")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 1000000\n"
    )
    process = await asyncio.create_subprocess_exec(
        binary,
        "-c",
        str(config),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _until(lambda: _answers(port))
        if process.returncode is not None:
            raise Unavailable("Mosquitto ended at once")
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
