"""Access is not asked once: what policy says now reaches whoever is connected, and without an
answer there is no access."""

import asyncio
from pathlib import Path

import pytest

from hub.protocol import disconnects
from policy.identity.revocations import Revocations
from storage.ports.policy import Revocation
from tests.support.hub.dashboard_node import NodeRig, Wire, running_node
from tests.support.hub.hub import Policy
from tests.support.waiting import until


async def watching(rig: NodeRig, *channels: str) -> Wire:
    """A dashboard that is subscribed to these."""
    dashboard, wire = await rig.connect()
    for id, channel in enumerate(channels, 2):
        assert "subscribe" in await rig.ask(dashboard, id, "subscribe", channel=channel)
    return wire


def ends(wire: Wire, channel: str) -> list[int]:
    return [push["unsubscribe"]["code"] for push in wire.pushes(channel) if "unsubscribe" in push]


async def test_a_changed_policy_ends_what_it_denies_and_leaves_the_rest(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        for camera in ("gate", "yard"):
            await rig.memory.registry.register(camera, "north")
        wire = await watching(rig, "camera:gate", "camera:yard")
        rig.policy.denied.add(("subscribe", "gate"))
        rig.node.reviews.policy_changed("r2")
        await until(lambda: ends(wire, "camera:gate"), what="the end of one")
        assert ends(wire, "camera:gate") == [disconnects.UNSUBSCRIBED_STATE_INVALIDATED.code]
        assert (ends(wire, "camera:yard"), wire.closed) == ([], None)


async def test_a_changed_view_is_another_group_and_is_shown_at_once(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north")
        wire = await watching(rig, "camera:gate")
        rig.policy.redact = ("person",)
        rig.node.reviews.policy_changed("r2")
        await until(lambda: wire.pushes("camera:gate"), what="the state under the new view")
        views = [view.redact for view, _ in rig.node.topics["camera:gate"].groups]
        assert views == [("person",)]


@pytest.mark.parametrize("unavailable", [False, True])
async def test_who_may_not_be_connected_any_more_is_closed(
    tmp_path: Path, unavailable: bool
) -> None:
    async with running_node(tmp_path) as rig:
        wire = await watching(rig)
        rig.policy.denied.add(("connect", "dashboard"))
        rig.policy.unavailable = unavailable
        rig.node.reviews.policy_changed("r2")
        await until(lambda: wire.closed, what="the close")
        assert wire.closed == (
            disconnects.POLICY_UNAVAILABLE if unavailable else disconnects.WITHDRAWN
        )


async def test_a_review_that_fails_closes_its_connection_alone(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        wire = await watching(rig)
        rig.policy.broken = LookupError("a mistake")
        rig.node.reviews.policy_changed("r2")
        await until(lambda: wire.closed, what="the close")
        assert (wire.closed, rig.node.tasks.failed) == (disconnects.POLICY_UNAVAILABLE, "")


async def test_a_revoked_token_closes_its_connection_and_no_other(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        (_, ada), (_, bob) = await rig.connect("ada"), await rig.connect("bob")
        rig.node.reviews.revoked(Revocations([Revocation("jti", "ada-1", 0)]))
        assert (ada.closed, bob.closed) == (disconnects.REVOKED, None)
        _, again = await rig.connect("ada")
        assert again.closed == disconnects.INVALID_TOKEN


async def test_a_decision_that_holds_until_a_moment_is_asked_again_then(tmp_path: Path) -> None:
    policy = Policy(valid_s=-3600.0)  # decisions are over when they are given
    async with running_node(tmp_path, policy=policy) as rig:
        await rig.memory.registry.register("gate", "north")
        rig.clock.now_s = 2**34  # later than any of them
        wire = await watching(rig, "camera:gate")
        policy.denied.add(("subscribe", "gate"))
        await until(lambda: ends(wire, "camera:gate"), what="the end")


async def test_changed_cameras_are_asked_about_where_they_are_watched(tmp_path: Path) -> None:
    async with running_node(tmp_path, loops=False) as rig:
        for camera, site in (("gate", "north"), ("pier", "south")):
            await rig.memory.registry.register(camera, site)
        north, south = await watching(rig, "site:north"), await watching(rig, "site:south")
        rig.policy.denied |= {("subscribe", "north"), ("subscribe", "south")}
        done = asyncio.Event()
        rig.node.reviews.cameras_changed({"north"}, {"gate"}, done.set)
        async with asyncio.timeout(30):
            await done.wait()
        await until(lambda: ends(north, "site:north"), what="the end in the north")
        assert ends(south, "site:south") == []
