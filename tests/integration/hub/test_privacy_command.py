"""``eyrie privacy attributes``: which names of attributes are seen and on no list; names and kinds,
never a value."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from cluster.cli.main import main
from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.real_policy import real_policy

CANARY = "CANARY 77"


async def ask(hub: TestHub, folder: Path, token: str, *options: str) -> int:
    file = folder / "token"
    await asyncio.to_thread(file.write_text, token)
    asked = [
        "privacy",
        "attributes",
        "--url",
        f"http://127.0.0.1:{hub.port}",
        "--token-file",
        str(file),
        "--data-dir",
        str(folder / "none"),
    ]
    return await asyncio.to_thread(main, [*asked, *options])


async def fill(hub: TestHub) -> None:
    await hub.register("gate")
    await hub.register("dock", site="south")
    track = {
        "id": "t",
        "label": "car",
        "score": 1,
        "box": [0, 0, 1, 1],
        "current_zones": [],
        "stationary": False,
    }
    await hub.show(
        "gate",
        1,
        tracks=[
            track | {"sub_label": CANARY, "attributes": {"matricula": CANARY, "colour": "red"}}
        ],
    )
    for offset in (1, 2):
        data: dict[str, Any] = {
            "Kennzeichen": CANARY,
            "plate": CANARY,
            "box_count": 3,
            "speed": 4,
            "deep": {"axles": 2},
        }
        await hub.happen("gate", offset, type="alarm.seen", data={"text": CANARY, "data": data})
    await hub.happen("dock", 1, site="south", type="alarm.seen", data={"data": {"tonnage": 7.5}})
    await hub.happen("gate", 3, data={"nothing_of_ours_is_listed": 1})


@pytest.mark.asyncio
async def test_the_names_that_no_list_knows_are_listed_without_a_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_hub(tmp_path, decider=real_policy()) as hub:
        await fill(hub)
        reader = hub.token("anna", scopes=["pii:read"])
        assert await ask(hub, tmp_path, reader, "--json") == 0
        told = capsys.readouterr().out
        found = {row["name"]: (row["count"], row["kind"]) for row in json.loads(told)["attributes"]}
        assert found == {
            "Kennzeichen": (2, "text"),
            "box_count": (2, "number"),
            "deep": (2, "object"),
            "axles": (2, "number"),
            "tonnage": (1, "number"),
            "matricula": (1, "text"),
        }
        assert CANARY not in told
        assert await ask(hub, tmp_path, reader, "--site", "south") == 0
        told = capsys.readouterr().out
        assert 'shown_attributes = ["tonnage"]' in told
        assert "Kennzeichen" not in told
        assert await ask(hub, tmp_path, reader, "--json", "--events", "1", "--cameras", "0") == 0
        assert json.loads(capsys.readouterr().out)["events"] == 1


@pytest.mark.asyncio
async def test_who_may_not_see_every_class_is_told_no_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_hub(tmp_path, decider=real_policy()) as hub:
        await fill(hub)
        assert await ask(hub, tmp_path, hub.token("bob")) == 1
        told = capsys.readouterr()
        assert "pii:read" in told.err
        assert "Kennzeichen" not in told.out + told.err
        assert await ask(hub, tmp_path, hub.token("bob"), "--events", "999999") == 2
