"""Issue 6, *Must show*: a node in a network namespace of its own joins with the token alone, and is
cut off under load.

What was cut off lives, reaches PostgreSQL (by its Unix socket) and renews its heartbeat there: the
zombie that fencing is for.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from load_tests.checker.stored import install_witness
from storage.process.settings_files import read_resolved
from storage.stores import Stores, open_stores
from tests.support.cluster.joined_node import joined
from tests.support.cluster.product import ROOT, Product, data_folder, product
from tests.support.load.fault_runs import checked, load
from tests.support.load.fenced import HEAL_S, at, fenced, pinned
from tests.support.servers.network_namespace import Namespace, impossible, namespace
from tests.support.waiting import until

pytestmark = [
    pytest.mark.ray,
    pytest.mark.prove,
    pytest.mark.timeout(500),
    pytest.mark.skipif(bool(impossible()), reason=impossible()),
]

PROBE = """
import sys
from tests.support.grpc_probe import call

def ask(port, method):
    try:
        return call(sys.argv[1], port, method)
    except OSError:
        return "none"

for port in map(int, sys.argv[2:]):
    print(port, *sorted({ask(port, method) for method in
        ("/ray.rpc.NodeInfoGcsService/GetAllNodeInfo", "/ray.rpc.NodeManagerService/GetNodeStats", "/ray.rpc.ObjectManagerService/Pull",
         "/ray.rpc.CoreWorkerService/GetCoreWorkerStats")}))
"""  # noqa: E501


@pytest.fixture(scope="module")
def network() -> Iterator[Namespace]:
    with namespace() as made:
        yield made


@pytest.fixture(scope="module")
def running(network: Namespace) -> Iterator[Product]:
    env = {"EYRIE_CLUSTER_ACTOR_DEAD_AFTER_S": "3", "EYRIE_RAY_HOST": network.here}
    with data_folder() as path, product(path, "--no-simulate", env=env) as up:
        asyncio.run(install_witness(read_resolved(up.data.settings_file).postgres))
        yield up


@pytest.fixture
async def stores(running: Product) -> AsyncIterator[Stores]:
    opened = await open_stores(read_resolved(running.data.settings_file), name="test")
    yield opened
    await opened.close()


async def test_a_cut_off_node_s_cameras_heal_and_what_it_still_writes_is_refused(
    running: Product, stores: Stores, network: Namespace
) -> None:
    with joined(running, before=network.enter) as node:
        async with load(running, stores, "cut-off", cameras=4) as made:
            names = await pinned(stores, made, node)
            before = await at(stores, made)
            zombies = {record.pid for record in await stores.actors.all() if record.node == node.id}
            network.cut()
            began = time.monotonic()
            await made.more(30, within_s=150.0)
            healed_s = time.monotonic() - began
            after = await at(stores, made)
            assert all(
                after[name][1] > before[name][1] and after[name][0] not in ("", node.id)
                for name in names
            )
            network.mend()
            await made.more(30, within_s=HEAL_S)
            await until(
                lambda: not any(os.path.exists(f"/proc/{pid}") for pid in zombies),
                within_s=120,
                what="the end of the zombies",
            )
            stored = await checked(running, made)
        fenced(stored, before, names)
    sys.stdout.write(f"cut off: acks of all cameras again after {healed_s:.1f} s\n")


def test_from_another_network_ray_s_ports_answer_nobody_without_the_token(
    running: Product, network: Namespace
) -> None:
    settings = read_resolved(running.data.settings_file)
    ports = [int(line.split()[1].rpartition(":")[2], 16) for line in listening_lines()]
    ray = sorted({port for port in ports if settings.ray.port_min <= port <= settings.ray.port_max})
    told = subprocess.run(
        [*network.enter, sys.executable, "-c", PROBE, network.here, *map(str, ray)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    answers = {int(line.split()[0]): set(line.split()[1:]) for line in told.splitlines()}
    assert set(answers) == set(ray)
    assert all(found <= {"12", "16", "none"} for found in answers.values()), (
        answers
    )  # unknown there, no token, no gRPC
    assert sum("16" in found for found in answers.values()) >= 5
    hub = subprocess.run(
        [
            *network.enter,
            sys.executable,
            "-c",
            f"import socket; socket.create_connection(({network.here!r}, {settings.hub.port}), 5)",
        ],
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert hub.returncode != 0, "a hub listens on loopback alone"


def listening_lines() -> list[str]:
    """The sockets in state LISTEN of this network (proc(5))."""
    with (
        open("/proc/net/tcp6", encoding="ascii") as six,
        open("/proc/net/tcp", encoding="ascii") as four,
    ):
        return [line for line in [*six, *four] if len(line.split()) > 3 and line.split()[3] == "0A"]
