"""docs/sources/mqtt.md, as it stands there."""

import asyncio
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from actors.core.times import rfc3339
from tests.support.servers.edge_server import EdgeServer
from tests.support.servers.frigate import SimulatedFrigate
from tests.support.servers.mosquitto import mosquitto
from tests.support.sources.running import arrived
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "sources" / "mqtt.md").read_text(encoding="utf-8")
START_US = 1_790_000_000_000_000


def blocks(kind: str) -> list[str]:
    """The blocks of the page of that kind."""
    return re.findall(rf"^```\w+ {kind}\n(.+?)\n```$", TEXT, re.MULTILINE | re.DOTALL)


async def start(words: Sequence[str], folder: Path) -> asyncio.subprocess.Process:
    """A command of the page."""
    assert words[0] == "eyrie-edge"
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edge", *words[1:]),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONPATH": str(ROOT)},
    )


async def test_the_mapping_shows_what_the_page_shows(tmp_path: Path) -> None:
    (mapping,), (sample,), (shown,) = map(blocks, ("mqtt-mapping", "mqtt-sample", "mqtt-shown"))
    (tmp_path / "vendor.toml").write_text(mapping)
    (tmp_path / "sample.json").write_text(sample)
    tried = await start(shlex.split(blocks("mqtt-source")[1]), tmp_path)
    out, _ = await asyncio.wait_for(tried.communicate(), 60)
    assert tried.returncode == 0
    assert msgspec.json.decode(out) == msgspec.json.decode(shown)


async def test_the_axis_command_brings_a_camera_in_over_a_kill(tmp_path: Path) -> None:
    (tmp_path / "edge.token").write_text("token\n")
    async with mosquitto(tmp_path) as broker, EdgeServer() as hub:
        command = blocks("mqtt-source")[0]
        command = command.replace("mqtt://broker:1883", f"mqtt://127.0.0.1:{broker.port}")
        command = command.replace("ws://eyrie:8000/v1/edge", hub.url) + " --status status.json"
        camera = SimulatedFrigate(broker.port, "axis")
        await camera.start()
        source = await start(shlex.split(command), tmp_path)
        await until(lambda: is_online(tmp_path), within_s=60, what="the subscription")
        for index in range(60):
            if index == 30:
                source.kill()
                await source.wait()
                source = await start(shlex.split(command), tmp_path)
            await camera.say(("B8A44F000000/axis.scene.frame_v1", frame(index)))
        try:
            await until(lambda: len(arrived(hub, "gate")) >= 60, within_s=60, what="the frames")
        finally:
            source.terminate()
            assert await asyncio.wait_for(source.wait(), 60) == 0
        assert arrived(hub, "gate") == sorted(arrived(hub, "gate"), key=lambda seen: seen.time)
        assert len({seen.time for seen in arrived(hub, "gate")}) == len(arrived(hub, "gate")) == 60
        await camera.stop()


def is_online(folder: Path) -> bool:
    """Whether the status file says so."""
    path = folder / "status.json"
    return path.exists() and b'"state": "online"' in path.read_bytes()


def frame(index: int) -> bytes:
    """A frame of an Axis camera, ten a second."""
    box = {"left": 0.1, "top": 0.2, "right": 0.3 + index / 100, "bottom": 0.4}
    seen = {"track_id": "1", "bounding_box": box}
    moment = rfc3339(START_US + index * 100_000)
    return msgspec.json.encode({"observations": [seen], "timestamp": moment})
