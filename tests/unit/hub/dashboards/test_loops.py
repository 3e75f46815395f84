"""What keeps a hub going without anybody asking: the reader of the broker, the clock, and what is
forgotten when nobody watches it any more."""

import asyncio
import time
from pathlib import Path

from actors.core.settings import HubSettings
from hub.dashboards.timed.timer_wheel import RESOLUTION_S
from hub.fanout.broker_subscriptions import LINGER_S
from hub.protocol import disconnects
from storage.ports.live import LiveState
from tests.support.hub.dashboard_node import running_node
from tests.support.waiting import until


async def test_redis_that_goes_and_comes_is_noticed_and_read_again(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        await rig.memory.registry.register("gate", "north")
        dashboard, wire = await rig.connect()
        await rig.ask(dashboard, 2, "subscribe", channel="camera:gate")
        rig.broker.disconnect()
        await until(lambda: not rig.node.reader.heard, what="the loss")
        assert rig.node.feed.live.redis_lost
        rig.broker.reconnect()
        await until(lambda: rig.node.reader.heard, what="the return")
        state = LiveState("north", "gate", 1, 1, 0, b'{"camera":"gate","version":1,"tracks":[]}')
        await rig.memory.publisher.publish([state], [], {}, {})
        await until(lambda: wire.pushes("camera:gate"), what="a state")
        assert not rig.node.feed.live.redis_lost


async def test_a_mistake_in_a_task_says_that_the_hub_is_to_be_replaced(tmp_path: Path) -> None:
    async with running_node(tmp_path) as rig:
        rig.node.tasks.spawn(fail(), "reader")
        async with asyncio.timeout(30):
            await rig.node.broken.wait()
        assert rig.node.tasks.failed == "reader"


async def fail() -> None:
    raise LookupError("a mistake")


async def test_the_clock_closes_who_says_nothing_in_time(tmp_path: Path) -> None:
    hub = HubSettings(port=0, first_message_s=0.5)
    async with running_node(tmp_path, hub) as rig:
        _, silent = rig.open()
        dashboard, wire = await rig.connect()
        await until(lambda: silent.closed, what="the close")
        assert (silent.closed, wire.closed) == (disconnects.STALE, None)
        assert list(rig.node.connections.connected) == [dashboard]


async def test_what_nobody_watches_is_kept_a_while_and_then_forgotten(tmp_path: Path) -> None:
    async with running_node(tmp_path, loops=False) as rig:
        await rig.memory.registry.register("gate", "north")
        dashboard, _ = await rig.connect()
        await rig.ask(dashboard, 2, "subscribe", channel="camera:gate")
        await rig.node.expiry.once(time.monotonic() + 10 * LINGER_S)
        assert set(rig.node.topics) == {"camera:gate"}, "somebody is there"
        dashboard.on_lost()
        await rig.node.expiry.once(time.monotonic())
        assert set(rig.node.topics) == {"camera:gate"}, "a reload costs no new subscription"
        await rig.node.expiry.once(time.monotonic() + LINGER_S + RESOLUTION_S)
        assert (rig.node.topics, rig.broker.sites, rig.broker.cameras) == ({}, set(), set())
        assert rig.node.feed.live.known("gate") is None


async def test_who_watches_the_fleet_watches_sites_that_are_new(tmp_path: Path) -> None:
    async with running_node(tmp_path, loops=False) as rig:
        await rig.memory.registry.register("gate", "north")
        dashboard, _ = await rig.connect()
        await rig.ask(dashboard, 2, "subscribe", channel="fleet")
        await rig.memory.registry.register("pier", "south")
        rig.cameras.forget("pier", "south")
        await rig.node.expiry.once(time.monotonic())
        assert rig.broker.sites == {"north", "south"}
