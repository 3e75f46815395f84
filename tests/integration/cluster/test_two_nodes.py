"""Two real raylets: what is told of them, where an actor goes, a frozen one, and one that is let
go."""

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from actors.core.settings import RaySettings
from cluster.planning.placement import NodeView
from cluster.ray.head import RayHead
from cluster.ray.node import RayNode
from storage.embedded.data_dir import DataDir
from tests.support.cluster.product import data_folder
from tests.support.cluster.ray_asker import Asker, asker
from tests.support.processes import frozen
from tests.support.waiting import block_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with data_folder() as folder:
        data = DataDir(folder)
        data.prepare()
        started = RayHead(data, cameras=4)
        started.spawn()
        try:
            started.wait()
            yield started
        finally:
            started.stop()


@contextlib.contextmanager
def beside(head: RayHead) -> Iterator[tuple[RayNode, Asker]]:
    """A node beside the head, and a driver to ask."""
    with data_folder() as folder:
        data = DataDir(folder)
        data.prepare()
        node = RayNode(
            data,
            address=head.address,
            settings=RaySettings(address=head.address, token_file=str(head.token_file)),
            cameras=4,
            settings_file=data.settings_file,
        )
        node.spawn()
        try:
            node.wait()
            with asker(head.address, head.token_file) as driver:
                yield node, driver
        finally:
            node.stop()


@pytest.fixture(scope="module")
def pair(head: RayHead) -> Iterator[tuple[RayNode, Asker]]:
    """A node that stays for all tests."""
    with beside(head) as made:
        yield made


def of(pair: tuple[RayNode, Asker]) -> NodeView | None:
    """The node as the driver sees it."""
    node, driver = pair
    return next((found for found in driver.nodes() if found.id == node.node_id), None)


def test_both_are_told_and_an_actor_runs_where_it_is_bound_to(pair: tuple[RayNode, Asker]) -> None:
    node, driver = pair
    nodes = {found.id: found for found in driver.nodes()}
    further = nodes.pop(node.node_id)
    head = next(found for found in nodes.values() if found.head)
    assert (head.head, head.alive, head.draining, head.slots) == (True, True, False, 4)
    assert (further.id, further.head, further.alive, further.slots) == (
        node.node_id,
        False,
        True,
        4,
    )
    for place, settings in ((head.id, ""), (further.id, str(node._settings_file))):
        assert driver.ask("where", place) == [place, settings]
    assert driver.ask("where", "ab" * 28) is None, "no node of that id, nothing runs"


def test_a_frozen_raylet_is_seen_at_once_and_seen_again_when_it_wakes(
    pair: tuple[RayNode, Asker],
) -> None:
    raylet, _started = pair[0]._raylet
    os.kill(raylet, signal.SIGSTOP)
    try:
        block_until(
            lambda: frozen(raylet),
            "every thread of the raylet stands still: the signal alone does not say so",
        )
        found = of(pair)
        assert found is not None, "Ray itself gives it up much later"
        assert not found.alive
    finally:
        os.kill(raylet, signal.SIGCONT)
    block_until(lambda: (again := of(pair)) is not None and again.alive, "it answers again")


def test_a_node_that_is_let_go_ends_by_itself_and_resources_can_be_asked_for(
    head: RayHead,
) -> None:
    with beside(head) as pair:
        node, driver = pair
        driver.ask("request", 8)
        driver.ask("release", "ab" * 28, 5.0)  # one that is gone already
        assert not node.released()
        driver.ask("release", node.node_id, 20.0)
        block_until(lambda: of(pair) is None, "Ray has it no more")
        block_until(node.released, "its raylet has ended in order")
