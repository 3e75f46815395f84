"""Where the cameras of a load are, how they come onto a node, and that nothing of an owner that was
replaced is stored."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from load_tests.harness.history import Stored
from storage.stores import Stores
from tests.support.cluster.joined_node import JoinedNode
from tests.support.load.fault_load import Load

HEAL_S = 90.0  # seconds on a busy machine


async def at(stores: Stores, made: Load) -> dict[str, tuple[str, int, str]]:
    """Camera → node, generation and owner."""
    records = {record.name: record for record in await stores.actors.all()}
    held = await stores.cameras.ownership(list(made.cameras))
    owners = {name: row.owner or "" for name, row in held.items()}
    return {
        name: (records[owner].node if owner in records else "", held[name].generation, owner)
        for name, owner in owners.items()
    }


async def pinned(stores: Stores, made: Load, node: JoinedNode) -> list[str]:
    """Two cameras of the load, ordered onto `node` and there."""
    names = list(made.cameras)[:2]
    for name in names:
        await stores.cluster.order("camera", name, node=node.id, reason="for the test", who="test")

    async def there() -> bool:
        where = await at(stores, made)
        return all(where[name][0] == node.id for name in names)

    await until_true(there, "the cameras are on the node")
    for name in names:  # an order would keep them from healing elsewhere
        await stores.cluster.order("camera", name, node="", who="test")
    await made.more(20, within_s=HEAL_S)
    return names


async def until_true(
    ask: Callable[[], Awaitable[bool]], what: str, within_s: float = HEAL_S
) -> None:
    deadline = time.monotonic() + within_s
    while not await ask():
        assert time.monotonic() < deadline, f"this did not come true in {within_s:g} s: {what}"
        await asyncio.sleep(0.1)


def fenced(stored: Stored, before: dict[str, tuple[str, int, str]], names: list[str]) -> None:
    """Nothing of the old owners was stored after their successors' first write."""
    for name in names:
        _node, generation, owner = before[name]
        replaced = min(
            move.at_s
            for move in stored.moves
            if move.camera == name and move.generation > generation
        )
        assert not [
            move
            for move in stored.moves
            if move.camera == name and move.writer == owner and move.at_s > replaced
        ]
