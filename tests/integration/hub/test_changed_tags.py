"""A camera's changed tags reach who watches it, its site's wall, the fleet's and their events; a
review that fails harms only its own."""

from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from hub.access import registry_cache
from hub.fanout import registry_sync
from tests.support.hub.hub import Dash, running_hub


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_sync, "COMPARE_S", 0.05)
    monkeypatch.setattr(registry_cache, "KEPT_S", 0.05)


async def unsubscribed(dash: Dash) -> dict[str, Any]:
    while True:
        push = await dash.push()
        if "unsubscribe" in push:
            return push


@pytest.mark.parametrize("channel", ["camera:cam-1", "events:camera:cam-1"])
async def test_check_27_who_may_not_watch_it_any_more_is_unsubscribed(
    tmp_path: Path, channel: str
) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1", "cam-2")
        async with hub.dashboard() as dash:
            await dash.ask("subscribe", channel="camera:cam-2")
            assert "error" not in await dash.ask("subscribe", channel=channel)
            await hub.memory.registry.update_camera("cam-1", name="", tags=["secret"])
            push = await unsubscribed(dash)
            assert (push["channel"], push["unsubscribe"]["code"]) == (channel, 2502)
            told = (await dash.ask("subscribe", channel=channel))["error"]
            assert (told["code"], told["temporary"]) == (102, True), (
                "it is as if it were not there, and may come back"
            )
            await hub.memory.registry.remove_camera("cam-1")
            deleted = await dash.ask("subscribe", channel=channel)
            assert deleted["error"] == told, (
                "who saw it before does not learn whether it is hidden or deleted"
            )
            await hub.show("cam-2", 2)
            assert (await dash.publication())["data"]["camera"] == "cam-2"


@pytest.mark.parametrize("channel", ["site:north", "fleet"])
async def test_check_27_a_wall_loses_and_gains_it(tmp_path: Path, channel: str) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1", "cam-2")
        await hub.show("cam-1", 1)
        await hub.show("cam-2", 1)
        async with hub.dashboard() as dash:
            await dash.ask("subscribe", channel=channel)
            for tags, seen in ((["secret"], ["cam-2"]), ([], ["cam-1", "cam-2"])):
                await hub.memory.registry.update_camera("cam-1", name="", tags=tags)
                while True:
                    wall = (await dash.publication())["data"]
                    if (
                        wall["full"]
                        and sorted(camera["camera"] for camera in wall["cameras"]) == seen
                    ):
                        break


async def test_check_27_a_new_camera_with_a_tag_is_not_shown(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        async with hub.dashboard() as dash:
            await dash.ask("subscribe", channel="events:site:north")
            group: dict[str, Any] = next(iter(hub.dashboards)).groups
            assert not group["events:site:north"].key[1].exclude
            await hub.register("cam-9", tags=["secret"])
            while "cam-9" not in group["events:site:north"].key[1].exclude:
                await dash.ask("history", channel="events:site:north", limit=1)


async def test_a_review_that_fails_closes_its_own_dashboard_and_no_other(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        async with hub.dashboard() as first, hub.dashboard(hub.token("bob")) as second:
            for dash in (first, second):
                await dash.ask("subscribe", channel="camera:cam-1")
            hub.policy.broken = RuntimeError("a mistake of ours")
            hub.policy.denied = {("subscribe", "cam-1")}
            hub.hub.policy_changed("r2")
            assert (await unsubscribed(second))["unsubscribe"]["code"] == 2502
            with pytest.raises(ConnectionClosed):
                await first.push()
            assert hub.hub.node.tasks.failed == ""
