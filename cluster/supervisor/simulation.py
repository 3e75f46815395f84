"""What the comparison would do until nothing is left to do (pure)."""

import msgspec

from actors.core.log_format import counted
from cluster.planning.reconcile import (
    ActorView,
    GiveCameras,
    MoveCameras,
    ReconcileLimits,
    ReleaseCameras,
    StartActor,
    StopActor,
    WantedCamera,
    compare,
)
from cluster.supervisor.models import PlanStep

MAX_ROUNDS = 5_000


def simulate(
    wanted: list[WantedCamera],
    views: dict[str, ActorView],
    limits: ReconcileLimits,
    start_s: float,
    move_s: float,
) -> tuple[list[PlanStep], float, str]:
    """Apply the comparison's actions to `views`, round by round: (steps, seconds, problem). All
    starts of a round take place at the same time. `start_s`, `move_s`: seconds of one."""
    steps: list[PlanStep] = []
    duration_s = 0.0
    for round in range(MAX_ROUNDS):
        plan = compare(wanted, list(views.values()), {}, 0.0, limits)
        if not plan.actions:
            return (
                steps,
                duration_s,
                f"{counted(len(plan.refused), 'camera finds', 'cameras find')} no process"
                if plan.refused
                else "",
            )
        starts = moves = False
        for number, action in enumerate(plan.actions):
            match action:
                case StartActor(cameras, density, incoming, node):
                    name = f"new-{round}-{number}"
                    what = f"start a process for {counted(density, 'camera')}" + (
                        f" on {node}" if node else ""
                    )
                    steps.append(PlanStep(what, name, start_s))
                    if incoming:
                        steps.append(_moving(incoming, name, move_s))
                    _take(views, {*cameras, *incoming})
                    views[name] = ActorView(
                        name, "ready", (*cameras, *incoming), density, node=node
                    )
                    starts, moves = True, moves or bool(incoming)
                case GiveCameras(name, cameras):
                    steps.append(
                        PlanStep(f"activate {counted(len(cameras), 'camera')}", name, move_s)
                    )
                    views[name] = msgspec.structs.replace(
                        views[name], cameras=(*views[name].cameras, *cameras)
                    )
                case MoveCameras(name, cameras):
                    steps.append(_moving(cameras, name, move_s))
                    _take(views, set(cameras))
                    views[name] = msgspec.structs.replace(
                        views[name], cameras=(*views[name].cameras, *cameras)
                    )
                    moves = True
                case ReleaseCameras(name, cameras):
                    steps.append(
                        PlanStep(
                            f"give up {counted(len(cameras), 'camera')}", name, move_s, cameras
                        )
                    )
                    _take(views, set(cameras))
                case StopActor(name):
                    steps.append(PlanStep("stop the empty process", name))
                    del views[name]
        duration_s += start_s * starts + move_s * moves
    return steps, duration_s, f"it does not settle within {MAX_ROUNDS} rounds"


def _take(views: dict[str, ActorView], cameras: set[str]) -> None:
    for name, view in views.items():
        if not cameras.isdisjoint(view.cameras):
            views[name] = msgspec.structs.replace(
                view, cameras=tuple(camera for camera in view.cameras if camera not in cameras)
            )


def _moving(cameras: tuple[str, ...], name: str, move_s: float) -> PlanStep:
    return PlanStep(f"move {counted(len(cameras), 'camera')}", name, move_s, cameras, move_s)
