"""Scenarios: what is driven, how hard at which time, and what is done to it. Ready-made ones and
TOML files; all values (pure)."""

import bisect
import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from actors.core.errors import StartError

STEP_S = 0.25  # seconds for which the rate of a schedule stays the same


class RatePhase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A factor on the cameras' rate. ``burst``: `factor` from `at_s` for `for_s` seconds; ``ramp``:
    from 0 up to `factor` within `for_s`; ``diurnal``: a day within the run, from `low` at its ends
    to `factor` in its middle."""

    kind: Literal["burst", "ramp", "diurnal"]
    factor: float = 1.0
    at_s: float = 0.0
    for_s: float = 30.0
    low: float = 0.1


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something done at a share (0..1) of the run. ``storm``: every dashboard loses its connection
    at once. ``slow``: the slow dashboards read nothing or a byte a second, until ``heal`` (or the
    end). ``deploy``: the hubs are replaced in order, one by one. ``kill-actor``: an actor process
    of cameras is ended by `kill -9`. ``freeze-actor``: one is stopped for `for_s` seconds, long
    enough to be replaced, and goes on afterwards. ``fault``: `what` (names of
    `load_tests.faults.stack`, with ``+`` between those at once; empty: a pair that the seed
    decides), the cause taken away after `for_s`."""

    at: float
    kind: Literal["storm", "slow", "heal", "deploy", "kill-actor", "freeze-actor", "fault"]
    for_s: float = 12.0
    what: str = ""


FaultKind = Literal["cut", "reset", "half-open", "blackhole", "corrupt"]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """About every `every_s` seconds, at moments that the seed decides. ``cut``: a reset before, in
    or after a frame of observations. ``reset``: of all connections. ``half-open``: what the hub
    says is lost for `for_s`. ``blackhole``: nothing moves for `for_s`. ``corrupt``: one bit of a
    frame of observations is turned over, where it is sure to be noticed."""

    kind: FaultKind
    every_s: float = 10.0
    for_s: float = 3.0


class Links(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A share (0..1) of the devices' sockets, or of the dashboards, reaches the hub through a fault
    proxy. Jitter is uniform on top of the latency, both one way; `bytes_per_s` is the bandwidth of
    all of them together, 0 for none. ``cut`` and ``corrupt`` are for edges."""

    between: Literal["edges", "dashboards"]
    share: float = 1.0
    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    bytes_per_s: float = 0.0
    faults: list[Fault] = []


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`fps`: observations per second and camera before the phases; `per_actor`: cameras in one
    actor process at most; `objects`: per observation; `drivers`: processes that play devices;
    `client_share`: of the cameras, played by the public edge client instead of raw sockets;
    `resend_every`: after so many frames a raw device sends its last observations again, 0 for
    never; `sdk_dashboards`: more dashboards, on the stock SDK; `slow_share`: of the dashboards,
    slow when an act says so; `budget_p99_s`: what the 99th percentile of the age of what healthy
    dashboards are shown may be (I10); `growth_every_s`: how often processes and stores are looked
    at for growth, 0 for never: memory, files, keys, tables and WAL must then stay flat
    (`load_tests.runs.growth`)."""

    name: str
    what: str = ""
    cameras: int = 20
    sockets: int = 4
    fps: float = 10.0
    objects: int = 3
    per_actor: int = 32
    client_share: float = 0.2
    resend_every: int = 0
    dashboards: int = 20
    sdk_dashboards: int = 2
    slow_share: float = 0.0
    hubs: int = 1
    drivers: int = 2
    budget_p99_s: float = 1.0
    growth_every_s: float = 0.0
    duration_s: float = 60.0
    phases: list[RatePhase] = []
    acts: list[Act] = []
    links: list[Links] = []


# Seconds that a fault has, with its healing, before the next one; of those that are not here:
# `ROOM_S`. A new Ray takes a minute.
ROOM_S, FAULT_S = 60.0, 15.0
ROOMS = {
    "kill-raylet": 150.0,
    "kill-gcs": 150.0,
    "freeze-raylet": 100.0,
    "freeze-gcs": 100.0,
    "disk-full": 90.0,
    "kill-supervisor": 40.0,
    "kill-policy": 40.0,
    "freeze-supervisor": 40.0,
    "freeze-policy": 40.0,
    "redis-connections-cut": 40.0,
    "links-cut": 40.0,
    "links-silent": 110.0,
    "links-one-way": 110.0,
    "": 80.0,
}
# Seconds that a fault lasts; of those that are not here: `FAULT_S`. A dashboard whose own link
# brings nothing and does not end hears it from its own client, when pings stay away for 35 s.
LASTS = {"links-silent": 45.0, "links-one-way": 45.0}
_ALL = ("hub", "actor", "policy", "supervisor", "driver", "redis", "postgres", "raylet", "gcs")
FAULTS = (
    *(f"kill-{process}" for process in _ALL),
    *(f"freeze-{process}" for process in _ALL),
    "away-postgres",
    "slow-postgres",
    "postgres-connections-cut",
    "postgres-read-only",
    "away-redis",
    "slow-redis",
    "redis-connections-cut",
    "redis-full",
    "redis-read-only",
    "redis-emptied",
    "disk-full",
    "descriptors-hub",
    "descriptors-actor",
    "memory-hub",
    "memory-actor",
    "links-cut",
    "links-silent",
    "links-one-way",
    "clock-forward",
    "clock-back",
)
PAIRS = 6
DISK_BYTES = 3 * 2**29  # of the data directory where disks are filled


def faults(names: Sequence[str]) -> Scenario:
    """One fault after the other, each with its room to heal; an empty name is a pair that the seed
    decides."""
    rooms = [max(ROOMS.get(name, ROOM_S) for name in one.split("+")) for one in names]
    total_s = sum(rooms) + ROOM_S / 2
    budget_s = 120.0 + 300.0 * any(
        "clock-" in name for name in names
    )  # a stepped clock's receive times look that old
    acts = [
        Act((sum(rooms[:number]) + ROOM_S / 4) / total_s, "fault", LASTS.get(name, FAULT_S), name)
        for number, name in enumerate(names)
    ]
    return Scenario(
        "faults",
        "everything that can break on one machine is broken, alone and in pairs",
        cameras=6,
        sockets=3,
        fps=5.0,
        hubs=2,
        dashboards=6,
        budget_p99_s=budget_s,
        duration_s=total_s,
        acts=acts,
        links=[Links("edges", 0.5), Links("dashboards", 0.5)],
    )


READY_MADE = {
    scenario.name: scenario
    for scenario in (
        Scenario("steady", "one rate from beginning to end"),
        Scenario(
            "rush-hour",
            "a day's curve, from a tenth of the rate to twice and back",
            phases=[RatePhase("diurnal", 2.0)],
        ),
        Scenario(
            "fan-out",
            "few cameras, very many dashboards",
            cameras=4,
            sockets=1,
            dashboards=1000,
            drivers=1,
        ),
        Scenario(
            "wall", "one site of fifty cameras on a wall", cameras=50, sockets=5, dashboards=50
        ),
        Scenario(
            "reconnect-storm",
            "every dashboard is cut off at once, twice",
            dashboards=300,
            acts=[Act(1 / 3, "storm"), Act(2 / 3, "storm")],
        ),
        Scenario(
            "burst",
            "ten times the rate for thirty seconds",
            fps=4.0,
            duration_s=90.0,
            phases=[RatePhase("burst", 10.0, 30.0, 30.0)],
        ),
        Scenario(
            "slow-readers",
            "a fifth of the dashboards reads nothing, or a byte a second, and comes back",
            dashboards=60,
            slow_share=0.2,
            acts=[Act(1 / 4, "slow"), Act(3 / 4, "heal")],
        ),
        Scenario(
            "bad-links",
            "links that are slow, cut, half open, silent, and damage frames",
            duration_s=90.0,
            resend_every=20,
            links=[
                Links(
                    "edges",
                    0.5,
                    40.0,
                    40.0,
                    faults=[
                        Fault("cut", 6.0),
                        Fault("corrupt", 15.0),
                        Fault("half-open", 30.0, 11.0),
                    ],
                ),
                Links("edges", 0.25, 20.0, 20.0, faults=[Fault("blackhole", 20.0, 4.0)]),
                Links("dashboards", 0.3, 40.0, 40.0, 2e6, faults=[Fault("reset", 20.0)]),
            ],
        ),
        Scenario(
            "deploy",
            "two hubs are replaced, one after the other",
            hubs=2,
            dashboards=100,
            duration_s=90.0,
            acts=[Act(0.2, "deploy")],
        ),
        faults([*FAULTS, *[""] * PAIRS]),
        Scenario(
            "soak",
            "an hour at half the rate, and nothing grows",
            fps=5.0,
            duration_s=3600.0,
            growth_every_s=20.0,
        ),
    )
}


def factor(phases: Sequence[RatePhase], at_s: float, duration_s: float) -> float:
    """The factor on the rate at a time of the run: the product of all phases."""
    found = 1.0
    for phase in phases:
        match phase.kind:
            case "burst":
                found *= phase.factor if phase.at_s <= at_s < phase.at_s + phase.for_s else 1.0
            case "ramp":
                found *= phase.factor * min(1.0, max(0.0, at_s - phase.at_s) / phase.for_s)
            case "diurnal":
                found *= (
                    phase.low
                    + (phase.factor - phase.low)
                    * (1 - math.cos(2 * math.pi * at_s / duration_s))
                    / 2
                )
    return found


def rates(scenario: Scenario) -> list[float]:
    """Observations per second and camera, one for every `STEP_S` of the run."""
    steps = max(1, math.ceil(scenario.duration_s / STEP_S))
    return [
        scenario.fps * factor(scenario.phases, index * STEP_S, scenario.duration_s)
        for index in range(steps)
    ]


class Schedule:
    """When which observation of a camera is due, fixed before the run: what is late is measured
    from here (no coordinated omission). Seconds since the beginning; after the last step nothing
    more is due."""

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
        return step * STEP_S + (
            min(STEP_S, left / self._rates[step]) if self._rates[step] else STEP_S
        )

    def total(self) -> int:
        """All of the run."""
        return int(self._sums[-1] + 1e-9)


def load(name: str, settings: Sequence[str] = (), duration_s: float | None = None) -> Scenario:
    """A ready-made scenario or a TOML file, with ``key=value`` on top. Raises StartError that names
    what is wrong."""
    try:
        if name.startswith("faults:"):
            values = msgspec.to_builtins(faults(name.removeprefix("faults:").split(",")))
        elif name in READY_MADE:
            values = msgspec.to_builtins(READY_MADE[name])
        elif name.endswith(".toml"):
            values = {
                "name": Path(name).stem,
                **tomllib.loads(Path(name).read_text(encoding="utf-8")),
            }
        else:
            raise StartError(
                f"there is no scenario {name}; there are {', '.join(READY_MADE)}, or a file "
                "ending in .toml"
            )
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
    for links in scenario.links:
        if not 0 <= links.share <= 1 or any(
            fault.every_s <= 0 or fault.for_s < 0 for fault in links.faults
        ):
            raise StartError(f"scenario {name}: a share of links lies in 0..1, every_s above 0")
        if links.between == "dashboards" and any(
            fault.kind in ("cut", "corrupt") for fault in links.faults
        ):
            raise StartError(
                f"scenario {name}: cut and corrupt are faults of links between edges and hub; "
                "dashboards have reset"
            )
    if (
        min(scenario.cameras, scenario.sockets, scenario.drivers) < 1
        or scenario.duration_s <= 0
        or scenario.fps <= 0
    ):
        raise StartError(
            f"scenario {name}: cameras, sockets, drivers, fps and duration_s must be above 0"
        )
    return scenario
