"""What is asked of Ray beside its public interface: that it is there in the pinned version, and how
its answers are read."""

import asyncio
import importlib
import inspect
from collections.abc import Awaitable, Callable

import pytest
import ray
import ray.autoscaler.sdk
from ray._private import state

from cluster.ray import nodes

NODE = {
    "NodeID": "ab12",
    "Alive": True,
    "NodeManagerAddress": "10.0.0.2",
    "NodeManagerPort": 7,
    "Resources": {"CPU": 4.0, "memory": 1e9, "camera_slot": 64.0, "node:10.0.0.2": 1.0},
}


def test_the_pinned_ray_is_the_one_that_the_private_parts_were_tried_with() -> None:
    assert ray.__version__.startswith(f"{nodes.VERIFIED}."), (
        "try `tests/integration/cluster/test_two_nodes.py`, then raise VERIFIED"
    )
    assert {"drain_node", "get_draining_nodes"} <= set(
        dir(importlib.import_module("ray._raylet").InnerGcsClient)
    )
    assert callable(state.state.get_draining_nodes)
    assert nodes._messages.DrainNodeReason.Value(nodes.PREEMPTION) == 2
    assert "bundles" in inspect.signature(ray.autoscaler.sdk.request_resources).parameters


def test_a_node_is_read_as_ray_tells_it() -> None:
    view = nodes.view(NODE, alive=True, draining=True)
    assert (view.id, view.address, view.cores, view.memory_bytes, view.slots) == (
        "ab12",
        "10.0.0.2",
        4.0,
        10**9,
        64,
    )
    assert view.draining
    assert not view.head
    assert nodes.view(
        {**NODE, "Resources": {"node:__internal_head__": 1.0}}, alive=False, draining=False
    ).head


def test_an_actor_is_bound_by_the_label_of_its_node_or_not_at_all() -> None:
    assert nodes.bound_to("") == {}
    assert nodes.bound_to("ab12") == {"label_selector": {"ray.io/node-id": "ab12"}}


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def says(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer)
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("answer", "greeted"),
    [
        (bytes([0, 0, 6, 4, 0, 0, 0, 0, 0]), True),
        (b"HTTP/1.1 400 Bad Request\r\n", False),
        (b"\0\0", False),
    ],
    ids=["settings", "http1", "cut"],
)
async def test_only_settings_of_http2_are_a_greeting(answer: bytes, greeted: bool) -> None:
    server = await asyncio.start_server(
        lambda _reader, writer: says(writer, answer), "127.0.0.1", 0
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await nodes.greets("127.0.0.1", port) is greeted


async def test_who_takes_the_connection_and_says_nothing_does_not_answer() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert not await nodes.greets("127.0.0.1", port, within_s=0.05)
    assert not await nodes.greets("127.0.0.1", port)
