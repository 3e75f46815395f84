"""Subscribers that ask for less, over a real socket."""

import asyncio
from pathlib import Path

from tests.support.hub.hub import running_hub

TRACK = {
    "id": "t1",
    "label": "car",
    "sub_label": "AB 123",
    "score": 0.9,
    "box": [0, 0, 1, 1],
    "current_zones": [],
    "stationary": False,
}


async def test_a_projection_holds_for_the_first_and_every_later_state(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path) as hub,
        hub.dashboard() as boxes,
        hub.dashboard() as summary,
        hub.dashboard() as again,
    ):
        await hub.register("gate")
        await hub.show("gate", 1, tracks=[TRACK])
        first = (await boxes.ask("subscribe", channel="camera:gate", data={"projection": "boxes"}))[
            "subscribe"
        ]["publications"][0]["data"]
        assert set(first["tracks"][0]) == {"id", "label", "score", "box"}
        await summary.ask("subscribe", channel="camera:gate", data={"projection": "summary"})
        await again.ask("subscribe", channel="camera:gate", data={"projection": "boxes"})
        await hub.show("gate", 2, tracks=[TRACK])
        assert "occupancy" not in (await boxes.publication())["data"]
        assert "tracks" not in (await summary.publication())["data"]
        assert len(hub.hub.node.topics["camera:gate"].groups) == 2, (
            "equal wishes share one encoding"
        )


async def test_a_lower_rate_thins_only_who_asked_for_it(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as calm, hub.dashboard() as eager:
        await hub.register("gate")
        await hub.show("gate", 1)
        await calm.ask("subscribe", channel="camera:gate", data={"max_hz": 0.5})
        await eager.ask("subscribe", channel="camera:gate")
        for version in range(2, 8):
            await hub.show("gate", version)
            assert (await eager.publication())["offset"] == version
        assert (await calm.publication())["offset"] == 2
        assert not calm.pushes
        assert (await calm.publication())["offset"] == 7


async def test_a_wall_shows_the_cameras_with_the_tags_asked_for(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        await hub.register("gate", tags=["outside"])
        await hub.register("hall")
        await hub.show("gate", 1)
        await hub.show("hall", 1)
        reply = await dash.ask("subscribe", channel="site:north", data={"tags": ["outside"]})
        shown = reply["subscribe"]["publications"][0]["data"]["cameras"]
        assert [summary["camera"] for summary in shown] == ["gate"]
        await dash.ask("subscribe", channel="events:site:north", data={"tags": ["outside"]})
        await hub.show("hall", 2)
        await hub.happen("hall", 1)
        await hub.happen("gate", 1)
        push = await dash.push()
        while push["channel"] != "events:site:north":
            push = await dash.push()
        assert push["pub"]["data"]["camera"] == "gate"
        history = await dash.ask("history", channel="events:site:north", limit=10)
        assert [entry["data"]["camera"] for entry in history["history"]["publications"]] == ["gate"]


async def test_a_wish_the_channel_cannot_grant_is_told(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        await hub.register("gate")
        assert (await dash.ask("subscribe", channel="camera:gate", data={"projection": "tiny"}))[
            "error"
        ]["code"] == 107
        async with asyncio.timeout(30):
            assert "subscribe" in await dash.ask("subscribe", channel="camera:gate")
