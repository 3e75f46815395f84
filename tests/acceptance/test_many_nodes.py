"""Issue 6, *Must show*: two nodes under load, of which one is killed, frozen, drained; the
supervisor and the Ray head killed beside.

Both are real ``ray start`` processes on this machine. The checker of the load tests finds no lost
ack, no duplicate and no write of a fenced owner afterwards.
"""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cluster.cli.commands.status import SUPERVISED_S
from cluster.ray.process import descendants
from load_tests.checker.stored import install_witness
from storage.process.settings_files import read_resolved
from storage.stores import Stores, open_stores
from tests.support.cluster.joined_node import JoinedNode, joined
from tests.support.cluster.product import Product, data_folder, product
from tests.support.load.fault_runs import checked, load
from tests.support.load.fenced import HEAL_S, at, fenced, pinned
from tests.support.waiting import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

ENV = {"EYRIE_CLUSTER_ACTOR_DEAD_AFTER_S": "3"}
CAMERAS = 4  # of a load: some on either node


@pytest.fixture(scope="module")
def running() -> Iterator[Product]:
    with data_folder() as path, product(path, "--no-simulate", env=ENV) as up:
        asyncio.run(install_witness(read_resolved(up.data.settings_file).postgres))
        yield up


@pytest.fixture
async def stores(running: Product) -> AsyncIterator[Stores]:
    opened = await open_stores(read_resolved(running.data.settings_file), name="test")
    yield opened
    await opened.close()


@pytest.fixture
def node(running: Product) -> Iterator[JoinedNode]:
    with joined(running) as made:
        yield made


@pytest.mark.prove
async def test_a_killed_node_s_cameras_heal_on_the_other(
    running: Product, stores: Stores, node: JoinedNode
) -> None:
    async with load(running, stores, "killed", cameras=CAMERAS) as made:
        names = await pinned(stores, made, node)
        before = await at(stores, made)
        node.kill()
        began = time.monotonic()
        await made.more(30, within_s=HEAL_S)
        healed_s = time.monotonic() - began
        after = await at(stores, made)
        assert all(after[name][0] not in ("", node.id) for name in made.cameras)
        stored = await checked(running, made)
    fenced(stored, before, names)
    sys.stdout.write(f"killed: acks of all cameras again after {healed_s:.1f} s\n")


@pytest.mark.prove
async def test_a_frozen_node_s_cameras_heal_and_its_zombies_do_nothing_once_they_wake(
    running: Product, stores: Stores, node: JoinedNode
) -> None:
    async with load(running, stores, "frozen", cameras=CAMERAS) as made:
        names = await pinned(stores, made, node)
        before = await at(stores, made)
        zombies = {
            record.pid: record.name
            for record in await stores.actors.all()
            if record.node == node.id
        }
        node.freeze()
        began = time.monotonic()
        await made.more(30, within_s=HEAL_S)
        healed_s = time.monotonic() - began
        after = await at(stores, made)
        assert all(after[name][1] > before[name][1] and after[name][0] != node.id for name in names)
        node.thaw()
        await made.more(60, within_s=HEAL_S)
        await until(
            lambda: not any(os.path.exists(f"/proc/{pid}") for pid in zombies),
            within_s=60,
            what="the end of the zombies",
        )
        stored = await checked(running, made)
    fenced(stored, before, names)
    sys.stdout.write(f"frozen: acks of all cameras again after {healed_s:.1f} s\n")


@pytest.mark.prove
async def test_a_node_that_leaves_is_drained_first(
    running: Product, stores: Stores, node: JoinedNode
) -> None:
    async with load(running, stores, "drained", cameras=CAMERAS) as made:
        names = await pinned(stores, made, node)
        told = await asyncio.to_thread(node.leave)
        assert told == {"stopped": True, "empty": True}, node.log()
        where = await at(stores, made)
        assert all(where[name][0] not in ("", node.id) for name in names)
        await made.more(30, within_s=HEAL_S)
        await checked(running, made)
    ended = [
        operation
        for operation in await stores.cluster.operations(limit=10)
        if operation.kind == "drain" and operation.target == node.id
    ]
    assert [operation.state for operation in ended] == ["done"]


@pytest.mark.prove
async def test_a_killed_supervisor_finds_what_runs_on_both_nodes_again(
    running: Product, stores: Stores, node: JoinedNode
) -> None:
    async with load(running, stores, "supervisor", cameras=CAMERAS) as made:
        names = await pinned(stores, made, node)
        before = await at(stores, made)
        supervisors = [
            pid for pid in descendants(running.pid) if title(pid).startswith("ray::RaySupervisor")
        ]
        assert len(supervisors) == 1
        os.kill(supervisors[0], signal.SIGKILL)
        await made.more(60, within_s=HEAL_S)  # goes on without any supervisor
        async with asyncio.timeout(HEAL_S):
            while (
                (heard := await stores.api.find()) is None
                or heard.pid == supervisors[0]
                or heard.age_s > SUPERVISED_S
            ):
                await asyncio.sleep(0.1)
        after = await at(stores, made)
        assert [after[name] for name in names] == [before[name] for name in names], (
            "what still lived was to be kept"
        )
        await checked(running, made)


@pytest.mark.prove
async def test_a_killed_ray_head_is_back_within_a_minute_and_the_node_joins_again(
    running: Product, stores: Stores, node: JoinedNode
) -> None:
    async with load(running, stores, "head", cameras=CAMERAS) as made:
        await pinned(stores, made, node)
        gcs = [pid for pid in descendants(running.pid) if "gcs_server" in title(pid)]
        assert len(gcs) == 1
        began = time.monotonic()
        os.kill(gcs[0], signal.SIGKILL)
        await until(
            lambda: "the Ray head is back" in running.log(),
            within_s=120,
            what="the launcher's word",
        )
        back_s = time.monotonic() - began
        await made.more(30, within_s=HEAL_S)
        acked_s = time.monotonic() - began
        await until(
            lambda: "joined again after" in node.log(), within_s=120, what="the node's word"
        )
        await checked(running, made)
    assert back_s < 60.0
    assert re.search(r"the Ray head is back after [0-9.]+ s", running.log())
    sys.stdout.write(
        f"head killed: Ray back after {back_s:.1f} s, acks of all cameras after {acked_s:.1f} s\n"
    )


def title(pid: int) -> str:
    """The command line of a process, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""
