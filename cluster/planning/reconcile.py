"""What should run against what runs, as a pure function: views in, actions out (design section 5,
cluster).

Level-triggered, like a Kubernetes controller: every call compares the whole, and nothing remembers
that it was asked before.
"""

from collections.abc import Mapping, Sequence

import msgspec

from actors.core.backoff import bound_s

BACKOFF_FIRST_S = (
    1.0  # a camera whose actor failed once is tried again after this; doubles, with jitter
)
BACKOFF_MAX_S = 120.0
FORGIVE_S = (
    60.0  # a camera that was hosted this long without a failure starts again with no back-off
)
MAX_FAILURES = 8  # failures in a row before a camera is quarantined
SPARE_FOR_MOVES = 2  # processes beyond `max_actors` that may start so that others can end
ALONE_AFTER = 2  # times that a camera ended its process before it gets one of its own
# a quarantined camera is tried again after this, once; whoever mends it by hand need do no more
QUARANTINE_S = 900.0


class WantedCamera(msgspec.Struct, frozen=True):
    """A camera that is to be hosted, in a process of `density` cameras, on `node` unless it is
    empty.

    `avoid` names a process where it is not to stay, `into` one where it is to be.
    """

    camera: str
    density: int = 1
    node: str = ""
    avoid: str = ""
    into: str = ""


class ActorView(msgspec.Struct, frozen=True):
    """An actor process as observed. `phase`: ``starting``, ``ready`` or ``stopping``; `cameras`:
    assigned, hosted or about to be.

    `incoming` are hosted elsewhere still and move here; `density` is how many it was made for. Not
    `keeps`: its cameras are to leave it (its node is drained, or somebody wants the process
    restarted). Not `takes`: it gets nothing new (its node is cordoned).
    """

    name: str
    phase: str
    cameras: tuple[str, ...]
    density: int = 1
    incoming: tuple[str, ...] = ()
    node: str = ""
    keeps: bool = True
    takes: bool = True


class ReconcileLimits(msgspec.Struct, frozen=True):
    """`max_starting` processes start at once; `max_actors` is what PostgreSQL has connections for;
    `max_moving` cameras move at once."""

    max_starting: int
    max_actors: int
    max_moving: int = 16


class StartActor(msgspec.Struct, frozen=True):
    """Start a process for these cameras; those of `incoming` move to it from where they are, once
    it is ready."""

    cameras: tuple[str, ...]
    density: int = 1
    incoming: tuple[str, ...] = ()
    node: str = ""


class GiveCameras(msgspec.Struct, frozen=True):
    """Assign more cameras to a ready process with room."""

    name: str
    cameras: tuple[str, ...]


class MoveCameras(msgspec.Struct, frozen=True):
    """Take cameras from where they are hosted to the ready process `name`."""

    name: str
    cameras: tuple[str, ...]


class ReleaseCameras(msgspec.Struct, frozen=True):
    """Nobody wants these cameras to run any more."""

    name: str
    cameras: tuple[str, ...]


class StopActor(msgspec.Struct, frozen=True):
    """A process without cameras ends."""

    name: str


Action = StartActor | GiveCameras | MoveCameras | ReleaseCameras | StopActor


class ReconcilePlan(msgspec.Struct, frozen=True):
    """The actions of one comparison, and the cameras that no process can be started for
    (`max_actors`). `moving`: how many are still to leave where they are, these actions included."""

    actions: list[Action]
    refused: list[str]
    moving: int = 0


def compare(
    wanted: Sequence[WantedCamera],
    actors: Sequence[ActorView],
    held: Mapping[str, float],
    now: float,
    limits: ReconcileLimits,
) -> ReconcilePlan:
    """The next actions. `wanted` are in the order of urgency; `held` says until when (monotonic) a
    camera is left alone.

    A camera whose process is not as desired moves to one that is: the target is ready before
    the source is asked for it.
    """
    return _Comparison(wanted, actors, limits).plan(held, now)


class _Comparison:
    def __init__(
        self, wanted: Sequence[WantedCamera], actors: Sequence[ActorView], limits: ReconcileLimits
    ) -> None:
        self._wanted: dict[str, WantedCamera] = {}
        for desired in wanted:
            self._wanted.setdefault(desired.camera, desired)
        self._actors = actors
        self._living = [actor for actor in actors if actor.phase != "stopping"]
        self._limits = limits
        self._placed = {camera: actor for actor in self._living for camera in actor.cameras}
        self._coming = {camera for actor in self._living for camera in actor.incoming}
        self._room = {
            actor.name: actor.density - len(actor.cameras) - len(actor.incoming)
            for actor in self._living
        }
        self._open: dict[int, list[ActorView]] = {}  # by density: the processes with room
        for actor in self._living:
            if actor.keeps and actor.takes and self._room[actor.name] > 0:
                self._open.setdefault(actor.density, []).append(actor)
        self._gives: dict[str, list[str]] = {}
        self._moves: dict[str, list[str]] = {}
        self._needed: set[str] = set()  # processes that are about to get something

    def plan(self, held: Mapping[str, float], now: float) -> ReconcilePlan:
        actions: list[Action] = self._releases()
        missing = [
            desired
            for camera, desired in self._wanted.items()
            if camera not in self._placed
            and camera not in self._coming
            and held.get(camera, 0.0) <= now
        ]
        leaving = [
            desired
            for camera, desired in self._wanted.items()
            if camera not in self._coming
            and (host := self._placed.get(camera)) is not None
            and host.phase == "ready"
            and not _fits(host, desired)
        ]
        budget = max(0, self._limits.max_moving - len(self._coming))
        waiting = [desired for desired in missing if not self._find_room(desired, self._gives)]
        movers = [
            desired for desired in leaving[:budget] if not self._find_room(desired, self._moves)
        ]
        if not missing and not leaving and not self._coming:
            self._pack(budget)
        starts, refused = self._starts(waiting, movers)
        actions += [GiveCameras(name, tuple(cameras)) for name, cameras in self._gives.items()]
        actions += [MoveCameras(name, tuple(cameras)) for name, cameras in self._moves.items()]
        for actor in self._living:
            idle = (
                actor.phase == "ready"
                and not actor.cameras
                and not actor.incoming
                and actor.name not in self._needed
            )
            if idle and not any(
                desired.density == actor.density for desired in waiting if actor.keeps
            ):
                actions.append(StopActor(actor.name))
        return ReconcilePlan([*actions, *starts], refused, len(leaving) + len(self._coming))

    def _releases(self) -> list[Action]:
        unwanted = {
            actor.name: tuple(camera for camera in actor.cameras if camera not in self._wanted)
            for actor in self._living
            if actor.phase == "ready"
        }
        return [ReleaseCameras(name, cameras) for name, cameras in unwanted.items() if cameras]

    def _find_room(self, desired: WantedCamera, given: dict[str, list[str]]) -> bool:
        """Give it to a process with room, or let it wait for one that starts; False when there is
        none."""
        for actor in self._open.get(desired.density, ()):
            if self._room[actor.name] > 0 and _fits(actor, desired):
                self._room[actor.name] -= 1
                self._needed.add(actor.name)
                if actor.phase == "ready":
                    given.setdefault(actor.name, []).append(desired.camera)
                return True
        return False

    def _starts(
        self, waiting: Sequence[WantedCamera], movers: Sequence[WantedCamera]
    ) -> tuple[list[Action], list[str]]:
        starting = sum(actor.phase == "starting" for actor in self._actors)
        alive = len(self._actors)
        groups: dict[tuple[bool, int, str], list[str]] = {}
        for desired in waiting:
            groups.setdefault((False, desired.density, desired.node), []).append(desired.camera)
        for desired in movers:
            if not desired.into:
                groups.setdefault((True, desired.density, desired.node), []).append(desired.camera)
        actions: list[Action] = []
        refused: list[str] = []
        for (moves, density, node), cameras in groups.items():
            most = self._limits.max_actors + (SPARE_FOR_MOVES if moves else 0)
            for first in range(0, len(cameras), density):
                group = tuple(cameras[first : first + density])
                if alive >= most:
                    refused += [] if moves else group
                elif starting < self._limits.max_starting:
                    actions.append(
                        StartActor((), density, group, node)
                        if moves
                        else StartActor(group, density, (), node)
                    )
                    starting += 1
                    alive += 1
        return actions, refused

    def _pack(self, budget: int) -> None:
        """Everything is where it should be: the emptiest process of a density gives its cameras to
        others that have the room.

        At most half full, so that what comes and goes does not move cameras to and fro.
        """
        for density, roomy in self._open.items():
            hosts = [actor for actor in roomy if actor.phase == "ready" and actor.cameras]
            if density == 1 or len(hosts) < 2:
                continue
            giver = min(hosts, key=lambda actor: (len(actor.cameras), actor.name))
            others = [actor for actor in hosts if actor is not giver and actor.node == giver.node]
            others.sort(key=lambda actor: (self._room[actor.name], actor.name))
            wanted = [self._wanted[camera] for camera in giver.cameras if camera in self._wanted]
            if len(giver.cameras) > min(density // 2, budget) or sum(
                self._room[actor.name] for actor in others
            ) < len(wanted):
                continue
            for desired in wanted:
                for actor in others:
                    if self._room[actor.name] > 0 and _fits(actor, desired):
                        self._room[actor.name] -= 1
                        self._needed.add(actor.name)
                        self._moves.setdefault(actor.name, []).append(desired.camera)
                        break
            budget -= len(wanted)


def _fits(actor: ActorView, desired: WantedCamera) -> bool:
    return (
        actor.keeps
        and actor.density == desired.density
        and desired.node in ("", actor.node)
        and desired.avoid != actor.name
        and desired.into in ("", actor.name)
    )


class Trouble(msgspec.Struct):
    """The failures of one camera: how many in a row, until when it is held, and why it was
    quarantined.

    `deaths`: processes that ended while they were busy with it; `alone`: for that it has one of its
    own, until it is released.
    """

    failures: int = 0
    held_until: float = 0.0
    reason: str = ""
    quarantined: bool = False
    deaths: int = 0
    alone: bool = False


def failed(trouble: Trouble, reason: str, *, hosted_s: float, now: float, jitter: float) -> None:
    """Note one more failure of a camera that had been hosted for `hosted_s`; `jitter` is random in
    0..1.

    The first failure is answered at once: a crash of a healthy camera costs only the start of its
    successor.
    """
    trouble.failures = 1 if hosted_s >= FORGIVE_S else trouble.failures + 1
    trouble.reason = reason
    trouble.quarantined = trouble.failures >= MAX_FAILURES
    if trouble.quarantined:
        trouble.held_until = now + QUARANTINE_S
    elif trouble.failures > 1:
        pause = bound_s(trouble.failures - 2, BACKOFF_FIRST_S, BACKOFF_MAX_S)
        trouble.held_until = now + pause * (0.5 + jitter / 2)
    else:
        trouble.held_until = now


def ended_its_process(trouble: Trouble) -> bool:
    """Note that a process ended while it was busy with the camera; whether the camera is alone from
    now on.

    That is evidence of this camera, which time does not weaken: only a release forgets it.
    """
    trouble.deaths += 1
    newly = trouble.deaths >= ALONE_AFTER and not trouble.alone
    trouble.alone = trouble.alone or newly
    return newly
