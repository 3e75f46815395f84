"""Walls follow the registry: a new camera appears, a deleted one disappears."""

from pathlib import Path

import pytest

from hub.access import registry_cache
from hub.fanout import registry_sync
from storage.ports.registry import CameraRecord
from tests.integration.hub.test_registry import client
from tests.support.hub.hub import running_hub


@pytest.mark.parametrize("channel", ["site:north", "fleet"])
async def test_a_wall_gains_and_loses_cameras(
    tmp_path: Path, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_sync, "COMPARE_S", 0.05)
    monkeypatch.setattr(registry_cache, "KEPT_S", 0.05)
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1", "cam-2")
        await hub.show("cam-1", 1)
        async with hub.dashboard() as dash, client(hub) as http:
            await dash.ask("subscribe", channel=channel)
            await dash.ask("subscribe", channel="camera:cam-1")
            await hub.register("cam-3")
            fresh = (await dash.publication())["data"]
            assert (fresh["full"], [camera["camera"] for camera in fresh["cameras"]]) == (
                False,
                ["cam-3"],
            )
            assert (
                await http.delete("/v1/cameras/cam-1", headers={"if-match": "*"})
            ).status_code == 204
            pushes = [await dash.push(), await dash.push()]
            whole = next(push["pub"]["data"] for push in pushes if "pub" in push)
            assert (whole["full"], [camera["camera"] for camera in whole["cameras"]]) == (
                True,
                ["cam-2", "cam-3"],
            )
            assert (
                next(push for push in pushes if "unsubscribe" in push)["channel"] == "camera:cam-1"
            )
            assert (await dash.ask("subscribe", channel="camera:cam-1"))["error"]["code"] in (
                102,
                103,
            )
            assert (await http.get("/v1/cameras")).json()["cameras"][0]["camera"] == "cam-2"


async def test_a_site_given_up_while_it_is_compared_is_not_known_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its cameras turn stale unheard, and the next wall begins with them."""
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        await hub.show("cam-1", 1)
        node = hub.hub.node
        async with hub.dashboard() as dash:
            await dash.ask("subscribe", channel="site:north")
        read = hub.hub.cameras.cameras

        async def given_up_meanwhile(site: str | None = None) -> list[CameraRecord]:
            found = await read(site)
            node.feed.forget_site("north")
            return found

        monkeypatch.setattr(hub.hub.cameras, "cameras", given_up_meanwhile)
        await node.membership.compare()
        assert list(node.feed.live.sites()) == []
