"""A hub that stands still on a node without the supervisor is ended by that node's own launcher,
and started again."""

import asyncio
import logging
import os
import signal
import time
from pathlib import Path

import pytest

from storage.ports.cluster import Scale, WantedShape
from storage.process.settings_files import read_resolved
from storage.stores import open_stores
from tests.support.cluster.joined_node import JoinedNode, joined
from tests.support.cluster.product import Product, data_folder, product
from tests.support.processes import frozen, gone
from tests.support.waiting import block_until

pytestmark = [pytest.mark.ray, pytest.mark.prove, pytest.mark.timeout(400)]

HEAL_S = 120.0  # seconds a machine under load may take to start a process of Ray
log = logging.getLogger(__name__)


async def want_hubs(up: Product, count: int) -> None:
    """As `eyrie cluster scale` does."""
    stores = await open_stores(read_resolved(up.data.settings_file), name="test")
    try:
        shape = WantedShape(Scale(count, 1, count), Scale(1))
        assert await stores.cluster.want(shape, expected=0, who="ann")
    finally:
        await stores.close()


def hubs(node: JoinedNode) -> list[int]:
    """The hubs that run there."""
    found = []
    for pid in node.processes():
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::RayHub"):
            found.append(pid)
    return found


def test_a_hub_that_stands_still_on_another_node_is_ended_and_started_again() -> None:
    with data_folder() as path, product(path, "--no-simulate") as up, joined(up) as node:
        asyncio.run(want_hubs(up, 2))
        block_until(lambda: hubs(node), "a hub on the further node", within_s=HEAL_S)
        [hub] = hubs(node)
        os.kill(hub, signal.SIGSTOP)
        began = time.monotonic()
        block_until(lambda: frozen(hub), "that it stands still")
        block_until(lambda: gone(hub), "its end", within_s=HEAL_S)
        log.warning("ended after %.1f s", time.monotonic() - began)
        assert f"a hub (process {hub}) is ended" in node.log()
        block_until(lambda: [pid for pid in hubs(node) if pid != hub], "another", within_s=HEAL_S)
