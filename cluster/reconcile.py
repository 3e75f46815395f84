"""What should run against what runs, as a pure function: views in, actions out (design section 5, cluster).

Level-triggered, like a Kubernetes controller: every call compares the whole, and nothing remembers that it was asked before.
"""

from collections.abc import Mapping, Sequence

import msgspec

BACKOFF_FIRST_S = 1.0  # a camera whose actor failed once is tried again after this; doubles, with jitter
BACKOFF_MAX_S = 120.0
FORGIVE_S = 60.0  # a camera that was hosted this long without a failure starts again with no back-off
MAX_FAILURES = 8  # failures in a row before a camera is quarantined
QUARANTINE_S = 900.0  # a quarantined camera is tried again after this, once; whoever mends it by hand need do no more


class ActorView(msgspec.Struct, frozen=True):
    """An actor process as observed. `phase`: ``starting``, ``ready`` or ``stopping``; `cameras`: assigned, hosted or about to be."""

    name: str
    phase: str
    cameras: tuple[str, ...]


class Limits(msgspec.Struct, frozen=True):
    """`max_starting` processes start at once; `max_actors` is what PostgreSQL has connections for."""

    cameras_per_actor: int
    max_starting: int
    max_actors: int


class StartActor(msgspec.Struct, frozen=True):
    """Start a process for these cameras."""

    cameras: tuple[str, ...]


class GiveCameras(msgspec.Struct, frozen=True):
    """Assign more cameras to a ready process with room."""

    name: str
    cameras: tuple[str, ...]


class StopActor(msgspec.Struct, frozen=True):
    """A process without cameras ends."""

    name: str


Action = StartActor | GiveCameras | StopActor


class Plan(msgspec.Struct, frozen=True):
    """The actions of one comparison, and the cameras that no process can be started for (`max_actors`)."""

    actions: list[Action]
    refused: list[str]


def compare(wanted: Sequence[str], actors: Sequence[ActorView], held: Mapping[str, float], now: float, limits: Limits) -> Plan:
    """The next actions. `wanted` is in the order of urgency; `held` says until when (monotonic) a camera is left alone."""
    placed = {camera for actor in actors for camera in actor.cameras if actor.phase != "stopping"}
    missing = [camera for camera in dict.fromkeys(wanted) if camera not in placed and held.get(camera, 0.0) <= now]
    actions: list[Action] = []
    for actor in actors:
        if actor.phase == "stopping":
            continue
        room = limits.cameras_per_actor - len(actor.cameras)
        if actor.phase == "ready" and not actor.cameras and not missing:
            actions.append(StopActor(actor.name))
        elif room > 0 and missing:
            # Cameras wait for the room in a process that is still starting, instead of starting another one.
            given, missing = missing[:room], missing[room:]
            if actor.phase == "ready":
                actions.append(GiveCameras(actor.name, tuple(given)))
    starting = sum(actor.phase == "starting" for actor in actors)
    alive = len(actors)
    while missing and starting < limits.max_starting and alive < limits.max_actors:
        given, missing = missing[: limits.cameras_per_actor], missing[limits.cameras_per_actor :]
        actions.append(StartActor(tuple(given)))
        starting += 1
        alive += 1
    return Plan(actions, missing if alive >= limits.max_actors else [])


class Trouble(msgspec.Struct):
    """The failures of one camera: how many in a row, until when it is held, and why it was quarantined."""

    failures: int = 0
    held_until: float = 0.0
    reason: str = ""
    quarantined: bool = False


def failed(trouble: Trouble, reason: str, *, hosted_s: float, now: float, jitter: float) -> None:
    """Note one more failure of a camera that had been hosted for `hosted_s`; `jitter` is random in 0..1.

    The first failure is answered at once: a crash of a healthy camera costs only the start of its successor.
    """
    trouble.failures = 1 if hosted_s >= FORGIVE_S else trouble.failures + 1
    trouble.reason = reason
    trouble.quarantined = trouble.failures >= MAX_FAILURES
    if trouble.quarantined:
        trouble.held_until = now + QUARANTINE_S
    elif trouble.failures > 1:
        pause = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** (trouble.failures - 2))
        trouble.held_until = now + pause * (0.5 + jitter / 2)
    else:
        trouble.held_until = now
