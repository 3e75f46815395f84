"""On which node something new starts, and what a rebalance moves: pure, a weighted score with its
reason (*why here*).

The terms are shares in 0..1: slots and processes for their cores, CPU and memory in use, and how
much of the site is there already, so that one node's end does not take a whole site. Lower is
better.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from actors.core.log_format import counted


class NodeView(msgspec.Struct, frozen=True):
    """A machine of the cluster. `id`: Ray's, hex. `slots`: cameras it has room for, 0 where nobody
    counts them. `draining`: Ray lets it go.

    `alive`: its raylet answered just now. Ray takes half a minute to give up a frozen node: place
    nothing new where this is False. `cores_used` and `memory_used` are shares in 0..1 where they
    are known, else 0.
    """

    id: str
    address: str = ""
    cores: float = 1.0
    memory_bytes: int = 0
    slots: int = 0
    alive: bool = True
    draining: bool = False
    head: bool = False
    cores_used: float = 0.0
    memory_used: float = 0.0


WEIGHTS = {"load": 0.4, "cpu": 0.2, "memory": 0.15, "site": 0.25}
# cameras that two nodes must differ by, for their cores, before one moves: less would move to and
# fro
GAIN = 2
FULL_PER_CORE = 64  # cameras per core that count as a full node where Ray counts no slots


class NodeLoad(msgspec.Struct, frozen=True):
    """What of ours is on a node: cameras, actor processes, hubs and policy replicas; and cameras of
    the site in question."""

    cameras: int = 0
    processes: int = 0
    services: int = 0
    of_site: int = 0


class Choice(msgspec.Struct, frozen=True):
    """A node's id, and why."""

    node: str
    why: str


def usable(nodes: Sequence[NodeView], cordoned: Collection[str]) -> list[NodeView]:
    """Those that may get something new."""
    return [node for node in nodes if node.alive and not node.draining and node.id not in cordoned]


def choose(
    nodes: Sequence[NodeView], loads: Mapping[str, NodeLoad], *, services: bool = False
) -> Choice | None:
    """The best of `nodes` (usable ones); None when there are none. `services`: for a hub or policy
    replica, which spread by themselves."""
    scored = [
        (_score(node, loads.get(node.id, NodeLoad()), services=services), node.id)
        for node in nodes
        if _has_room(node, loads, services)
    ]
    if not scored:
        return None
    (score, terms), best = min(scored, key=lambda entry: (entry[0][0], entry[1]))
    if len(scored) == 1:
        return Choice(best, "the only node that can be used")
    told = ", ".join(f"{name} {value:.2f}" for name, value in terms.items() if value)
    return Choice(
        best,
        f"lowest score of {counted(len(scored), 'node')}: {score:.3f} "
        f"({told or 'nothing runs there'})",
    )


def _has_room(node: NodeView, loads: Mapping[str, NodeLoad], services: bool) -> bool:
    return services or not node.slots or loads.get(node.id, NodeLoad()).cameras < node.slots


def _score(node: NodeView, load: NodeLoad, *, services: bool) -> tuple[float, dict[str, float]]:
    cores = max(node.cores, 0.5)
    if services:
        return load.services / cores, {"services per core": load.services / cores}
    full = node.slots or FULL_PER_CORE * cores
    terms = {
        "load": min(1.0, load.cameras / full),
        "cpu": node.cores_used,
        "memory": node.memory_used,
        "site": load.of_site / load.cameras if load.cameras else 0.0,
    }
    return sum(WEIGHTS[name] * value for name, value in terms.items()), terms


class Placed(msgspec.Struct, frozen=True):
    """A camera that may move: where it is, and for how long."""

    camera: str
    node: str
    hosted_s: float


def rebalance(
    nodes: Sequence[NodeView], cameras: Sequence[Placed], *, most: int, residence_s: float
) -> dict[str, str]:
    """camera → node: at most `most` moves that even out cameras per core. Empty: nothing improves
    any more.

    A camera that came within `residence_s` stays. Every move makes the fullest node and the
    emptiest one more alike, so it ends.
    """
    cores = {node.id: max(node.cores, 0.5) for node in nodes}
    counts = dict.fromkeys(cores, 0)
    for placed in cameras:
        if placed.node in counts:
            counts[placed.node] += 1
    movable = {
        node: [p.camera for p in cameras if p.node == node and p.hosted_s >= residence_s]
        for node in cores
    }
    moves: dict[str, str] = {}
    while len(moves) < most and len(cores) > 1:
        fullest = max(cores, key=lambda node: (counts[node] / cores[node], node))
        emptiest = min(cores, key=lambda node: (counts[node] / cores[node], node))
        gain = counts[fullest] / cores[fullest] - (counts[emptiest] + 1) / cores[emptiest]
        if gain < (GAIN - 1) / max(cores[fullest], cores[emptiest]) or not movable[fullest]:
            return moves
        camera = movable[fullest].pop()
        moves[camera] = emptiest
        counts[fullest] -= 1
        counts[emptiest] += 1
    return moves
