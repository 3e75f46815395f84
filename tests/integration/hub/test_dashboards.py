"""Dashboards over a real uvicorn: what a subscriber gets, and from which moment."""

import asyncio
from pathlib import Path

import httpx
import pytest

from actors.core.settings import ChannelsSettings
from tests.support.hub.hub import running_hub

REASONS = {"cam-1": "link_lost", "cam-2": "never_seen"}


async def test_a_camera_channel_starts_with_the_latest_state_and_follows_it(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1", scene=b'{"zones":{}}')
        await hub.show("cam-1", 7)
        async with hub.dashboard() as dash:
            assert dash.connected["connect"]["ping"] == 25
            reply = (await dash.ask("subscribe", channel="camera:cam-1"))["subscribe"]
            assert (reply["epoch"], reply["offset"], reply["recoverable"]) == ("1", 7, True)
            assert reply["publications"][0]["data"]["version"] == 7
            assert reply["data"] == {
                "camera": "cam-1",
                "site": "north",
                "name": "CAM-1",
                "scene_version": 1,
                "scene": {"zones": {}},
            }
            await hub.show("cam-1", 8)
            publication = await dash.publication()
            assert (publication["offset"], publication["data"]["tracks"]) == (8, [])


async def test_a_wall_starts_full_and_continues_with_what_changed(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1", "cam-2")
        await hub.show("cam-1", 1)
        async with hub.dashboard() as dash:
            reply = (await dash.ask("subscribe", channel="site:north"))["subscribe"]
            wall = reply["publications"][0]["data"]
            assert wall["full"] is True
            assert [
                (camera["camera"], camera["status"], camera["reason"]) for camera in wall["cameras"]
            ] == [
                ("cam-1", "online", None),
                ("cam-2", "offline", "never_seen"),
            ]
            await hub.show("cam-2", 1)
            change = (await dash.publication())["data"]
            assert change["full"] is False
            assert [camera["camera"] for camera in change["cameras"]] == ["cam-2"]
            assert "tracks" not in change["cameras"][0]


async def test_a_camera_that_was_seen_before_is_not_told_as_never_seen(tmp_path: Path) -> None:
    """After a restart Redis is empty and nothing of it is shown yet: on its channel, on walls and
    by REST."""
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1", "cam-2")
        hub.memory.database.rows["cam-1"].sessions.add("earlier")
        async with hub.dashboard() as dash:
            for channel in ("camera:cam-1", "camera:cam-2"):
                shown = (await dash.ask("subscribe", channel=channel))["subscribe"]["publications"][
                    0
                ]["data"]
                assert (shown["status"], shown["reason"]) == ("offline", REASONS[shown["camera"]])
            wall = (await dash.ask("subscribe", channel="site:north"))["subscribe"]["publications"][
                0
            ]["data"]
            assert {camera["camera"]: camera["reason"] for camera in wall["cameras"]} == REASONS
        headers = {"Authorization": f"Bearer {hub.token()}"}
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{hub.port}", timeout=30, headers=headers
        ) as http:
            site = (await http.get("/v1/sites/north/state")).json()
            assert {camera["camera"]: camera["reason"] for camera in site["cameras"]} == REASONS
            for name, reason in REASONS.items():
                assert (await http.get(f"/v1/cameras/{name}/state")).json()["reason"] == reason


async def test_the_fleet_wall_joins_all_sites(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        await hub.register("cam-2", site="south")
        async with hub.dashboard() as dash:
            reply = (await dash.ask("subscribe", channel="fleet"))["subscribe"]
            assert [camera["camera"] for camera in reply["publications"][0]["data"]["cameras"]] == [
                "cam-1",
                "cam-2",
            ]
            await hub.show("cam-2", 1, site="south")
            assert [camera["site"] for camera in (await dash.publication())["data"]["cameras"]] == [
                "south"
            ]


@pytest.mark.parametrize("channel", ["events:camera:cam-1", "events:site:north"])
async def test_events_come_in_order_and_are_recovered_from_the_offset(
    tmp_path: Path, channel: str
) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        for offset in (1, 2, 3):
            await hub.happen("cam-1", offset)
        async with hub.dashboard() as dash:
            reply = (await dash.ask("subscribe", channel=channel))["subscribe"]
            assert reply["offset"] == 3
            await hub.happen("cam-1", 4)
            assert (await dash.publication())["data"]["offset"] == 4
            await dash.ask("unsubscribe", channel=channel)
            await hub.happen("cam-1", 5)
            await hub.happen("cam-1", 6)
            again = (
                await dash.ask(
                    "subscribe", channel=channel, recover=True, epoch=reply["epoch"], offset=4
                )
            )["subscribe"]
            assert (again["recovered"], again["was_recovering"], again["offset"]) == (True, True, 4)
            assert [publication["offset"] for publication in again["publications"]] == [5, 6]
            await hub.happen("cam-1", 7)
            assert (await dash.publication())["offset"] == 7


async def test_an_unknown_position_is_not_recovered_in_part(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        await hub.happen("cam-1", 1)
        async with hub.dashboard() as dash:
            reply = (
                await dash.ask(
                    "subscribe",
                    channel="events:camera:cam-1",
                    recover=True,
                    epoch="other",
                    offset=0,
                )
            )["subscribe"]
            assert "recovered" not in reply
            assert reply["was_recovering"] is True
            assert "publications" not in reply
            await dash.ask("unsubscribe", channel="events:camera:cam-1")
            refused = await dash.ask(
                "subscribe",
                channel="events:camera:cam-1",
                recover=True,
                epoch="other",
                offset=0,
                flag=2,
            )
            assert refused["error"]["code"] == 112


async def test_a_hole_after_a_silent_loss_is_filled_before_anyone_sees_beyond_it(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        await hub.happen("cam-1", 1)
        async with hub.dashboard() as dash:
            for channel in ("events:camera:cam-1", "events:site:north", "events:fleet"):
                await dash.ask("subscribe", channel=channel)
            hub.broker.connected = False
            await hub.happen("cam-1", 2)
            await hub.happen("cam-1", 3)
            hub.broker.connected = True
            await hub.happen("cam-1", 4)
            seen: dict[str, list[int]] = {}
            while sum(map(len, seen.values())) < 9:
                push = await dash.push()
                seen.setdefault(push["channel"], []).append(push["pub"]["data"]["offset"])
            assert seen == {
                name: [2, 3, 4]
                for name in ("events:camera:cam-1", "events:site:north", "events:fleet")
            }


async def test_a_notice_of_a_reconnection_fills_holes_without_a_further_event(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        await hub.happen("cam-1", 1)
        async with hub.dashboard() as dash:
            await dash.ask("subscribe", channel="events:site:north")
            hub.broker.disconnect()
            await hub.happen("cam-1", 2)
            hub.broker.reconnect()
            assert (await dash.publication())["data"]["offset"] == 2


async def test_a_lower_generation_is_not_shown(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        await hub.show("cam-1", 1, generation=2)
        async with hub.dashboard() as dash:
            await dash.ask("subscribe", channel="camera:cam-1")
            await hub.show("cam-1", 9, generation=1)
            await hub.show("cam-1", 2, generation=2)
            assert (await dash.publication())["data"]["version"] == 2


async def test_several_messages_of_one_turn_leave_in_one_write(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        await hub.happen("cam-1", 1)
        async with hub.dashboard() as dash:
            await dash.ask("subscribe", channel="events:site:north")
            before = hub.hub.node.fanout.stats.writes
            await asyncio.gather(*(hub.happen("cam-1", offset) for offset in range(2, 12)))
            for offset in range(2, 12):
                assert (await dash.publication())["data"]["offset"] == offset
            assert hub.hub.node.fanout.stats.writes - before < 10


async def test_a_deployment_can_offer_less(tmp_path: Path) -> None:
    offered = ChannelsSettings(
        closed=["fleet"], without_history=["events:camera"], without_recovery=["events:camera"]
    )
    async with running_hub(tmp_path, channels=offered) as hub, hub.dashboard() as dash:
        await hub.register("cam-1")
        for offset in (1, 2, 3):
            await hub.happen("cam-1", offset)
        assert (await dash.ask("subscribe", channel="fleet"))["error"]["code"] == 102
        asked = await dash.ask(
            "subscribe", channel="events:camera:cam-1", recover=True, epoch="e1", offset=1
        )
        assert not {"recoverable", "recovered", "publications"} & {
            key for key, value in asked["subscribe"].items() if value
        }
        assert (await dash.ask("history", channel="events:camera:cam-1", limit=1))["error"][
            "code"
        ] == 108
