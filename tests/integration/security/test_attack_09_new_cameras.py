"""A camera that is new is hidden from open walls and events until policy has been asked about it (attack 9): not even for a moment."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from tests.support.hub import Dash, TestHub, running_hub
from tests.support.real_policy import real_policy

CHANNELS = ("site:north", "fleet", "events:site:north", "events:fleet")


async def everything(dash: Dash, *, until: str) -> str:
    """What is pushed on every channel until all of them have told of the camera `until`."""
    told, left = [], set(CHANNELS)
    while left:
        push = await dash.push()
        told.append(json.dumps(push))
        if f'"{until}"' in told[-1]:
            left.discard(push["channel"])
    return "\n".join(told)


async def happens(hub: TestHub, times: int) -> None:
    """Two cameras are new at the same moment, the hidden one first, and both are live at once."""
    await hub.register("vault", tags=["restricted"])
    await hub.register("yard")
    for number in range(1, times + 1):
        for camera in ("vault", "yard"):
            await hub.show(camera, number)
            await hub.happen(camera, number)
        await asyncio.sleep(0)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["together", "apart"])
async def test_attack_09_a_new_camera_is_hidden_from_who_watches_already(tmp_path: Path, *, elsewhere: bool) -> None:
    async with running_hub(tmp_path, decider=real_policy()) as hub:
        await hub.register("gate")
        await hub.show("gate", 1)
        await hub.happen("gate", 1)
        token, trusted = hub.token("anna"), hub.token("tom", scopes=["pii:read", "restricted:read"])
        async with hub.dashboard(token) as dash, hub.dashboard(trusted if elsewhere else token) as other:
            for one in (dash, other):
                for channel in CHANNELS:
                    answer = await one.ask("subscribe", channel=channel)
                    assert "error" not in answer
            await happens(hub, 5)
            assert "vault" not in await everything(dash, until="yard")
            if elsewhere:
                assert "vault" in await everything(other, until="vault")


async def test_attack_09_no_event_of_a_new_camera_is_lost_or_told_twice(tmp_path: Path) -> None:
    async with running_hub(tmp_path, decider=real_policy()) as hub:
        await hub.register("gate")
        await hub.happen("gate", 1)
        async with hub.dashboard(hub.token("tom", scopes=["pii:read", "restricted:read"])) as dash:
            for channel in ("events:site:north", "events:fleet"):
                await dash.ask("subscribe", channel=channel)
            await happens(hub, 20)
            await hub.happen("gate", 2)
            found: dict[str, list[tuple[str, int]]] = {"events:site:north": [], "events:fleet": []}
            while any(len(told) < 41 for told in found.values()):
                push = await dash.push()
                found[push["channel"]].append((push["pub"]["data"]["camera"], push["pub"]["data"]["offset"]))
            expected = [(camera, number) for number in range(1, 21) for camera in ("vault", "yard")] + [("gate", 2)]
            for channel, told in found.items():
                assert told == expected, channel


async def test_attack_09_reads_show_and_count_no_camera_that_is_newer_than_what_policy_was_asked_about(tmp_path: Path) -> None:
    """What a hub remembers of a site and of the fleet is of different ages: for neither is something shown that only the other knows."""
    async with running_hub(tmp_path, decider=real_policy()) as hub:
        await hub.register("gate")
        headers = {"authorization": f"Bearer {hub.token('anna')}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", headers=headers, timeout=30) as http:
            for first, then in (
                ("/v1/fleet/state", "/v1/sites"),
                ("/v1/sites", "/v1/fleet/state"),
                ("/v1/fleet/state", "/v1/sites/north/state"),
            ):
                assert "gate" in (await http.get("/v1/fleet/state")).text
                hub.hub.node.cameras.forget("", "north")
                await http.get(first)
                camera = f"vault-{first[4:].replace('/', '-')}-{len(then)}"
                await hub.register(camera, tags=["restricted"])
                for path in (then, "/v1/fleet/state", "/v1/sites", "/v1/sites/north/state"):
                    told = (await http.get(path)).text
                    assert "vault" not in told
                    assert path != "/v1/sites" or '"cameras":1' in told
