"""One run: a private stack, devices in several processes, dashboards in one, a look at everything every second, and the verdict."""

import asyncio
import contextlib
import importlib.metadata
import math
import os
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import msgspec

from actors.core.errors import StartError
from load_tests import dashboard_fleet, edge_driver
from load_tests.checker import check
from load_tests.children import Child
from load_tests.dashboard_fleet import FleetReport, FleetWish
from load_tests.driver_desk import DriverDesk
from load_tests.edge_driver import DRAIN_S, Driven, Plan, Progress
from load_tests.histogram import Histogram
from load_tests.history import Acknowledged, Operation, Sent
from load_tests.machine import this_machine
from load_tests.read_back import install_witness, read_back
from load_tests.results import percentile
from load_tests.run_result import Happened, Look, RunResult, Second
from load_tests.scenarios import Scenario, Schedule, rates
from load_tests.stack import Stack, stack
from load_tests.verdict import judge, summed
from load_tests.walkers import scene_of, walk

SITE = "load"
LOOK_S = 1.0  # seconds between two looks
LIVE_S = 90.0  # seconds in which all dashboards must be there
SESSION = "run"


def run(scenario: Scenario, seed: int, tell: Callable[[str], None], look: Look) -> RunResult:
    """Run it. `tell` gets a line about every step, `look` what every second shows. Raises StartError when the stack or a driver fails."""
    load_before = os.getloadavg()[0]
    schedule = Schedule(rates(scenario))
    pool = walk(seed, scenario.objects, schedule.total() + 1)
    names = [f"load-{number:04}" for number in range(scenario.cameras)]
    env = {
        "EYRIE_CLUSTER_CAMERAS_PER_ACTOR": str(scenario.per_actor), "EYRIE_LOG_LEVEL": "warning",
    }  # fmt: skip
    with stack(env) as running, contextlib.ExitStack() as children:
        asyncio.run(install_witness(running.settings.postgres))
        running.register(names, SITE, msgspec.json.encode(scene_of(2, 1)))
        groups = [names[index :: scenario.drivers] for index in range(min(scenario.drivers, scenario.cameras))]
        drivers = [children.enter_context(Child(edge_driver.drive, pool)) for _ in groups]
        tell(f"{running.host}:{running.port}: {len(names)} cameras, {len(drivers)} driver processes")
        for driver, group in zip(drivers, groups, strict=True):
            count = max(1, min(len(group), math.ceil(scenario.sockets / len(groups))))
            sockets = [group[index::count] for index in range(count)]
            driver.ask(
                Plan(running.host, running.port, running.token(), SESSION, sockets, scenario.fps, 0.0, scenario.duration_s, rates(scenario))
            )
        fleet = children.enter_context(_fleet(running, scenario.dashboards)) if scenario.dashboards else None
        desk = DriverDesk(drivers)
        desk.begin()
        seconds, reports, happened = _look_on(running, scenario, fleet, schedule, len(names), desk, look)
        driven = desk.finish(scenario.duration_s + 3 * DRAIN_S)
        if fleet is not None:
            time.sleep(LOOK_S)  # what was committed last is under way to the dashboards
            reports.append(fleet.report())
        history = _history(driven, pool)
        tell(f"checking {len(history)} operations")
        began = time.perf_counter()
        stored = asyncio.run(read_back(running.settings.postgres, names))
        lines = judge(check(history, stored), summed(reports), dashboards=scenario.dashboards)
        check_s = time.perf_counter() - began
    return RunResult(
        scenario, seed, importlib.metadata.version("eyrie"), this_machine(), round(load_before, 2),
        sum(sum(one.sent.values()) for one in driven), sum(sum(one.acked.values()) for one in driven), sum(one.resent for one in driven),
        len(history), dict(Histogram().merge(found for one in driven for found in one.by_second.values()).counts),
        _with_latencies(seconds, driven), happened, lines, round(check_s, 2),
    )  # fmt: skip


class _Fleet:
    def __init__(self, pipe: Connection, tell: Callable[[object], None]) -> None:
        self._pipe, self._tell = pipe, tell

    def report(self) -> FleetReport:
        self._tell("report")
        if not self._pipe.poll(60):
            raise StartError("the dashboards do not answer")
        found: FleetReport = self._pipe.recv()
        return found

    def act(self, what: str) -> None:
        self._tell(what)


@contextlib.contextmanager
def _fleet(running: Stack, clients: int) -> Iterator[_Fleet]:
    """Dashboards that are all live."""
    with Child(dashboard_fleet.watch) as child:
        fleet = _Fleet(child.pipe, child.pipe.send)
        child.pipe.send(FleetWish(running.host, running.port, [running.viewer_token() for _ in range(20)], SITE, clients))
        deadline = time.monotonic() + LIVE_S
        while (found := fleet.report()).live < clients:
            if time.monotonic() > deadline:
                raise StartError(f"{found.live} of {clients} dashboards are live after {LIVE_S:g} s: {found.errors[:3]}")
            time.sleep(0.2)
        yield fleet


def _look_on(
    running: Stack, scenario: Scenario, fleet: _Fleet | None, schedule: Schedule, cameras: int, desk: DriverDesk,
    look: Look,
) -> tuple[list[Second], list[FleetReport], list[Happened]]:  # fmt: skip
    """A look every second until the end of the run; acts at their times."""
    seconds: list[Second] = []
    reports: list[FleetReport] = []
    happened: list[Happened] = []
    acts = sorted(scenario.acts, key=lambda act: act.at)
    began = before = time.perf_counter()
    used, told = running.cpu_s(), Progress()
    for number in range(1, math.ceil(scenario.duration_s / LOOK_S) + 1):
        time.sleep(max(0.0, min(began + number * LOOK_S, began + scenario.duration_s) - time.perf_counter()))
        now = time.perf_counter()
        while fleet is not None and acts and acts[0].at * scenario.duration_s <= now - began:
            act = acts.pop(0)
            fleet.act(act.kind)
            happened.append(Happened(round(now - began, 2), act.kind))
        cpu = running.cpu_s()
        cores = {kind: round(max(0.0, total - used.get(kind, 0.0)) / (now - before), 3) for kind, total in cpu.items()}
        report = fleet.report() if fleet is not None else None
        if report is not None:
            reports.append(report)
        at_s = now - began
        due = (schedule.due(at_s) - schedule.due(max(0.0, at_s - LOOK_S))) * cameras / LOOK_S
        progress, took_s = desk.look(), now - before
        acked = Histogram(progress.latency)
        found = Second(
            round(at_s, 2), due, (progress.acked - told.acked) / took_s, acked.percentile(0.5), acked.percentile(0.99),
            percentile(sorted(report.ages), 0.99) if report else 0.0, report.live if report else 0, cores, running.rss_bytes(),
            (progress.sent - told.sent) / took_s, report.events / took_s if report else 0.0, sum(one.gaps for one in reports),
            progress.credits, progress.waiting, round(progress.oldest_s, 3),
        )  # fmt: skip
        seconds.append(found)
        look(found, happened)
        used, before, told = cpu, now, progress
    return seconds, reports, happened


def _history(driven: list[Driven], pool: list[bytes]) -> list[Operation]:
    """What the devices did, for the checker. The bodies are those of the pool."""
    found: list[Operation] = []
    for one in driven:
        for camera, sent in one.sent.items():
            found += [Sent(camera, SESSION, seq, pool[seq - 1]) for seq in range(1, sent + 1)]
        found += [Acknowledged(camera, SESSION, seq, at_s) for camera, seq, at_s in one.acks]
    return found


def _with_latencies(seconds: list[Second], driven: list[Driven]) -> list[Second]:
    found = []
    for number, second in enumerate(seconds):
        both = Histogram().merge(one.by_second.get(number, {}) for one in driven)
        found.append(msgspec.structs.replace(second, acked=float(both.total()), p50_s=both.percentile(0.5), p99_s=both.percentile(0.99)))
    return found
