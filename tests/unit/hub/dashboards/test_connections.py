"""Who is let in to a hub's dashboards, who is counted, and how they are sent away."""

from pathlib import Path

import pytest

from actors.core.settings import HubSettings
from hub.dashboards.timed import canary
from hub.protocol import disconnects
from hub.protocol.paths import DASHBOARD_PATH
from tests.support.hub.dashboard_node import Wire, running_node
from tests.support.waiting import until

EDGE_PATH = "/v1/edge"


async def test_a_page_of_elsewhere_is_not_let_in(tmp_path: Path) -> None:
    hub = HubSettings(port=0, allowed_origins=["https://wall.example"])
    async with running_node(tmp_path, hub) as rig:
        admit = rig.node.connections.admit
        assert admit(DASHBOARD_PATH, [], "192.0.2.1") is None, "no browser: no origin"
        assert admit(DASHBOARD_PATH, ["https://wall.example"], "192.0.2.1") is None
        for origins in (["https://evil.example"], ["null"], ["https://wall.example"] * 2):
            refusal = admit(DASHBOARD_PATH, origins, "192.0.2.1")
            assert refusal is not None
            assert refusal.status == 403
        assert rig.node.stats.refused == 3


async def test_a_full_hub_says_when_to_come_again_and_edges_have_limits_of_their_own(
    tmp_path: Path,
) -> None:
    async with running_node(tmp_path, HubSettings(port=0, max_connections=1)) as rig:
        dashboard, _ = rig.open()
        refusal = rig.node.connections.admit(DASHBOARD_PATH, [], "192.0.2.2")
        assert refusal is not None
        assert (refusal.status, int(refusal.headers["Retry-After"]) > 0) == (503, True)
        assert rig.node.connections.admit(EDGE_PATH, [], "192.0.2.2") is None
        dashboard.on_lost()
        assert rig.node.connections.admit(DASHBOARD_PATH, [], "192.0.2.2") is None


async def test_a_draining_hub_lets_nobody_in_and_closes_who_is_there(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        wires = [rig.open()[1] for _ in range(3)]
        await rig.node.connections.drain()
        assert {wire.closed.code for wire in wires if wire.closed} == {disconnects.SHUTDOWN.code}
        assert (rig.node.connections.connected, rig.node.connections.to_drain) == ({}, 3)
        for path in (DASHBOARD_PATH, EDGE_PATH):
            refusal = rig.node.connections.admit(path, [], "192.0.2.1")
            assert refusal is not None
            assert refusal.status == 503


async def test_the_canary_is_counted_nowhere_and_gets_what_the_hub_sends_itself(
    tmp_path: Path,
) -> None:
    async with running_node(tmp_path, HubSettings(port=0, max_connections=0)) as rig:
        node, wire = rig.node, Wire()
        origin = canary.origin(node.canary.key)
        assert node.connections.admit(DASHBOARD_PATH, [origin], "127.0.0.1") is None
        assert node.connections.admit(DASHBOARD_PATH, [], "127.0.0.1") is not None
        dashboard = node.connections.open(wire, "json", "127.0.0.1", [origin])
        rig.wires[dashboard] = wire
        await rig.ask(dashboard, 1, "connect", token=node.canary.key)
        await rig.broker.echo("hub-a", b'{"sent":1.0}')
        await until(lambda: wire.pushes(canary.CHANNEL), what="its message")
        assert (node.connections.connected, node.stats.accepted) == ({}, 0)
        refused = await rig.ask(dashboard, 2, "subscribe", channel="fleet")
        assert (refused, wire.closed) == ({}, disconnects.BAD_REQUEST), "it may nothing"


async def test_who_comes_in_as_the_canary_may_not_be_somebody_else(tmp_path: Path) -> None:
    """Its origin passes every limit, so no user may come with it."""
    async with running_node(tmp_path) as rig:
        wire = Wire()
        dashboard = rig.node.connections.open(
            wire, "json", "127.0.0.1", [canary.origin(rig.node.canary.key)]
        )
        dashboard.on_message(b'{"id":1,"connect":{"token":"%s"}}' % rig.token().encode())
        await until(lambda: dashboard.task is None, what="the decision")
        assert (wire.messages, dashboard.principal) == ([], None)


async def test_an_encoding_nobody_knows_is_json(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        assert rig.node.connections.open(Wire(), "morse", "192.0.2.1").codec.name == "json"


@pytest.mark.parametrize("times", [1, 2])
async def test_a_connection_that_ends_twice_is_given_back_once(tmp_path: Path, times: int) -> None:
    hub = HubSettings(port=0, max_connections_per_address=2)
    async with running_node(tmp_path, hub) as rig:
        first, _ = rig.open()
        rig.open()
        for _ in range(times):
            first.drop(disconnects.STALE)
        first.on_lost()
        assert rig.node.stats.closes == {disconnects.STALE.code: 1}
        assert rig.node.connections.admit(DASHBOARD_PATH, [], "192.0.2.1") is None
        rig.open()
        assert rig.node.connections.admit(DASHBOARD_PATH, [], "192.0.2.1") is not None
