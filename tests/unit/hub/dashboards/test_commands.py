"""What a hub makes of a dashboard's commands: who may connect, what a subscription shows, and what
ends with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.core.settings import HubSettings
from hub.dashboards.actions import Action, Operate, SendReply
from hub.dashboards.connection import Commands, Dashboard
from hub.dashboards.connection_limits import Admission
from hub.dashboards.extension import Extension
from hub.protocol import disconnects, errors
from hub.protocol.messages import Empty
from policy.decision.model import Decision, DecisionInput
from storage.ports.live import LiveState
from tests.support.hub.dashboard_node import NodeRig, running_node
from tests.support.hub.hub import Policy
from tests.support.waiting import until


async def show(rig: NodeRig, camera: str, version: int) -> None:
    body = msgspec.json.encode({"camera": camera, "version": version, "tracks": []})
    await rig.memory.publisher.publish(
        [LiveState("north", camera, 1, version, 0, body)], [], {}, {}
    )


async def test_who_may_connect_is_told_how_long_and_others_why_not(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        dashboard, _ = rig.open()
        result = (await rig.ask(dashboard, 1, "connect", token=rig.token()))["connect"]
        assert (result["node"], result["expires"]) == ("hub-a", True)
        dashboard, wire = rig.open()
        await rig.ask(dashboard, 1, "connect", token="forged.by.nobody")
        assert wire.closed == disconnects.INVALID_TOKEN
        rig.policy.denied.add(("connect", "dashboard"))
        _, wire = await rig.connect("eve")
        assert wire.closed == disconnects.PERMISSION_DENIED
        rig.policy.unavailable = True
        _, wire = await rig.connect("bob")
        assert wire.closed == disconnects.POLICY_UNAVAILABLE
        assert rig.node.stats.closes == {
            close.code: 1
            for close in (
                disconnects.INVALID_TOKEN,
                disconnects.PERMISSION_DENIED,
                disconnects.POLICY_UNAVAILABLE,
            )
        }
        assert len(rig.node.connections.connected) == 1


async def test_one_user_has_so_many_connections_and_gets_a_place_back(tmp_path: Path) -> None:
    async with running_node(tmp_path, HubSettings(port=0, max_connections_per_user=1)) as rig:
        first, _ = await rig.connect()
        _, wire = await rig.connect()
        assert wire.closed == disconnects.CONNECTION_LIMIT
        first.on_lost()
        _, wire = await rig.connect()
        assert wire.closed is None


async def test_a_newer_token_is_of_the_same_user(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        dashboard, wire = await rig.connect()
        assert "refresh" in await rig.ask(dashboard, 2, "refresh", token=rig.token(jti="newer"))
        assert dashboard.principal is not None
        assert dashboard.principal.jti == "newer"
        await rig.ask(dashboard, 3, "refresh", token=rig.token("eve"))
        assert wire.closed == disconnects.INVALID_TOKEN


async def test_a_newer_token_that_may_see_less_loses_what_it_had(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north")
        dashboard, wire = await rig.connect()
        await rig.ask(dashboard, 2, "subscribe", channel="camera:gate")
        rig.policy.denied.add(("subscribe", "gate"))
        await rig.ask(dashboard, 3, "refresh", token=rig.token(jti="newer"))
        assert [list(push) for push in wire.pushes("camera:gate")] == [["channel", "unsubscribe"]]
        assert dashboard.groups == {}


async def test_a_subscription_begins_with_what_there_is_and_goes_on_live(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north")
        await show(rig, "gate", 1)
        dashboard, wire = await rig.connect()
        result = (await rig.ask(dashboard, 2, "subscribe", channel="camera:gate"))["subscribe"]
        assert [shown["data"]["version"] for shown in result["publications"]] == [1]
        await show(rig, "gate", 2)
        await until(lambda: wire.pushes("camera:gate"), what="the newer state")
        assert wire.pushes("camera:gate")[0]["pub"]["data"]["version"] == 2
        await rig.ask(dashboard, 3, "unsubscribe", channel="camera:gate")
        assert rig.node.topics["camera:gate"].groups == {}
        await show(rig, "gate", 3)
        await until(lambda: rig.node.feed.live.known("gate").state_version == 3, what="the third")  # type: ignore[union-attr]
        await rig.ask(dashboard, 4, "ping")
        assert len(wire.pushes("camera:gate")) == 1


async def test_who_asks_for_less_is_in_a_group_of_its_own(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north")
        (one, _), (two, _) = await rig.connect("ada"), await rig.connect("bob")
        await rig.ask(one, 2, "subscribe", channel="camera:gate")
        await rig.ask(two, 2, "subscribe", channel="camera:gate", data={"projection": "summary"})
        assert len(rig.node.topics["camera:gate"].groups) == 2
        assert two.asked("camera:gate").projection == "summary"
        await rig.ask(two, 3, "unsubscribe", channel="camera:gate")
        assert two.asked("camera:gate") == one.asked("camera:gate")


async def test_what_is_denied_or_unknown_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north")
        rig.policy.denied.add(("subscribe", "gate"))
        dashboard, _ = await rig.connect()
        for id, channel in ((2, "camera:gate"), (3, "camera:nobody")):
            answer = await rig.ask(dashboard, id, "subscribe", channel=channel)
            assert answer["error"]["code"] in {
                errors.PERMISSION_DENIED.code,
                errors.UNKNOWN_CHANNEL.code,
            }
        history = await rig.ask(dashboard, 4, "history", channel="events:camera:gate")
        assert history["error"]["code"] == errors.PERMISSION_DENIED.code
        assert (dashboard.groups, dashboard.session.channels) == ({}, {})


class Changing(Policy):
    """Calls `then` once, right after it has decided about a subscription."""

    then: Callable[[], None] | None = None

    async def decide(self, question: DecisionInput) -> Decision:
        made = await super().decide(question)
        if question.action == "subscribe" and self.then is not None:
            then, self.then = self.then, None
            then()
        return made


async def test_policy_that_changes_under_a_subscribe_is_asked_again(tmp_path: Path) -> None:
    """Else somebody starts with a view that the review of everybody has already left behind."""
    policy = Changing()
    async with running_node(tmp_path, policy=policy) as rig:
        await rig.memory.registry.register("gate", "north")
        dashboard, _ = await rig.connect()

        def change() -> None:
            policy.redact = ("person",)
            rig.node.reviews.policy_changed("r2")

        policy.then = change
        await rig.ask(dashboard, 2, "subscribe", channel="camera:gate")
        assert [view.redact for view, _ in rig.node.topics["camera:gate"].groups] == [("person",)]


async def test_recoveries_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north")
        dashboard, _ = await rig.connect()
        await rig.ask(
            dashboard,
            2,
            "subscribe",
            channel="events:camera:gate",
            recover=True,
            epoch="another",
            offset=3,
        )
        assert rig.node.stats.recoveries == {("events", "epoch"): 1}


async def test_what_the_hub_does_not_do_is_not_available(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        dashboard, _ = await rig.connect()
        for id, method in ((2, "publish"), (3, "presence")):
            answer = await rig.ask(dashboard, id, method, channel="fleet", data={})
            assert answer["error"]["code"] == errors.NOT_AVAILABLE.code


class Echo(Extension):
    """Answers operations itself, and leaves everything else to the hub."""

    def commands(self, own: Commands, admission: Admission) -> Commands:
        class Answering:
            def __getattr__(self, name: str) -> Any:
                return getattr(own, name)

            async def operate(self, dashboard: Dashboard, action: Operate) -> list[Action]:
                return [SendReply(action.id, action.method, Empty())]

        return Answering()

    def admits(self, dashboard: Dashboard) -> bool:
        return True


async def test_an_extension_answers_before_the_hub_and_passes_on_the_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with running_node(tmp_path, extension=Echo()) as rig:
        await rig.memory.registry.register("gate", "north")
        dashboard, wire = await rig.connect()
        assert "subscribe" in await rig.ask(dashboard, 2, "subscribe", channel="camera:gate")
        rig.policy.denied.add(("subscribe", "gate"))
        rig.node.reviews.policy_changed("r2")
        await until(lambda: "asked about again" in caplog.text, what="the review")
        await rig.ask(dashboard, 3, "ping")
        assert wire.pushes("camera:gate") == [], "who it let in is not the policy's business"
