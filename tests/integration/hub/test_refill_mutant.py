"""I5: a hub whose refill after a lost Redis connection is removed skips events in silence, and the
checker says so."""

from pathlib import Path

import pytest

from cluster.event_proofs import AuditEvent, CameraTotals
from hub.fanout.feed import Feed
from hub.fanout.live_states import LiveStates
from hub.fanout.recovery import Item
from hub.fanout.streams import TopicPosition
from load_tests.checker.checker import check
from load_tests.harness.history import Operation, ShownEvent, Stored, WatcherPosition
from tests.support.hub.hub import TestHub, running_hub

CAMERA = "cam-1"


async def lost_and_back(hub: TestHub) -> list[str]:
    """A watcher, a lost connection with two events in it, one after it; the violations of I5 and
    I7."""
    await hub.register(CAMERA)
    await hub.happen(CAMERA, 1)
    history: list[Operation] = []
    async with hub.dashboard() as dash:
        reply = (await dash.ask("subscribe", channel=f"events:camera:{CAMERA}"))["subscribe"]
        history.append(WatcherPosition("dash", CAMERA, reply["epoch"], reply["offset"]))
        hub.broker.disconnect()
        await hub.happen(CAMERA, 2)
        await hub.happen(CAMERA, 3)
        hub.broker.reconnect()
        await hub.happen(CAMERA, 4)
        while not any(isinstance(seen, ShownEvent) and seen.offset == 4 for seen in history):
            event = (await dash.publication())["data"]
            history.append(
                ShownEvent(
                    "dash", CAMERA, event["epoch"], event["offset"], event["type"], event["time"]
                )
            )
    rows = [stored.row for stored in hub.memory.database.events]
    events = [
        AuditEvent(row.camera, row.epoch, row.offset, row.body.decode(), row.hash.hex())
        for row in rows
    ]
    totals = CameraTotals(CAMERA, "", 0, rows[-1].epoch, rows[-1].offset, "", {}, {})
    found = check(history, Stored([totals], events))
    return [violation.detail for violation in found if violation.invariant == "I5"]


async def test_every_event_comes_once_over_a_lost_connection(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        assert await lost_and_back(hub) == []


def whatever_comes(self: TopicPosition, epoch: str, item: Item) -> list[Item]:
    """A lane that does not see holes."""
    self.start(epoch, item.offset)
    return [item]


async def test_a_hub_without_refill_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(self: Feed) -> None:
        """No comparison after a notice."""

    monkeypatch.setattr(Feed, "compare", nothing)
    monkeypatch.setattr(LiveStates, "take_heartbeat", lambda *_: ([], []))
    monkeypatch.setattr(TopicPosition, "receive", whatever_comes)
    async with running_hub(tmp_path) as hub:
        assert any("silent gap" in detail for detail in await lost_and_back(hub))
