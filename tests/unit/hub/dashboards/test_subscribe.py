"""How subscriptions start: with what there is, from which the live messages go on without a hole,
and with what was missed where it can be had whole."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.core.messages.events import published
from hub.protocol import errors
from hub.protocol.channels import CLUSTER_OPERATIONS
from storage.ports.events import EventRow
from storage.ports.live import LiveEvent, LiveState, LiveSummary
from tests.support.doubles.memory_postgres import StoredRow, number
from tests.support.hub.dashboard_node import NodeRig, running_node
from tests.support.waiting import until

CHANNEL = "events:camera:gate"


async def happen(rig: NodeRig, camera: str, *offsets: int, stored_only: bool = False) -> None:
    """Events are committed and published, or committed alone."""
    for offset in offsets:
        moment = f"2026-03-01T12:00:0{offset}.000000Z"
        body = msgspec.json.encode(
            {"camera": camera, "epoch": "e1", "offset": offset, "received": moment}
        )
        row = EventRow(camera, "e1", offset, body, bytes(32), 0)
        rig.memory.database.events.append(StoredRow("north", row))
        number(rig.memory.database, camera, "e1", offset)
        if not stored_only:
            event = LiveEvent("north", camera, 1, "e1", offset, published(body, bytes(32)))
            await rig.memory.publisher.publish([], [event], {}, {})


async def subscribe(rig: NodeRig, channel: str, **fields: Any) -> dict[str, Any]:
    """A new dashboard's subscription; its answer."""
    dashboard, _ = await rig.connect()
    return await rig.ask(dashboard, 2, "subscribe", channel=channel, **fields)


async def test_a_camera_begins_with_its_scene_and_its_state(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north", name="The gate")
        begun = (await subscribe(rig, "camera:gate"))["subscribe"]
        assert (begun["data"]["camera"], begun["data"]["name"]) == ("gate", "The gate")
        assert begun["publications"][0]["data"]["status"] == "offline", "it was never heard"
        state = LiveState("north", "gate", 2, 7, 0, b'{"camera":"gate","version":7,"tracks":[]}')
        await rig.memory.publisher.publish([state], [], {}, {})
        await until(lambda: rig.node.feed.live.state("gate"), what="its state")
        begun = (await subscribe(rig, "camera:gate"))["subscribe"]
        assert (begun["epoch"], begun["offset"]) == ("2", 7)


async def test_a_wall_begins_whole_with_the_names_and_without_what_may_not_be_seen(
    tmp_path: Path,
) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north", name="The gate")
        await rig.memory.registry.register("vault", "north", name="The vault", tags=["secret"])
        entry = LiveSummary("gate", 1, 3, 0, b'{"camera":"gate","version":3}')
        await rig.memory.publisher.publish([], [], {"north": [entry]}, {})
        begun = (await subscribe(rig, "site:north"))["subscribe"]
        wall = begun["publications"][0]["data"]
        assert (wall["full"], wall["cameras"]) == (True, [{"camera": "gate", "version": 3}])
        assert begun["data"]["names"] == {"gate": "The gate"}


async def test_the_clusters_operations_begin_with_what_there_is(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.publisher.show_operations(b'{"operations":[{"id":"o1"}]}')
        begun = (await subscribe(rig, CLUSTER_OPERATIONS))["subscribe"]
        assert begun["publications"][0]["data"] == {"operations": [{"id": "o1"}]}


async def test_what_was_missed_is_recovered_whole_or_not_at_all(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north")
        await happen(rig, "gate", 1, 2, 3)
        position = {"recover": True, "epoch": "e1"}
        begun = (await subscribe(rig, CHANNEL, offset=1, **position))["subscribe"]
        assert [event["offset"] for event in begun["publications"]] == [2, 3]
        assert begun["recovered"]
        for lost in ({"offset": 9, **position}, {**position, "epoch": "e0", "offset": 1}):
            begun = (await subscribe(rig, CHANNEL, **lost))["subscribe"]
            assert ("recovered" in begun, begun.get("publications")) == (False, None)
        refused = await subscribe(rig, CHANNEL, offset=9, flag=2, **position)
        assert refused["error"]["code"] == errors.UNRECOVERABLE_POSITION.code


async def test_what_redis_no_longer_has_is_recovered_from_the_database(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north")
        await happen(rig, "gate", 1, 2, stored_only=True)
        begun = (await subscribe(rig, CHANNEL, recover=True, epoch="e1", offset=0))["subscribe"]
        assert [event["offset"] for event in begun["publications"]] == [1, 2]


async def test_who_may_not_see_the_past_starts_at_the_top(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north")
        await happen(rig, "gate", 1, 2)
        rig.policy.denied.add(("history", "gate"))
        begun = (await subscribe(rig, CHANNEL, recover=True, epoch="e1", offset=1))["subscribe"]
        assert (begun["offset"], begun.get("publications")) == (2, None)


async def test_live_events_follow_the_answer_without_a_hole(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north")
        await happen(rig, "gate", 1)
        dashboard, wire = await rig.connect()
        await rig.ask(
            dashboard, 2, "subscribe", channel=CHANNEL, recover=True, epoch="e1", offset=0
        )
        await happen(rig, "gate", 2, 3)
        await until(lambda: len(wire.pushes(CHANNEL)) == 2, what="both")
        assert [push["pub"]["offset"] for push in wire.pushes(CHANNEL)] == [2, 3]


@pytest.mark.parametrize(
    ("asked", "offsets"),
    [
        ({"limit": 0}, []),
        ({"limit": 2}, [2, 3]),
        ({"limit": -1, "reverse": True}, [3, 2, 1]),
        ({"limit": 5, "since": {"epoch": "e1", "offset": 1}}, [2, 3]),
        ({"limit": 5, "since": {"epoch": "e1", "offset": 3}, "reverse": True}, [2, 1]),
    ],
)
async def test_a_history_is_read_both_ways(
    tmp_path: Path, asked: dict[str, Any], offsets: list[int]
) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north")
        await happen(rig, "gate", 1, 2, 3)
        dashboard, _ = await rig.connect()
        await rig.ask(dashboard, 2, "subscribe", channel=CHANNEL)
        page = (await rig.ask(dashboard, 3, "history", channel=CHANNEL, **asked))["history"]
        assert [event["offset"] for event in page.get("publications", [])] == offsets
        assert (page["epoch"], page["offset"]) == ("e1", 3)


async def test_a_subscription_that_cannot_be_confirmed_is_refused_and_leaves_no_client(
    tmp_path: Path,
) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north")
        rig.memory.redis.faults.plan("watch", "fail")
        dashboard, _ = await rig.connect()
        answer = await rig.ask(dashboard, 2, "subscribe", channel=CHANNEL)
        assert answer["error"]["temporary"]
        assert (dashboard.groups, rig.node.topics[CHANNEL].groups) == ({}, {})
        assert "subscribe" in await rig.ask(dashboard, 3, "subscribe", channel=CHANNEL)
