"""What Ray knows of its nodes, and giving one back. Ray keeps much of this out of its public
interface, so all of it is in this module, and a test says which version it was tried with.

Verified with Ray 2.60: `drain_node` takes the id in hex (bytes are accepted and drain nothing), a
node that drains starts nothing and ends as soon as nothing runs there, an actor may be bound to a
node by the label ``ray.io/node-id`` that every node carries.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeVar

import ray
import ray.exceptions
from ray._private import state
from ray.autoscaler.sdk import request_resources

from actors.core.errors import Unavailable
from actors.on_ray.camera import CAMERA_SLOT
from cluster.planning.placement import NodeView

VERIFIED = "2.60"  # the version of Ray that the private parts were tried with
ANSWER_S = 2.0  # seconds a raylet may take to greet
ASK_S = 10.0  # seconds the Ray head may take
HEAD = "node:__internal_head__"  # resource of the head node
PREEMPTION = "DRAIN_NODE_REASON_PREEMPTION"  # the reason that a node may not refuse
# RFC 9113 section 3.4: a client's first bytes, here with an empty SETTINGS frame; the server
# answers by its own SETTINGS frame.
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SETTINGS_FRAME = 4

T = TypeVar("T")

_raylet: Any = import_module(
    "ray._raylet"
)  # compiled, without types, as are the generated messages
_messages: Any = import_module("ray.core.generated.autoscaler_pb2")


async def nodes() -> list[NodeView]:
    """The nodes that Ray counts among the living, the head first, then by id; `alive` when the
    raylet greeted just now. Raises Unavailable.

    Ray takes half a minute to give up a frozen node; its raylet's silence is seen at once.
    """
    known, draining = await _asked("its nodes", lambda: (ray.nodes(), _draining()))  # type: ignore[no-untyped-call]
    living = [node for node in known if node["Alive"]]
    heard = await asyncio.gather(
        *(greets(node["NodeManagerAddress"], node["NodeManagerPort"]) for node in living)
    )
    views = [
        view(node, alive=greeted, draining=node["NodeID"] in draining)
        for node, greeted in zip(living, heard, strict=True)
    ]
    return sorted(views, key=lambda found: (not found.head, found.id))


async def where(name: str, namespace: str) -> tuple[str, int] | None:
    """Node and pid of the process of a living named actor, None until its constructor is done.
    Raises Unavailable."""

    def ask() -> Mapping[str, Any]:
        try:
            handle = ray.get_actor(name, namespace)
        except ValueError:
            return {}
        found: Mapping[str, Any] = state.state.actor_table(handle._actor_id.hex())
        return found

    told = await _asked(f"where {name} runs", ask)
    return (told["Address"]["NodeID"], told["Pid"]) if told.get("State") == "ALIVE" else None


def view(node: Mapping[str, Any], *, alive: bool, draining: bool) -> NodeView:
    """One entry of `ray.nodes` in our words."""
    has: dict[str, float] = node["Resources"]
    return NodeView(
        node["NodeID"],
        node["NodeManagerAddress"],
        cores=has.get("CPU", 0.0),
        memory_bytes=int(has.get("memory", 0)),
        slots=int(has.get(CAMERA_SLOT, 0)),
        alive=alive,
        draining=draining,
        head=HEAD in has,
    )


async def greets(host: str, port: int, within_s: float = ANSWER_S) -> bool:
    """Whether a gRPC server answers there: it sends its HTTP/2 settings unasked. The kernel takes
    connections for a frozen process too."""
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(HELLO)
                return (await reader.readexactly(9))[3] == SETTINGS_FRAME
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError):
        return False


async def release(node: str, deadline_s: float) -> None:
    """See `cluster.supervisor.ports.Machine.release_node`. Nothing happens when it is gone
    already."""
    if not any(found.id == node for found in await nodes()):
        return
    deadline_ms = int((time.time() + deadline_s) * 1000)  # Ray takes a moment of the wall clock
    number = _messages.DrainNodeReason.Value(PREEMPTION)
    gcs = _raylet.GcsClient(address=ray.get_runtime_context().gcs_address)
    taken, why = await _asked(
        "for a drain", lambda: gcs.drain_node(node, number, "drained by Eyrie", deadline_ms)
    )
    if not taken:
        raise Unavailable(f"Ray does not let node {node} go: {why}")


async def request(cameras: int) -> None:
    await _asked("for resources", lambda: request_resources(bundles=[{CAMERA_SLOT: 1}] * cameras))


def bound_to(node: str) -> dict[str, Any]:
    """Options of an actor that has to run on `node`; empty: anywhere."""
    return {"label_selector": {"ray.io/node-id": node}} if node else {}


def _draining() -> set[str]:
    return set(state.state.get_draining_nodes())


async def _asked(what: str, ask: Callable[[], T]) -> T:
    """Ray's calls block: in a thread, with a deadline."""
    try:
        async with asyncio.timeout(ASK_S):
            return await asyncio.to_thread(ask)
    except TimeoutError as error:
        raise Unavailable(f"Ray did not answer in {ASK_S:g} s when asked {what}") from error
    except (ray.exceptions.RayError, RuntimeError, ConnectionError) as error:
        raise Unavailable(f"Ray cannot be asked {what}: {type(error).__name__}: {error}") from error
