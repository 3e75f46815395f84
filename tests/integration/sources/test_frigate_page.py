"""docs/sources/frigate.md, as it stands there: its commands, against a real broker."""

import asyncio
import re
import shlex
import sys
import tomllib
from pathlib import Path

from cluster.registry_file import FileCamera
from tests.support.servers.edge_server import EdgeServer
from tests.support.servers.frigate import config, config_server, event, simulated_frigate
from tests.support.servers.mosquitto import mosquitto
from tests.support.sources.running import arrived
from tests.support.waiting import until

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sources" / "frigate.md"


def commands(places: dict[str, str]) -> list[list[str]]:
    """The words of each command of the page, with our `places` for those that it names."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"^```console frigate-source\n(.+?)\n```$", text, re.MULTILINE | re.DOTALL)
    for theirs, ours in places.items():
        assert any(theirs in command for command in found)
        found = [command.replace(theirs, ours) for command in found]
    return [shlex.split(command) for command in found]


async def test_its_commands_bring_a_frigate_in(tmp_path: Path) -> None:
    async with (
        mosquitto(tmp_path) as broker,
        EdgeServer() as hub,
        config_server(config("yard", "gate")) as address,
        simulated_frigate(broker.port) as frigate,
    ):
        propose, run = commands(
            {
                "http://frigate:5000/api/config": address,
                "mqtt://broker:1883": f"mqtt://127.0.0.1:{broker.port}",
                "ws://eyrie:8000/v1/edge": hub.url,
            }
        )
        assert (propose[0], propose[-2:]) == ("eyrie-edge", [">", "home.toml"])
        program = [sys.executable, "-m", "edge"]
        made = await asyncio.create_subprocess_exec(
            *program, *propose[1:-2], cwd=tmp_path, stdout=asyncio.subprocess.PIPE, env=env()
        )
        text, _ = await asyncio.wait_for(made.communicate(), 60)
        cameras = tomllib.loads(text.decode())["cameras"]
        assert {name: set(one["scene"]["zones"]) for name, one in cameras.items()}.keys() == {
            "yard",
            "gate",
        }
        assert set(cameras["yard"]) <= set(FileCamera.__struct_fields__)

        (tmp_path / "edge.token").write_text("token\n")
        with (tmp_path / "source.log").open("wb") as log:
            source = await asyncio.create_subprocess_exec(
                *program, *run[1:], cwd=tmp_path, stderr=log, env=env()
            )
        try:
            await until(lambda: len(hub.hellos) == 2, within_s=60, what="both cameras")
            await frigate.say(event("new", "1-a"))
            await until(lambda: arrived(hub), what="what Frigate says")
            assert hub.headers == ["Bearer token"]
        finally:
            source.terminate()
            assert await asyncio.wait_for(source.wait(), 60) == 0
        assert (tmp_path / "status.json").exists()


def env() -> dict[str, str]:
    """The sources, wherever the command runs."""
    return {"PYTHONPATH": str(PAGE.parents[2])}
