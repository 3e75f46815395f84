"""Two real raylets: what is told of them, where an actor goes, a frozen one, and one that is let go."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
import ray

from actors.core.errors import Unavailable
from actors.core.settings import RaySettings
from actors.ray_calls import answer
from cluster import ray_cluster, ray_nodes
from cluster.ports import NodeView
from cluster.ray_head import RayHead
from cluster.ray_node import RayNode
from storage.data_dir import DataDir
from tests.support.product import data_folder

pytestmark = [pytest.mark.ray, pytest.mark.timeout(180)]


class Where:
    """Says where it runs, and what its node's settings are."""

    async def tell(self) -> tuple[str, str]:
        """Ray's id of the node, and the settings file of the environment."""
        return ray.get_runtime_context().get_node_id(), os.environ.get("EYRIE_SETTINGS_FILE", "")


@pytest.fixture(scope="module")
def node() -> Iterator[RayNode]:
    """A node beside a head, and this process as a driver."""
    with data_folder() as first, data_folder() as second, pytest.MonkeyPatch.context() as patch:
        data, further = DataDir(first), DataDir(second)
        data.prepare()
        further.prepare()
        head = RayHead(data, cameras=4)
        head.spawn()
        try:
            head.wait()
            settings = RaySettings(address=head.address, token_file=str(head.token_file))
            made = RayNode(further, address=head.address, settings=settings, cameras=4, settings_file=further.settings_file)
            made.spawn()
            try:
                made.wait()
                for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"):
                    patch.setenv(name, os.environ.get(name, ""))  # connecting sets them, the test gives them back
                ray_cluster.connect(settings)
                try:
                    yield made
                finally:
                    ray_cluster.disconnect()
            finally:
                made.stop()
        finally:
            head.stop()


async def view(node: RayNode) -> NodeView | None:
    return next((found for found in await ray_nodes.nodes() if found.id == node.node_id), None)


async def until_view(node: RayNode, wanted: Any) -> None:
    deadline = time.monotonic() + 60
    while not wanted(await view(node)):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


def started(on: str) -> Any:
    actor: Any = ray.remote(Where)
    return actor.options(num_cpus=0, max_restarts=0, resources={"camera_slot": 1}, **ray_nodes.bound_to(on)).remote()


async def test_both_are_told_and_an_actor_runs_where_it_is_bound_to(node: RayNode) -> None:
    head, further = await ray_nodes.nodes()
    assert (head.head, head.alive, head.draining, head.slots) == (True, True, False, 4)
    assert (further.id, further.head, further.alive, further.slots) == (node.node_id, False, True, 4)
    for place, settings in ((head.id, ""), (further.id, str(node._settings_file))):
        assert tuple(await answer(started(place).tell.remote(), 60.0, "an actor")) == (place, settings)
    with pytest.raises(Unavailable):
        await answer(started("ab" * 28).tell.remote(), 60.0, "an actor of no node")


async def test_a_frozen_raylet_is_seen_at_once_and_seen_again_when_it_wakes(node: RayNode) -> None:
    raylet, _started = node._raylet
    os.kill(raylet, signal.SIGSTOP)
    try:
        found = await view(node)
        assert found is not None, "Ray itself gives it up much later"
        assert not found.alive
    finally:
        os.kill(raylet, signal.SIGCONT)
    await until_view(node, lambda found: found is not None and found.alive)


async def test_a_node_that_is_let_go_ends_by_itself_and_resources_can_be_asked_for(node: RayNode) -> None:
    await ray_nodes.request(8)
    await ray_nodes.release("ab" * 28, 5.0)  # one that is gone already
    assert not node.released()
    await ray_nodes.release(node.node_id, 20.0)
    await until_view(node, lambda found: found is None)
    deadline = time.monotonic() + 30
    while not node.released():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
