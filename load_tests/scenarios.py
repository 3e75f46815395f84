"""Scenarios: what is driven, how hard at which time, and what is done to it. Ready-made ones and TOML files; all values (pure)."""

import bisect
import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from actors.core.errors import StartError

STEP_S = 0.25  # seconds for which the rate of a schedule stays the same


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A factor on the cameras' rate. ``burst``: `factor` from `at_s` for `for_s` seconds; ``ramp``: from 0 up to `factor` within `for_s`;
    ``diurnal``: a day within the run, from `low` at its ends to `factor` in its middle."""

    kind: Literal["burst", "ramp", "diurnal"]
    factor: float = 1.0
    at_s: float = 0.0
    for_s: float = 30.0
    low: float = 0.1


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something done at a share (0..1) of the run. ``storm``: every dashboard loses its connection at once."""

    at: float
    kind: Literal["storm"]


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`fps`: observations per second and camera before the phases; `per_actor`: cameras in one actor process at most; `objects`: per
    observation; `drivers`: processes that play devices."""

    name: str
    what: str = ""
    cameras: int = 20
    sockets: int = 4
    fps: float = 10.0
    objects: int = 3
    per_actor: int = 32
    dashboards: int = 20
    drivers: int = 2
    duration_s: float = 60.0
    phases: list[Phase] = []
    acts: list[Act] = []


READY_MADE = {
    scenario.name: scenario
    for scenario in (
        Scenario("steady", "one rate from beginning to end"),
        Scenario("rush-hour", "a day's curve, from a tenth of the rate to twice and back", phases=[Phase("diurnal", 2.0)]),
        Scenario("fan-out", "few cameras, very many dashboards", cameras=4, sockets=1, dashboards=1000, drivers=1),
        Scenario("wall", "one site of fifty cameras on a wall", cameras=50, sockets=5, dashboards=50),
        Scenario(
            "reconnect-storm", "every dashboard is cut off at once, twice", dashboards=300, acts=[Act(1 / 3, "storm"), Act(2 / 3, "storm")],
        ),
        Scenario("burst", "ten times the rate for thirty seconds", fps=4.0, duration_s=90.0, phases=[Phase("burst", 10.0, 30.0, 30.0)]),
        Scenario("soak", "an hour at one rate", duration_s=3600.0),
    )
}  # fmt: skip


def factor(phases: Sequence[Phase], at_s: float, duration_s: float) -> float:
    """The factor on the rate at a time of the run: the product of all phases."""
    found = 1.0
    for phase in phases:
        match phase.kind:
            case "burst":
                found *= phase.factor if phase.at_s <= at_s < phase.at_s + phase.for_s else 1.0
            case "ramp":
                found *= phase.factor * min(1.0, max(0.0, at_s - phase.at_s) / phase.for_s)
            case "diurnal":
                found *= phase.low + (phase.factor - phase.low) * (1 - math.cos(2 * math.pi * at_s / duration_s)) / 2
    return found


def rates(scenario: Scenario) -> list[float]:
    """Observations per second and camera, one for every `STEP_S` of the run."""
    steps = max(1, math.ceil(scenario.duration_s / STEP_S))
    return [scenario.fps * factor(scenario.phases, index * STEP_S, scenario.duration_s) for index in range(steps)]


class Schedule:
    """When which observation of a camera is due, fixed before the run: what is late is measured from here (no coordinated omission).
    Seconds since the beginning; after the last step nothing more is due."""

    def __init__(self, rates_per_s: Sequence[float]) -> None:
        self._rates = list(rates_per_s)
        self._sums = [0.0]
        for rate in self._rates:
            self._sums.append(self._sums[-1] + rate * STEP_S)

    def due(self, at_s: float) -> int:
        """How many are due by then."""
        step = int(at_s / STEP_S)
        if step >= len(self._rates):
            return self.total()
        return int(self._sums[step] + (at_s - step * STEP_S) * self._rates[step] + 1e-9)

    def at(self, seq: int) -> float:
        """When observation `seq` (from 1) is due."""
        step = min(bisect.bisect_left(self._sums, seq) - 1, len(self._rates) - 1)
        left = seq - self._sums[step]
        return step * STEP_S + (min(STEP_S, left / self._rates[step]) if self._rates[step] else STEP_S)

    def total(self) -> int:
        """All of the run."""
        return int(self._sums[-1] + 1e-9)


def load(name: str, settings: Sequence[str] = (), duration_s: float | None = None) -> Scenario:
    """A ready-made scenario or a TOML file, with ``key=value`` on top. Raises StartError that names what is wrong."""
    try:
        if name in READY_MADE:
            values = msgspec.to_builtins(READY_MADE[name])
        elif name.endswith(".toml"):
            values = {"name": Path(name).stem, **tomllib.loads(Path(name).read_text(encoding="utf-8"))}
        else:
            raise StartError(f"there is no scenario {name}; there are {', '.join(READY_MADE)}, or a file ending in .toml")
        for setting in settings:
            key, found, value = setting.partition("=")
            if not found:
                raise StartError(f"--set {setting}: write it as key=value")
            values |= tomllib.loads(f"{key} = {value}")
        if duration_s is not None:
            values["duration_s"] = duration_s
        scenario = msgspec.convert(values, Scenario, strict=False)
    except (OSError, ValueError) as error:  # msgspec's and tomllib's errors are ValueErrors
        raise StartError(f"scenario {name}: {error}") from error
    if min(scenario.cameras, scenario.sockets, scenario.drivers) < 1 or scenario.duration_s <= 0 or scenario.fps <= 0:
        raise StartError(f"scenario {name}: cameras, sockets, drivers, fps and duration_s must be above 0")
    return scenario
