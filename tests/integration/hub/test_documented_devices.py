"""What the pages tell a device to send, sent as it is written there, to a hub with a real actor
behind it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect

from actors.core.messages.edge_protocol import SUBPROTOCOL_JSON
from actors.core.messages.observations import Observation
from actors.core.settings import CameraSettings, HubSettings
from tests.support.doubles.local_actor import local_actor
from tests.support.doubles.stores import memory_stores
from tests.support.hub.hub import TestHub, running_hub

DOCS = Path(__file__).resolve().parents[3] / "docs"
ANY = "\N{HORIZONTAL ELLIPSIS}"


def block(page: str, name: str) -> str:
    """The fenced block whose fence ends in `name`."""
    text = (DOCS / page).read_text(encoding="utf-8")
    (found,) = re.findall(rf"^```(?:\w+ )?{name}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


def like(told: Any, said: Any) -> bool:
    """Whether `said` is what the page tells; an ellipsis there stands for any value."""
    if isinstance(told, dict):
        return (
            isinstance(said, dict)
            and told.keys() == said.keys()
            and all(like(told[name], said[name]) for name in told)
        )
    return bool(told in (ANY, said))


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[TestHub]:
    memory = memory_stores()
    settings = CameraSettings(commit_interval_s=0.05)
    async with (
        local_actor(memory, settings) as actor,
        running_hub(
            tmp_path, memory=memory, directory=actor, hub=HubSettings(port=0), camera=settings
        ) as running,
    ):
        await running.register("gate-1")
        yield running


def edge_token(hub: TestHub) -> str:
    return hub.token(sub="gate-box", typ="edge", roles=[], sites=["north"])


async def test_the_exchange_in_json(hub: TestHub) -> None:
    headers = {"Authorization": f"Bearer {edge_token(hub)}"}
    url = f"ws://127.0.0.1:{hub.port}/v1/edge"
    async with connect(
        url,
        subprotocols=[SUBPROTOCOL_JSON],  # type: ignore[list-item]
        additional_headers=headers,
        proxy=None,
    ) as socket:
        for line in block("protocols.md", "edge-json").splitlines():
            way, text = line[0], line[1:].replace(ANY, f'"{ANY}"')
            if way == "\N{RIGHTWARDS ARROW}":
                await socket.send(text)
                continue
            async with asyncio.timeout(30):
                while (said := json.loads(await socket.recv()))["type"] in (
                    "ping",
                    "pong",
                ) or said.get("seq", 2) < 2:
                    pass
            assert like(json.loads(text), said), (text, said)
    assert (await happened(hub))[0] == "camera.online"


async def happened(hub: TestHub) -> list[str]:
    """The types of the events of the camera, in order."""
    async with httpx.AsyncClient(timeout=30) as http:
        url = f"http://127.0.0.1:{hub.port}/v1/cameras/gate-1/events"
        found = (
            (await http.get(url, headers={"Authorization": f"Bearer {hub.token()}"}))
            .raise_for_status()
            .json()
        )
    return [event["type"] for event in found["events"]]


def run(code: str, **names: Any) -> dict[str, Any]:
    """A program of a page."""
    exec(compile(code, "page", "exec"), names)
    return names


async def test_the_exchange_in_messagepack(hub: TestHub) -> None:
    code = block("protocols.md", "edge-msgpack")
    left = await asyncio.to_thread(
        run, code, url=f"ws://127.0.0.1:{hub.port}", token=edge_token(hub)
    )
    assert left["answer"]["seq"] == left["sent"] == 1


async def test_the_post(hub: TestHub) -> None:
    head, _, body = block("protocols.md", "edge-http").partition("\n\n")
    (method, path, _), *lines = (line.split(maxsplit=2) for line in head.splitlines())
    headers = {name.rstrip(":"): value for name, value, *_ in lines if name != "Host:"} | {
        "Authorization": f"Bearer {edge_token(hub)}"
    }
    async with httpx.AsyncClient(timeout=30) as http:
        answer = await http.request(
            method, f"http://127.0.0.1:{hub.port}{path}", headers=headers, content=body
        )
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"session": "boot-93d0", "seq": 2, "rejected": []}
    assert "alarm.button" in await happened(hub)


async def test_the_client(
    hub: TestHub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    await asyncio.to_thread(
        run,
        block("edge-client.md", "edge-client"),
        url=f"ws://127.0.0.1:{hub.port}",
        token=edge_token(hub),
    )
    assert "committed=2" in capsys.readouterr().out
    assert "alarm.button" in await happened(hub)


def test_the_observation_that_is_shown_is_one() -> None:
    text = (DOCS / "protocols.md").read_text(encoding="utf-8")
    shown = (
        text[text.index("### What an observation is") :].partition("    {")[2].partition("\n\n")[0]
    )
    found = msgspec.json.decode(f"{{{shown}", type=Observation)
    assert found.objects is not None
    assert found.alarm is not None
    assert (found.objects[0].id, found.objects[0].attributes, found.alarm.track) == (
        "17",
        {"hat": True, "colour": "red"},
        "17",
    )
