"""The wheel `eyrie-edge`, installed alone into an empty environment, streams to a hub's socket:
without Ray, without a server."""

import asyncio
import json
import os
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.servers.edge_server import EdgeServer
from tools.build_edge_wheel import build

# What the page of the client tells, as a program of somebody who has nothing else.
PROGRAM = """
import importlib, json, pkgutil, sys
from datetime import UTC, datetime
from actors.core.messages.observations import Alarm, Object, Observation
from edge.blocking import BlockingEdgeClient

with BlockingEdgeClient(sys.argv[1], "token", spool=None) as client:
    camera = client.open("gate-1")
    camera.send(Observation(datetime.now(UTC), [Object("person", (0.4, 0.3, 0.5, 0.8), id="17")]))
    camera.send(Observation(datetime.now(UTC), alarm=Alarm("button")))
    camera.drain(30)
    committed = camera.account().committed

import edge
extras = ("edge.signing", "edge.examples.signed_post", "edge.__main__", *(f"edge.sources.{name}" for name in ("command", "mqtt", "onvif.device", "onvif.pullpoint", "options", "runner", "running")))
modules = [name for _, name, _ in pkgutil.walk_packages(edge.__path__, "edge.") if name not in extras]
for name in modules:
    importlib.import_module(name)
missing = []
for name in ("hub", "storage", "policy", "cluster", "ray", "actors.camera_actor"):
    try:
        importlib.import_module(name)
    except ImportError:
        missing.append(name)
print(json.dumps({"committed": committed, "modules": len(modules), "missing": missing, "where": edge.__file__}))
"""  # noqa: E501


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel, msgspec and websockets."""
    folder = tmp_path_factory.mktemp("alone")
    wheel = build(folder)
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder / "venv")
    made = folder / "venv" / "bin" / "python"
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(made),
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
        "--no-deps",
    ]
    subprocess.run([*command, str(wheel)], check=True, timeout=100)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    for name in ("msgspec", "websockets"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (packages / name).symlink_to(Path(spec.origin).parent)
    return made


async def test_it_streams_alone(python: Path, tmp_path: Path) -> None:
    async with EdgeServer() as server:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        program = await asyncio.create_subprocess_exec(
            python, "-c", PROGRAM, server.url, stdout=asyncio.subprocess.PIPE, cwd=tmp_path, env=env
        )
        out, _ = await asyncio.wait_for(program.communicate(), 60)
    assert program.returncode == 0
    told = json.loads(out)
    assert told["committed"] == 2
    assert told["modules"] > 20
    assert told["missing"] == ["hub", "storage", "policy", "cluster", "ray", "actors.camera_actor"]
    assert str(python.parents[1]) in told["where"]


def test_it_asks_for_what_it_imports_and_no_more(python: Path) -> None:
    (info,) = python.parents[1].glob("lib/python*/site-packages/eyrie_edge-*.dist-info")
    asked = [
        line.removeprefix("Requires-Dist: ")
        for line in (info / "METADATA").read_text().splitlines()
        if line.startswith("Requires-Dist")
    ]
    assert sorted(line.partition(">")[0] for line in asked if "extra" not in line) == [
        "msgspec",
        "websockets",
    ]
    assert sorted(line.partition(">")[0] for line in asked if "extra" in line) == [
        "cryptography",
        "http-message-signatures",
        "paho-mqtt",
    ]
