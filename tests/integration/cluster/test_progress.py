"""Operations as they go: from the store by the API's process and Redis to a stock Centrifuge client
at a hub."""

import asyncio
import json
from pathlib import Path

from cluster.api.live_operations import ProgressPublisher
from storage.ports.cluster import RequestedOperation
from tests.integration.hub.test_centrifuge_python import Watcher, client
from tests.support.doubles.memory_cluster import MemoryClusterStore
from tests.support.doubles.stores import memory_stores
from tests.support.hub.hub import running_hub
from tests.support.waiting import until

CHANNEL = "cluster:operations"


async def test_a_stock_client_follows_an_operation(tmp_path: Path) -> None:
    memory = memory_stores()
    store = MemoryClusterStore()
    progress = ProgressPublisher(store, memory.publisher)
    await store.ask(RequestedOperation("op1", "drain", "n1", {}, "olga"))
    async with running_hub(tmp_path, memory=memory) as hub:
        task = asyncio.create_task(progress.run())
        async with client(hub, protobuf=False) as stock:
            watcher = Watcher()
            await stock.new_subscription(CHANNEL, events=watcher).subscribe()
            await until(
                lambda: _seen(watcher, ("op1", "waiting", 0)),
                what="the running operations at the start",
            )
            await store.begin("op1", total=4)
            await store.progress("op1", done=3, total=4, detail="moved 3")
            progress.hurry()
            await until(lambda: _seen(watcher, ("op1", "running", 3)), what="its progress")
            await store.finish("op1", "done", figures={"interruption_p99_s": 0.3})
            await until(lambda: _seen(watcher, ("op1", "done", 3)), what="its end, without a hurry")
            last = watcher.publications[-1].data["operations"][0]
            assert (last["figures"], watcher.offsets == sorted(watcher.offsets)) == (
                {"interruption_p99_s": 0.3},
                True,
            )
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_who_may_not_read_the_cluster_does_not_follow_it(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        hub.policy.denied.add(("cluster.read", "cluster"))
        assert (await dash.ask("subscribe", channel=CHANNEL))["error"]["code"] == 103


async def test_a_lost_redis_shows_the_operations_again(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        await hub.memory.publisher.show_operations(b'{"operations":[1]}')
        reply = await dash.ask("subscribe", channel=CHANNEL)
        assert [pub["data"] for pub in reply["subscribe"]["publications"]] == [{"operations": [1]}]
        hub.broker.disconnect()
        await hub.memory.publisher.show_operations(b'{"operations":[2]}')  # nobody hears it
        hub.broker.reconnect()
        assert (await dash.publication())["data"] == {"operations": [2]}


async def test_unchanged_operations_are_shown_seldom() -> None:
    shown: list[bytes] = []

    class Shower:
        async def show_operations(self, body: bytes) -> None:
            shown.append(body)

    store = MemoryClusterStore()
    progress = ProgressPublisher(store, Shower())
    assert [await progress.publish(now) for now in (0.0, 1.0, 29.0)] == [False] * 3
    assert len(shown) == 1
    await progress.publish(31.0)
    assert shown == [b'{"operations":[]}'] * 2
    for index in range(40):
        await store.ask(RequestedOperation(f"op{index}", "move", "gate", {}, "olga"))
        await store.finish(f"op{index}", "done")
    await store.ask(RequestedOperation("open", "move", "gate", {}, "olga"))
    assert await progress.publish(32.0)
    found = [one["id"] for one in json.loads(shown[-1])["operations"]]
    assert (found[0], found[1], len(found)) == ("open", "op39", 20)


def _seen(watcher: Watcher, wanted: tuple[str, str, int]) -> bool:
    return any(
        (one["id"], one["state"], one["done"]) == wanted
        for publication in watcher.publications
        for one in publication.data["operations"]
    )
