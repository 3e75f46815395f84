"""``find-limit``: one private stack, and load after load on it (open loop) until the objectives of
`limit_search` say where the limit is.

Every load is a session of its own: the cameras stay, their rate changes. Its first seconds are not
counted; what was due and held back is.
"""

import importlib.metadata
import math
import os
import time
from collections.abc import Callable, Sequence

import msgspec

from load_tests.capacity import limit_search
from load_tests.capacity.limit_page import LimitResult
from load_tests.capacity.limit_search import LoadStep, Objective
from load_tests.capacity.load_window import (
    SITE,
    DashboardLoad,
    Devices,
    dashboards,
    devices,
    names_of,
)
from load_tests.drivers.bench_devices import Driven
from load_tests.drivers.dashboard_plan import FleetReport
from load_tests.harness.environment import busy_and_all_s, this_machine
from load_tests.harness.histogram import Histogram
from load_tests.harness.results import percentile
from load_tests.harness.scenarios import Scenario
from load_tests.harness.stack import Stack, stack
from load_tests.harness.synthetic_scene import scene_of, walk

WARM_S = 2.0  # of every load, not counted
COOL_S = 1.5  # between two loads
MOST_PER_S = 80_000.0  # observations per second offered at most, of all cameras


class _Look(msgspec.Struct, frozen=True):
    at: float
    busy_s: float
    all_s: float
    cpu: dict[str, float]


class _Search:
    def __init__(
        self,
        running: Stack,
        scenario: Scenario,
        step_s: float,
        sending: Devices,
        watching: DashboardLoad,
    ) -> None:
        self._running, self._scenario, self.step_s = running, scenario, step_s
        self._sending, self._watching = sending, watching

    def step(self, offered: float, objectives: Sequence[Objective]) -> LoadStep:
        """Offer a load of so many observations per second."""
        rate = offered / self._scenario.cameras
        self._watching.report()
        driven, first, last = self._sending.drive(rate, WARM_S, self.step_s - WARM_S, self._look)
        took_s = last.at - first.at
        cores = {
            name: max(0.0, now - first.cpu.get(name, 0.0)) / took_s
            for name, now in last.cpu.items()
        }
        busy_share = (last.busy_s - first.busy_s) / max(last.all_s - first.all_s, 1e-9)
        return made(
            offered,
            rate,
            objectives,
            self.step_s,
            driven,
            cores,
            busy_share,
            self._running.rss_bytes(),
            self._watching.report(),
        )

    def _look(self) -> _Look:
        return _Look(time.perf_counter(), *busy_and_all_s(), self._running.cpu_of_processes())


def made(
    offered: float,
    rate: float,
    objectives: Sequence[Objective],
    step_s: float,
    driven: Sequence[Driven],
    cores: dict[str, float],
    busy_share: float,
    rss: dict[str, int],
    seen: FleetReport | None,
) -> LoadStep:
    """The step that these figures make. `rate`: observations per second and camera; `cores`: by
    process, named by its part and number."""
    counted = Histogram()
    for one in driven:
        for took_s in one.from_due_s:
            counted.add(took_s)
    sent = [count for one in driven for count in one.sent.values()]
    latency, unsent = limit_search.with_unsent(counted, rate, sent, step_s, WARM_S)
    cpu: dict[str, float] = {}
    for name, used in cores.items():
        part = name.split(" ")[0]
        cpu[part] = cpu.get(part, 0.0) + used
    figures = {
        "ack_p50_s": latency.percentile(0.5),
        "ack_p99_s": latency.percentile(0.99),
        "unsent_share": unsent / max(1, latency.total()),
        "age_p99_s": percentile(sorted(seen.ages), 0.99) if seen else 0.0,
        "gaps": float(seen.gaps) if seen else 0.0,
        "lost": float(seen.lost) if seen else 0.0,
        "cores": sum(cpu.values()),
        "busy_share": busy_share,
        "other_share": max(
            0.0,
            busy_share
            - (sum(cpu.values()) + sum(one.cpu_s for one in driven) / step_s)
            / this_machine().cores,
        ),
        "largest_process_cores": max(cores.values(), default=0.0),
    }
    return LoadStep(
        offered,
        sum(one.in_window for one in driven) / (step_s - WARM_S),
        figures,
        {part: round(used, 3) for part, used in sorted(cpu.items())},
        {name: round(used, 3) for name, used in cores.items() if used >= 0.02},
        rss,
        [str(one) for one in objectives if not one.holds(figures)],
    )


def run(
    scenario: Scenario,
    seed: int,
    objectives: Sequence[Objective],
    *,
    step_s: float,
    budget_s: float,
    tell: Callable[[str], None],
) -> LimitResult:
    """Search for at most `budget_s` seconds, from the scenario's own rate upwards. Raises
    StartError when the stack or a driver fails."""
    began, load_before = time.monotonic(), os.getloadavg()[0]
    pool = walk(seed, scenario.objects, math.ceil(MOST_PER_S / scenario.cameras * step_s) + 1)
    steps: list[LoadStep] = []
    env = {"EYRIE_CLUSTER_CAMERAS_PER_ACTOR": str(scenario.per_actor), "EYRIE_LOG_LEVEL": "warning"}
    with stack(env) as running:
        running.register(names_of(scenario.cameras), SITE, msgspec.json.encode(scene_of(2, 1)))
        with (
            devices(
                running, pool, scenario.cameras, drivers=scenario.drivers, sockets=scenario.sockets
            ) as sending,
            dashboards(running, scenario.dashboards) as watching,
        ):
            search = _Search(running, scenario, step_s, sending, watching)
            why = _search(
                search, scenario, objectives, steps, budget_s - (time.monotonic() - began), tell
            )
    return concluded(
        scenario, seed, objectives, steps, step_s, why, time.monotonic() - began, load_before
    )


def _search(
    search: _Search,
    scenario: Scenario,
    objectives: Sequence[Objective],
    steps: list[LoadStep],
    budget_s: float,
    tell: Callable[[str], None],
) -> str:
    """Add to `steps` what is tried; why it ended."""
    began = time.monotonic()
    while (
        load := limit_search.next_load(
            [(step.offered, not step.broken) for step in steps],
            scenario.cameras * scenario.fps,
            MOST_PER_S,
        )
    ) is not None:
        if time.monotonic() - began + search.step_s + COOL_S > budget_s:
            return "the time was over"
        steps.append(search.step(load, objectives))
        tell(_line(steps[-1]))
        time.sleep(COOL_S)
    return (
        "limit found"
        if any(step.broken for step in steps)
        else "the greatest load that is offered held"
    )


def concluded(
    scenario: Scenario,
    seed: int,
    objectives: Sequence[Objective],
    steps: Sequence[LoadStep],
    step_s: float,
    why: str,
    took_s: float,
    load_before: float,
) -> LimitResult:
    """What the steps say together."""
    machine = this_machine()
    held = max((step.offered for step in steps if not step.broken), default=0.0)
    broken = min(
        (step for step in steps if step.broken and step.offered > held),
        key=lambda step: step.offered,
        default=None,
    )
    return LimitResult(
        scenario,
        seed,
        importlib.metadata.version("eyrie"),
        machine,
        round(load_before, 2),
        [str(one) for one in objectives],
        step_s,
        sorted(steps, key=lambda step: step.offered),
        held,
        broken.offered if broken else 0.0,
        list(broken.broken) if broken else [],
        limit_search.bottleneck(broken, machine.cores) if broken else "none was met",
        why,
        round(took_s, 1),
    )


def _line(step: LoadStep) -> str:
    figures = step.figures
    top = ", ".join(
        f"{part} {used:.2f}"
        for part, used in sorted(step.cpu.items(), key=lambda item: -item[1])[:4]
    )
    return (
        f"offered {step.offered:>9,.0f}/s  acked {step.acked:>9,.0f}/s  p50 "
        f"{figures['ack_p50_s'] * 1e3:6.0f} ms  "
        f"p99 {figures['ack_p99_s'] * 1e3:6.0f} ms  held back {figures['unsent_share']:.1%}  "
        f"busy {figures['busy_share']:.0%}  "
        f"({top} cores)  " + (f"BROKEN {', '.join(step.broken)}" if step.broken else "holds")
    )
