"""The ownership protocol of design section 6 as a model: two hosts, one camera, a supervisor that
may be wrong at any moment.

What is modelled: assignment by the supervisor; activation (compare-and-swap in PostgreSQL, then the
fence in Redis); commits that travel, may arrive late, twice, or never be answered; publications
that travel; a crash; Redis losing its fence. A pause, an expired lease and a slow network need no
step of their own: every step may come at any later time, and the supervisor assigns whenever it
likes. Nor does a move (`cluster/supervisor/hosting.py`: release, assign, adopt): a host that gives
a camera up in order leaves the world as one does that crashes while nothing of it is under way, and
the assignment comes before, after or without that. What is left out: sessions, resends and the
contents of events; the property tests of the core have them.

The transitions are those of the product: `storage/sql/cameras.sql` (activate, commit),
`storage/lua/fence.lua`, `actors/commit_loop.py`.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

OBSERVATIONS = 2
MOVES = 2  # assignments after the first
CRASHES = 1
FENCE_LOSSES = 1
DUPLICATES = 1

Variant = Literal[
    "as designed",
    "commit checks no generation",
    "commit checks no position",
    "activation keeps the generation",
    "Redis takes any generation",
    "takes an unknown outcome for done",
    "publishes before the commit",
]


class Host(NamedTuple):
    """An actor process. `waiting`: it has a commit under way for `seq` + 1. `life` counts
    activations, for the invariants alone: no step of the protocol reads it."""

    phase: Literal["idle", "activated", "active"] = "idle"
    generation: int = 0
    life: int = 0
    seq: int = 0
    waiting: bool = False


class Commit(NamedTuple):
    """A commit on its way."""

    host: int
    generation: int
    seq: int
    life: int


class World(NamedTuple):
    """Everything. `applied` are the effects on the stored state, in order; `shown` is what a hub
    shows, (generation, seq)."""

    owner: int = 0
    generation: int = 0
    last_seq: int = 0
    applied: tuple[int, ...] = ()
    fence: int = 0
    lives: int = 0
    finished: int = 0  # the newest life whose activation has finished
    shown: tuple[int, int] = (0, 0)
    acked: int = 0
    hosts: tuple[Host, ...] = (Host(), Host())
    commits: frozenset[Commit] = frozenset()
    replies: frozenset[tuple[Commit, bool]] = frozenset()
    publications: frozenset[tuple[int, int, int]] = frozenset()  # (generation, seq, life)
    moves: int = MOVES
    crashes: int = CRASHES
    fence_losses: int = FENCE_LOSSES
    duplicates: int = DUPLICATES
    broken: str = ""  # the invariant that the last step broke


def steps(world: World, variant: Variant) -> Iterator[tuple[str, World]]:
    """Everything that may happen next, with a name for each."""
    if world.moves:
        for host in range(len(world.hosts)):
            if host != world.owner:
                yield (
                    f"the supervisor assigns host {host}",
                    world._replace(owner=host, moves=world.moves - 1),
                )
    if world.fence_losses and world.fence:
        yield "Redis loses its fence", world._replace(fence=0, fence_losses=world.fence_losses - 1)
    for number in range(len(world.hosts)):
        yield from _host_steps(world, number, variant)
    for commit in world.commits:
        yield from _deliver(world, commit, variant)
    for reply in world.replies:
        yield from _answer(world, reply, variant)
    for publication in world.publications:
        yield _show(world, publication, variant)


def _with(world: World, number: int, host: Host) -> World:
    hosts = list(world.hosts)
    hosts[number] = host
    return world._replace(hosts=tuple(hosts))


def _host_steps(world: World, number: int, variant: Variant) -> Iterator[tuple[str, World]]:
    host = world.hosts[number]
    if world.crashes and host.phase != "idle":
        yield (
            f"host {number} crashes",
            _with(world._replace(crashes=world.crashes - 1), number, Host()),
        )
    if host.phase == "idle" and world.owner == number:
        yield f"host {number} activates", _activate(world, number, variant)
    if host.phase == "activated":
        yield f"host {number} raises the fence to {host.generation}", _raise(world, number)
    if host.phase == "active" and not host.waiting and host.seq < OBSERVATIONS:
        sent = _with(world, number, host._replace(waiting=True))
        commit = Commit(number, host.generation, host.seq + 1, host.life)
        sent = sent._replace(commits=sent.commits | {commit})
        if variant == "publishes before the commit":
            sent = sent._replace(
                publications=sent.publications | {(host.generation, host.seq + 1, host.life)}
            )
        yield f"host {number} sends a commit of {commit.seq}", sent


def _activate(world: World, number: int, variant: Variant) -> World:
    """Compare-and-swap on the assignment: generation + 1, and the position comes back."""
    generation = max(
        1, world.generation + (0 if variant == "activation keeps the generation" else 1)
    )
    life = world.lives + 1
    return _with(
        world._replace(generation=generation, lives=life),
        number,
        Host("activated", generation, life, world.last_seq),
    )


def _raise(world: World, number: int) -> World:
    host = world.hosts[number]
    if host.generation < world.fence:
        return _with(world, number, Host())
    raised = world._replace(fence=host.generation, finished=max(world.finished, host.life))
    return _with(raised, number, host._replace(phase="active"))


def _deliver(world: World, commit: Commit, variant: Variant) -> Iterator[tuple[str, World]]:
    """The fenced statement."""
    owned = (world.owner, world.generation) == (
        commit.host,
        commit.generation,
    ) or variant == "commit checks no generation"
    placed = world.last_seq == commit.seq - 1 or variant == "commit checks no position"
    moved = world
    if owned and placed:
        broken = "stored by a fenced owner" if commit.life < world.finished else ""
        broken = "stored twice" if commit.seq in world.applied else broken
        moved = world._replace(
            last_seq=commit.seq, applied=(*world.applied, commit.seq), broken=broken
        )
    done = owned and placed
    gone = moved._replace(commits=moved.commits - {commit})
    name = (
        f"the commit of {commit.seq} by host {commit.host} ({commit.generation}) "
        f"{'is stored' if done else 'moves no row'}"
    )
    yield name, gone._replace(replies=gone.replies | {(commit, done)})
    if world.duplicates:
        yield (
            f"{name}, and comes again",
            moved._replace(
                duplicates=world.duplicates - 1, replies=moved.replies | {(commit, done)}
            ),
        )


def _answer(
    world: World, reply: tuple[Commit, bool], variant: Variant
) -> Iterator[tuple[str, World]]:
    commit, done = reply
    rest = world._replace(replies=world.replies - {reply})
    if done:
        yield f"host {commit.host} hears that {commit.seq} is stored", _acked(rest, commit)
    else:
        yield (
            f"host {commit.host} hears that no row moved, and stops",
            _with(rest, commit.host, Host()),
        )
    if variant == "takes an unknown outcome for done":
        yield f"the answer to {commit.seq} is lost and taken for yes", _acked(rest, commit)
    else:
        yield (
            f"the answer to {commit.seq} is lost; host {commit.host} renews its generation",
            _renew(rest, commit.host, variant),
        )


def _awaited(world: World, commit: Commit) -> bool:
    host = world.hosts[commit.host]
    return (host.life, host.seq + 1, host.waiting) == (commit.life, commit.seq, True)


def _without_stale_answers(world: World) -> World:
    """An answer that nobody waits for changes nothing, whenever it comes, and nobody will wait for
    it again: lives only grow, and in a life `seq` does. Without it there are fewer worlds, and the
    same things happen in them."""
    awaited = frozenset(reply for reply in world.replies if _awaited(world, reply[0]))
    return world if len(awaited) == len(world.replies) else world._replace(replies=awaited)


def _acked(world: World, commit: Commit) -> World:
    host = world.hosts[commit.host]
    heard = _with(world, commit.host, host._replace(seq=commit.seq, waiting=False))
    acked = max(world.acked, commit.seq)
    broken = "acked and not stored" if acked > world.last_seq else ""
    return heard._replace(
        acked=acked,
        publications=heard.publications | {(host.generation, commit.seq, host.life)},
        broken=broken,
    )


def _renew(world: World, number: int, variant: Variant) -> World:
    """An unknown outcome: read again, and go on only under a generation renewed by compare-and-swap
    from the own one."""
    host = world.hosts[number]
    if (world.owner, world.generation) != (number, host.generation):
        return _with(world, number, Host())
    return _activate(world, number, variant)


def _show(world: World, publication: tuple[int, int, int], variant: Variant) -> tuple[str, World]:
    """Redis refuses a lower generation than its fence, a hub one lower than it has shown."""
    generation, seq, life = publication
    rest = world._replace(publications=world.publications - {publication})
    refused = generation < world.fence or generation < world.shown[0]
    if (refused and variant != "Redis takes any generation") or (generation, seq) <= world.shown:
        return f"the publication of {seq} ({generation}) is refused", rest
    broken = "shown and not stored" if seq > world.last_seq else ""
    if life < world.finished and world.fence_losses == FENCE_LOSSES:
        broken = "shown of a fenced owner"
    return f"the publication of {seq} ({generation}) is shown", rest._replace(
        shown=(generation, seq), broken=broken
    )


def explore(variant: Variant, limit: int) -> tuple[int, list[str]]:
    """Every world within the bounds, breadth first: how many, and the shortest way to a broken
    invariant (empty: there is none).

    Raises AssertionError when there are more than `limit` worlds.
    """
    start = World()
    came: dict[World, tuple[World, str] | None] = {start: None}
    front = [start]
    while front:
        following: list[World] = []
        for world in front:
            for name, reached in steps(world, variant):
                after = _without_stale_answers(reached)
                if after in came:
                    continue
                came[after] = (world, name)
                if after.broken:
                    return len(came), _way(came, after)
                following.append(after)
        assert len(came) <= limit, f"more than {limit} worlds"
        front = following
    return len(came), []


def _way(came: dict[World, tuple[World, str] | None], world: World) -> list[str]:
    way = [f"BROKEN: {world.broken}"]
    while (before := came[world]) is not None:
        world, name = before
        way.append(name)
    return way[::-1]
