"""A camera that its origin does not see any more leaves, while others of the socket go on."""

from datetime import UTC, datetime

from actors.core.messages.observations import Observation
from edge.client import EdgeClient
from tests.support.servers.edge_server import EdgeServer
from tests.support.waiting import until


def said(hub: EdgeServer, camera: str) -> tuple[int, int]:
    """(observations, goodbyes) of a camera so far."""
    found = [seen for (name, _), seen in hub.seen.items() if name == camera]
    return sum(len(seen.applied) for seen in found), sum(seen.byes for seen in found)


SEEN = Observation(datetime(2026, 11, 30, tzinfo=UTC), [])


async def test_a_camera_leaves_when_all_is_durable_and_comes_back() -> None:
    async with EdgeServer() as hub, EdgeClient(hub.url) as client:
        gate, yard = await client.open("gate"), await client.open("yard")
        hub.switches.hold_acks = True
        await gate.send(SEEN)
        gate.leave("source_offline")
        await yard.send(SEEN)
        await until(lambda: said(hub, "yard")[0] and said(hub, "gate")[0], what="both observations")
        assert said(hub, "gate") == (1, 0)
        await hub.release()
        await until(lambda: said(hub, "gate") == (1, 1), what="the goodbye")
        assert (gate.away, yard.open) == (True, True)
        hub.drop_everyone()
        await yard.send(SEEN)
        await yard.drain(30)
        assert len([hello for hello in hub.hellos if hello.camera == "gate"]) == 1
        gate.come_back()
        await gate.send(SEEN)
        await gate.drain(30)
        assert (len(hub.of("gate").applied), hub.violations) == (2, [])


async def test_what_comes_while_it_is_away_is_delivered_and_it_leaves_again() -> None:
    async with EdgeServer() as hub, EdgeClient(hub.url) as client:
        gate = await client.open("gate")
        gate.leave("source_offline")
        await gate.send(SEEN)
        await until(lambda: said(hub, "gate") == (1, 1), what="the goodbye")
        await gate.send(SEEN)
        await until(lambda: said(hub, "gate") == (2, 2), what="the second goodbye")
