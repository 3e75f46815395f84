"""`eyrie replay` of cameras that nobody registered: asked on a terminal, `--site` elsewhere;
otherwise nothing is registered or sent."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.core.settings import CameraSettings, DataSettings, HubSettings, Settings
from cluster.cli.main import main
from storage.embedded import data_dir
from storage.process.settings_files import write_resolved
from tests.support.cluster.terminal import answering
from tests.support.doubles.local_actor import local_actor
from tests.support.doubles.stores import memory_stores
from tests.support.hub.hub import TestHub, running_hub


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[TestHub]:
    """A hub that commands find by the data directory ``data``."""
    memory = memory_stores()
    settings = CameraSettings(commit_interval_s=0.05)
    async with (
        local_actor(memory, settings) as actor,
        running_hub(
            tmp_path, memory=memory, directory=actor, hub=HubSettings(port=0), camera=settings
        ) as running,
    ):
        found = Settings(
            data=DataSettings(dir=str(tmp_path / "data")),
            auth=running.auth,
            hub=HubSettings(port=running.port),
        )
        path = data_dir.of(found).settings_file
        path.parent.mkdir(parents=True, exist_ok=True)
        write_resolved(path, found)
        yield running


def recording(folder: Path, name: str) -> Path:
    """Ten empty frames of the camera `name`."""
    path = folder / f"{name}.ndjson"
    path.write_text(
        "".join(
            json.dumps({"time": f"2026-01-01T00:00:{second:02d}Z", "objects": []}) + "\n"
            for second in range(10)
        )
    )
    return path


def command(folder: Path, name: str, *more: str) -> list[str]:
    return [
        "replay",
        str(recording(folder, name)),
        "--format",
        "ndjson",
        "--speed",
        "max",
        "--data-dir",
        str(folder / "data"),
        *more,
    ]


async def sites(hub: TestHub) -> dict[str, str]:
    """camera → site, of what is registered."""
    return {record.camera: record.site for record in await hub.memory.registry.cameras()}


async def test_where_nobody_can_be_asked_it_is_refused_and_nothing_is_left(
    hub: TestHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(main, command(tmp_path, "lane-4")) == 2
    said = capsys.readouterr().err
    assert "1 camera (lane-4) is" in said
    assert "--site" in said
    assert (await sites(hub), await hub.memory.registry.sites()) == ({}, [])


async def test_a_named_site_gets_what_is_new_and_what_is_known_stays(
    hub: TestHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        await asyncio.to_thread(main, command(tmp_path, "lane-4", "--site", "garage", "--json"))
        == 0
    )
    assert json.loads(capsys.readouterr().out)["committed"] == 10
    assert await sites(hub) == {"lane-4": "garage"}
    (record,) = await hub.memory.registry.cameras()
    assert not record.auto_registered, "somebody has said so"
    await hub.register("lane-5")
    assert await asyncio.to_thread(main, command(tmp_path, "lane-5", "--json")) == 0, (
        "a registered camera needs no site"
    )
    assert await asyncio.to_thread(main, command(tmp_path, "lane-4", "--site", "UPPER")) == 0, (
        "nothing is registered: no site is needed"
    )
    assert await asyncio.to_thread(main, command(tmp_path, "lane-6", "--site", "UPPER")) == 2
    assert await sites(hub) == {"lane-4": "garage", "lane-5": "north"}


async def test_on_a_terminal_it_asks(hub: TestHub, tmp_path: Path) -> None:
    code, shown = await asyncio.to_thread(
        answering, command(tmp_path, "lane-7"), "in which site?", ""
    )
    assert (code, "nobody" in shown or "not registered" in shown) == (2, True), shown
    assert await sites(hub) == {}
    code, shown = await asyncio.to_thread(
        answering, command(tmp_path, "lane-7"), "in which site?", "garage"
    )
    assert code == 0, shown
    assert "registered 1 camera in site garage" in shown
    assert await sites(hub) == {"lane-7": "garage"}
