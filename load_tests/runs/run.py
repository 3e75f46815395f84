"""One run: a private stack, devices and dashboards in processes of their own, a look at everything
every second, and the verdict."""

import asyncio
import contextlib
import importlib.metadata
import math
import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from actors.core.errors import Unavailable
from load_tests.checker.checker import check
from load_tests.checker.resources import Resources, baseline, returned, within_budget
from load_tests.checker.stored import install_witness, read_back_of
from load_tests.checker.verdict import RunObservations, judge, summed
from load_tests.checker.violations import excerpt
from load_tests.drivers import devices, sdk_dashboards
from load_tests.drivers.device_plan import DeviceProgress, Drove
from load_tests.faults import stepped_clocks
from load_tests.faults.times import times, unhealed
from load_tests.harness import recording
from load_tests.harness.child_process import BenchChild
from load_tests.harness.environment import this_machine, versions
from load_tests.harness.histogram import Histogram
from load_tests.harness.history import Operation, Stored
from load_tests.harness.processor_time import cpu_between
from load_tests.harness.results import percentile
from load_tests.harness.scenarios import DISK_BYTES, Act, Scenario, Schedule, rates
from load_tests.harness.stack import Stack, stack
from load_tests.harness.synthetic_scene import scene_of, walk
from load_tests.runs.device_plans import plans
from load_tests.runs.driver_pool import DriverPool
from load_tests.runs.fault_acts import FaultActs, excused, lost_on_their_way
from load_tests.runs.growth import Sample, grown, slopes
from load_tests.runs.growth_samples import sample
from load_tests.runs.parts import BadLinks, Dashboards, Deploy, bad_links, dashboards
from load_tests.runs.result import Happened, Look, RunResult, Second

SITE = "load"
LOOK_S = 1.0  # seconds between two looks
HUBS_S = 5.0  # seconds for which the hubs are taken to be the same
BEGIN_S = 0.5  # seconds from the word to the beginning, so that every process has heard it
LOOKS_FOR_GROWTH = 60  # at least, however short the run
QUIET_S = 20.0  # seconds at the end within which everything must have come back
READ_S = 120.0  # seconds for reading all back; a busy machine needs more than one attempt
LIVE_S = 30.0  # seconds within which every dashboard must be back at the end
SESSION = "run"


def run(
    scenario: Scenario,
    seed: int,
    tell: Callable[[str], None],
    look: Look,
    folder: Path | None = None,
) -> RunResult:
    """Run it. `tell` gets a line about every step, `look` what every second shows. `folder` gets
    the histories; without it they are thrown away. Raises StartError when the stack or a driver
    fails."""
    with contextlib.ExitStack() as kept:
        histories = folder or Path(
            kept.enter_context(tempfile.TemporaryDirectory(prefix="eyrie-histories-"))
        )
        histories.mkdir(parents=True, exist_ok=True)
        for old in [*histories.glob("*.jsonl"), *histories.glob("*.ndjson")]:
            old.unlink()
        return _Run(scenario, seed, tell, look, histories).run()


class _Run:
    def __init__(
        self, scenario: Scenario, seed: int, tell: Callable[[str], None], look: Look, folder: Path
    ) -> None:
        self._scenario, self._seed, self._tell, self._look, self._folder = (
            scenario,
            seed,
            tell,
            look,
            folder,
        )
        self._schedule = Schedule(rates(scenario))
        self._pool = walk(seed, scenario.objects, self._schedule.total() + 1)
        self._names = [f"load-{number:04}" for number in range(scenario.cameras)]
        self._happened: list[Happened] = []
        self._seconds: list[Second] = []
        self._calm_ages: list[float] = []  # until anything happened
        self._ages: list[float] = []  # from then on
        self._missing: list[str] = []
        self._told: list[str] = []
        self._deploy: Deploy | None = None
        self._samples: list[Sample] = []  # for growth
        self._ended_s = math.inf  # wall clock
        self._faults: FaultActs | None = None
        self._frozen: list[tuple[float, int]] = []  # (until seconds of the run, pid)

    def run(self) -> RunResult:
        scenario, load_before = self._scenario, os.getloadavg()[0]
        env = {
            "EYRIE_CLUSTER_CAMERAS_PER_ACTOR": str(scenario.per_actor),
            "EYRIE_LOG_LEVEL": "warning",
            "EYRIE_HUB_REPLICAS": str(scenario.hubs),
        }
        broken = "".join(act.what for act in scenario.acts)
        with (
            stack(
                env, clock="clock-" in broken, disk_bytes=DISK_BYTES * ("disk-" in broken)
            ) as running,
            contextlib.ExitStack() as children,
        ):
            asyncio.run(install_witness(running.settings.postgres))
            running.register(self._names, SITE, msgspec.json.encode(scene_of(2, 1)))
            links = children.enter_context(bad_links(running, scenario, self._seed, self._folder))
            ports = links.ports if links is not None else []
            planned = plans(
                scenario,
                self._names,
                (running.host, running.port),
                running.token(),
                SESSION,
                ports,
                self._seed,
                self._folder,
            )
            drivers = [
                children.enter_context(BenchChild(devices.drive, self._pool, plan))
                for plan in planned
            ]
            self._tell(
                f"{running.host}:{running.port}: {len(self._names)} cameras, {len(drivers)} "
                "driver processes"
            )
            pool = DriverPool(drivers)
            pool.welcome()
            self._faults = FaultActs(running, self._seed, self._happened, self._missing, links)
            proxy = next(
                (ports[n] for n, one in enumerate(scenario.links) if one.between == "dashboards"), 0
            )
            with dashboards(running, scenario, SITE, self._names, proxy, self._folder) as fleet:
                before = self._measure(running)
                drove = self._drive(running, pool, fleet, links)
                resources = self._quiet(running, fleet, before)
            history, stored = self._read(running, fleet.behind)
            began = time.perf_counter()
            strikes = self._faults.strikes if self._faults is not None else []
            history, stored = (
                stepped_clocks.history(history, strikes),
                msgspec.structs.replace(stored, moves=stepped_clocks.moves(stored.moves, strikes)),
            )
            violations, back = stepped_clocks.told_by_the_clock(
                check(excused(history, strikes), stored), strikes
            )
            self._told += (
                [f"{back} cameras have receive times that went back with the clock"] if back else []
            )
            check_s = time.perf_counter() - began
        growth, healed = slopes(self._samples), times(strikes, history, self._ended_s)
        reported = summed(fleet.reports, fleet.reports[-1].live)
        seen = RunObservations(
            # The site's stream may have a new epoch then; that it was told is checked for each
            # camera and watcher.
            msgspec.structs.replace(reported, unrecovered=0) if strikes else reported,
            fleet.size,
            resources,
            self._missing if links is not None or scenario.acts else None,
            grown(growth) if scenario.growth_every_s else None,
            [*unhealed(healed), *self._faults.not_back]
            if strikes and self._faults is not None
            else None,
        )
        lines = judge(violations, seen, lambda violation: excerpt(violation, history, stored))
        return RunResult(
            scenario,
            self._seed,
            importlib.metadata.version("eyrie"),
            this_machine(),
            round(load_before, 2),
            sum(sum(one.sent.values()) for one in drove),
            sum(sum(one.acked.values()) for one in drove),
            sum(one.resent for one in drove),
            len(history),
            dict(
                Histogram().merge(found for one in drove for found in one.by_second.values()).counts
            ),
            self._with_latencies(drove),
            sorted(self._happened, key=lambda one: one.at_s),
            lines,
            round(check_s, 2),
            self._notes(drove),
            versions(),
            growth,
            healed,
        )

    def _drive(
        self, running: Stack, pool: DriverPool, fleet: Dashboards, links: BadLinks | None
    ) -> list[Drove]:
        """The run itself, to the last ack, and until everything is healed."""
        began = time.perf_counter() + BEGIN_S
        pool.begin(began)
        if links is not None:
            links.begin(began)
        try:
            self._look_on(running, began, pool, fleet, links)
            self._ended_s = min(
                time.time(), time.time() - time.perf_counter() + began + self._scenario.duration_s
            )
        except BaseException:
            if self._deploy is not None:
                self._deploy.abandon()
            raise
        finally:
            self._thaw(running, math.inf)
            if self._faults is not None:
                self._faults.finish()
        if links is not None:
            self._happened += links.heal()
            self._missing += links.missing()
        if any(act.kind == "slow" for act in self._scenario.acts):
            fleet.say("heal")
            conflated, closed = (
                running.metric(f"eyrie_hub_{name}_total") for name in ("conflated", "slow_closed")
            )
            self._missing += [] if conflated else ["no dashboard became slow"]
            self._told = [
                f"slow dashboards got no copy of {conflated:.0f} live messages; {closed:.0f} "
                "were closed with 3008"
            ]
        if any(act.kind == "storm" for act in self._scenario.acts):
            self._missing += (
                [] if sum(report.lost for report in fleet.reports) else ["no dashboard was cut off"]
            )
        if self._deploy is not None:
            done, missing = self._deploy.finish()
            self._happened += done
            self._missing += missing
        return pool.finish(self._scenario.duration_s + 3 * devices.DRAIN_S)

    def _look_on(
        self,
        running: Stack,
        began: float,
        pool: DriverPool,
        fleet: Dashboards,
        links: BadLinks | None,
    ) -> None:
        """A look every second until the end of the run; acts at their times."""
        scenario = self._scenario
        acts = sorted(scenario.acts, key=lambda act: act.at)
        time.sleep(max(0.0, began - time.perf_counter()))
        before, used, told = began, running.cpu_of_processes(), DeviceProgress()
        for number in range(1, math.ceil(scenario.duration_s / LOOK_S) + 1):
            time.sleep(
                max(
                    0.0,
                    min(began + number * LOOK_S, began + scenario.duration_s) - time.perf_counter(),
                )
            )
            now = time.perf_counter()
            if now > began + scenario.duration_s + LOOK_S:
                break  # looks took longer than they should
            while acts and acts[0].at * scenario.duration_s <= now - began:
                self._act(acts.pop(0), running, fleet, began)
            self._thaw(running, now - began)
            if self._faults is not None:
                self._faults.undo_due(now - began)
            self._watch_growth(running, now - began)
            if self._deploy is not None:
                self._happened += self._deploy.news()
            if links is not None:
                self._happened += links.news()
            cpu, took_s, at_s = running.cpu_of_processes(), now - before, now - began
            cores = {
                kind: round(seconds / took_s, 3) for kind, seconds in cpu_between(used, cpu).items()
            }
            report, progress = fleet.report(), pool.progress()
            (self._ages if self._happened else self._calm_ages).extend(report.ages)
            acked = Histogram(progress.latency)
            due = (
                (self._schedule.due(at_s) - self._schedule.due(max(0.0, at_s - LOOK_S)))
                * len(self._names)
                / LOOK_S
            )
            found = Second(
                round(at_s, 2),
                due,
                (progress.acked - told.acked) / took_s,
                acked.percentile(0.5),
                acked.percentile(0.99),
                percentile(sorted(report.ages), 0.99),
                report.live,
                cores,
                running.rss_bytes(),
                (progress.sent - told.sent) / took_s,
                report.events / took_s,
                sum(one.gaps for one in fleet.reports),
                progress.credits,
                progress.waiting,
                round(progress.oldest_s, 3),
                max(
                    running.metric_of_hubs("eyrie_hub_queue_age_seconds", known_s=HUBS_S),
                    default=0.0,
                ),
            )
            self._seconds.append(found)
            self._look(found, self._happened)
            before, used, told = now, cpu, progress

    def _act(self, act: Act, running: Stack, fleet: Dashboards, began: float) -> None:
        at_s = time.perf_counter() - began
        if act.kind == "fault":
            assert self._faults is not None
            self._faults.act(act, at_s)
            return
        if act.kind == "deploy":
            self._deploy = Deploy(running, began)
        elif act.kind in ("kill-actor", "freeze-actor"):
            pid = running.signal_actor(
                signal.SIGKILL if act.kind == "kill-actor" else signal.SIGSTOP
            )
            self._missing += [] if pid else [f"there was no actor process for {act.kind}"]
            if pid and act.kind == "freeze-actor":
                self._frozen.append((at_s + act.for_s, pid))
        else:
            fleet.say(act.kind)
        self._happened.append(Happened(round(at_s, 2), act.kind))

    def _watch_growth(self, running: Stack, at_s: float) -> None:
        every_s = min(self._scenario.growth_every_s, self._scenario.duration_s / LOOKS_FOR_GROWTH)
        if every_s and at_s >= len(self._samples) * every_s:
            self._samples.append(sample(running, at_s))
            with (self._folder / "growth.ndjson").open(
                "ab"
            ) as kept:  # at once: a check that fails after an hour loses none
                kept.write(msgspec.json.encode(self._samples[-1]) + b"\n")

    def _thaw(self, running: Stack, at_s: float) -> None:
        """Let frozen processes go on whose time is over."""
        for until_s, pid in [one for one in self._frozen if one[0] <= at_s]:
            self._frozen.remove((until_s, pid))
            running.signal_actor(signal.SIGCONT, pid)
            self._happened.append(
                Happened(round(min(at_s, self._scenario.duration_s), 2), "thawed")
            )

    def _measure(self, running: Stack) -> Resources:
        return Resources(
            running.rss_bytes(),
            running.opened(),
            running.metric("eyrie_hub_queue_bytes"),
            running.metric("eyrie_hub_slow_clients"),
        )

    def _quiet(self, running: Stack, fleet: Dashboards, before: Resources) -> list[str]:
        """Wait until every dashboard is back and everything has been shown and given back; what has
        not."""
        fleet.wait_live(LIVE_S)
        fleet.wait_shown(QUIET_S)
        disturbed_s = min((one.at_s for one in self._happened), default=math.inf)
        before = baseline(
            before, [(second.at_s, second.rss) for second in self._seconds], disturbed_s
        )
        deadline = time.monotonic() + QUIET_S
        while (left := returned(before, self._measure(running))) and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        fleet.report()
        return [
            *left,
            *within_budget(sorted([*self._calm_ages, *self._ages]), self._scenario.budget_p99_s),
        ]

    def _read(self, running: Stack, behind: Sequence[str]) -> tuple[list[Operation], Stored]:
        """All histories, and what is stored. `behind`: watchers whose links go through a proxy."""
        history = recording.operations(
            recording.read(self._folder), lambda camera, seq: self._pool[seq - 1]
        )
        if (faults := self._faults) is not None:
            history += lost_on_their_way(faults.strikes, behind, running.settings.hub.ping_s)
        self._tell(f"checking {len(history)} operations")
        deadline = time.monotonic() + READ_S
        while True:
            try:
                return history, asyncio.run(read_back_of(running.settings, self._names))
            except Unavailable:
                if time.monotonic() > deadline:
                    raise

    def _with_latencies(self, drove: Sequence[Drove]) -> list[Second]:
        """The seconds with the acks that came in them, and the latencies of what was due in
        them."""
        found = []
        for number, second in enumerate(self._seconds):
            both = Histogram().merge(one.by_second.get(number, {}) for one in drove)
            acked = float(sum(one.acked_in.get(number, 0) for one in drove))
            found.append(
                msgspec.structs.replace(
                    second, acked=acked, p50_s=both.percentile(0.5), p99_s=both.percentile(0.99)
                )
            )
        return found

    def _notes(self, drove: Sequence[Drove]) -> list[str]:
        """What a reader of the report must know."""
        connections = sum(one.connections for one in drove)
        found = [
            *self._told,
            f"{connections} connections of devices",
            f"histories: {len(list(self._folder.glob('*.jsonl')))} files",
        ]
        if self._happened and self._calm_ages and self._ages:
            calm_ms, then_ms = (
                percentile(sorted(ages), 0.99) * 1e3 for ages in (self._calm_ages, self._ages)
            )
            found.append(
                f"what healthy dashboards were shown was {calm_ms:.0f} ms old (p99) until "
                f"something happened, {then_ms:.0f} ms then"
            )
        if late := sum(one.unanswered for one in drove):
            found.append(
                f"{late} observations were due and never acked; they count as late as the run's "
                "end found them"
            )
        if self._scenario.sdk_dashboards and not sdk_dashboards.installed():
            found.append(f"{sdk_dashboards.NAME} is absent: no dashboard ran on the stock SDK")
        return found
