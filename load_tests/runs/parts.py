"""The processes around the stack of a run: dashboards, bad links, a deploy. Each is seen from the
process that leads the run."""

import contextlib
import math
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from actors.core.errors import StartError
from load_tests.checker.verdict import summed
from load_tests.drivers import dashboard_fleet, fault_links, sdk_dashboards
from load_tests.drivers.dashboard_plan import DashboardPlan, FleetReport
from load_tests.drivers.fault_links import LinksPlan, Planned
from load_tests.harness.child_process import BenchChild
from load_tests.harness.scenarios import FaultKind, Scenario
from load_tests.harness.stack import Stack
from load_tests.runs.result import Happened

PER_PROCESS = 1_000  # dashboards
LIVE_S = 90.0  # seconds in which all dashboards must be there
ANSWER_S = 60.0
SHOWN_S = 1.0  # seconds between two looks whether events still come
DEPLOY_S = 120.0  # seconds that a deploy may take beyond the end of the run
USERS = 20
MORE = 20  # cameras whose whole states a slow dashboard watches


class Dashboards:
    """All dashboards of a run, lean ones and those on the SDK."""

    def __init__(self, lean: Sequence[BenchChild], sdk: Sequence[BenchChild], size: int) -> None:
        self._lean, self._all = lean, [*lean, *sdk]
        self.size = size
        self.behind: list[str] = []  # watchers whose links go through a fault proxy
        self.reports: list[FleetReport] = []

    def report(self) -> FleetReport:
        """What happened since the report before, in all processes."""
        for child in self._all:
            child.pipe.send("report")
        found = [child.hear(ANSWER_S) for child in self._all]
        together = summed(found, sum(one.live for one in found))
        report = msgspec.structs.replace(together, ages=[age for one in found for age in one.ages])
        self.reports.append(report)
        return report

    def say(self, what: str) -> None:
        """``storm``, ``slow`` or ``heal``."""
        for child in self._lean:
            child.pipe.send(what)

    def wait_live(self, within_s: float) -> bool:
        """Wait until all are; whether they came."""
        deadline = time.monotonic() + within_s
        while self.report().live < self.size:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True

    def wait_shown(self, within_s: float, look_s: float = SHOWN_S) -> bool:
        """Wait until what was committed last has come to all of them: no event in two looks,
        `look_s` apart. How long that takes is the machine's affair; whether it ended."""
        deadline = time.monotonic() + within_s
        quiet = 0
        while quiet < 2:
            if time.monotonic() > deadline:
                return False
            time.sleep(look_s)
            quiet = 0 if self.report().events else quiet + 1
        return True


@contextlib.contextmanager
def dashboards(
    running: Stack,
    scenario: Scenario,
    site: str,
    cameras: Sequence[str],
    proxy_port: int,
    folder: Path,
) -> Iterator[Dashboards]:
    """All of them, live; at the end their histories are complete."""
    lean, sdk = scenario.dashboards, scenario.sdk_dashboards if sdk_dashboards.installed() else 0
    through = sum(links.share for links in scenario.links if links.between == "dashboards")
    tokens = [running.viewer_token(f"viewer-{number}") for number in range(USERS)]
    with contextlib.ExitStack() as children:
        made: list[list[BenchChild]] = [[], []]
        behind: list[str] = []
        more = [f"camera:{camera}" for camera in cameras[:MORE]]
        for which, (total, target) in enumerate(
            ((lean, dashboard_fleet.watch), (sdk, sdk_dashboards.watch))
        ):
            for number in range(math.ceil(total / PER_PROCESS)):
                clients = min(PER_PROCESS, total - number * PER_PROCESS)
                proc = f"{'sdk' if which else 'dashboards'}-{number}"
                proxied = 0 if which else round(clients * min(1.0, through))
                behind += [f"{proc}/{place}" for place in range(proxied)]
                child = children.enter_context(BenchChild(target))
                # The slow ones come first, those on bad links too: a scenario has either.
                child.pipe.send(
                    DashboardPlan(
                        running.host,
                        running.port,
                        tokens,
                        site,
                        clients,
                        str(folder / f"{proc}.jsonl"),
                        proc,
                        round(clients * scenario.slow_share),
                        proxied,
                        proxy_port,
                        more,
                    )
                )
                made[which].append(child)
        found = Dashboards(made[0], made[1], lean + sdk)
        found.behind = behind
        if not found.wait_live(LIVE_S):
            last = found.reports[-1]
            raise StartError(
                f"{last.live} of {found.size} dashboards are live after {LIVE_S:g} s: "
                f"{last.errors[:3]}"
            )
        yield found


class BadLinks:
    """The fault proxies. `ports`: of each `Scenario.links`."""

    def __init__(self, child: BenchChild, ports: list[int], planned: Sequence[Planned]) -> None:
        self._child = child
        self.ports = ports
        self._planned = list(planned)
        self.happened: list[Happened] = []

    def begin(self, at: float) -> None:
        """Their plan begins (perf_counter)."""
        self._child.pipe.send(at)

    def inflict(self, kind: FaultKind, for_s: float) -> None:
        """Now, on all of them. Whether it happened is heard later."""
        for number in range(len(self.ports)):
            self._planned.append(Planned(0.0, number, kind, for_s))
            self._child.pipe.send(self._planned[-1])

    def news(self) -> list[Happened]:
        """The faults since the last look."""
        found = []
        while self._child.pipe.poll():
            said = self._child.pipe.recv()
            if said is not None:
                found.append(Happened(*said))
        self.happened += found
        return found

    def heal(self) -> list[Happened]:
        """No more faults; those since the last look."""
        found = self.news()
        self._child.pipe.send("over")
        while (said := self._child.hear(ANSWER_S)) is not None:
            found.append(Happened(*said))
            self.happened.append(found[-1])
        return found

    def missing(self) -> list[str]:
        """What was planned and did not happen, by kind; a fault of the last moment may be cut short
        by the end."""
        found = []
        for kind in dict.fromkeys(fault.kind for fault in self._planned):
            planned = sum(fault.kind == kind for fault in self._planned)
            done = sum(one.what.split()[0] == kind for one in self.happened)
            if done < max(1, planned - 1):
                found.append(f"{kind} was planned {planned} times and happened {done} times")
        return found


@contextlib.contextmanager
def bad_links(
    running: Stack, scenario: Scenario, seed: int, folder: Path
) -> Iterator[BadLinks | None]:
    """None where the scenario has no bad links."""
    if not scenario.links:
        yield None
        return
    planned = fault_links.plan(scenario.links, scenario.duration_s, seed)
    wanted = LinksPlan(
        (running.host, running.port), scenario.links, planned, seed, str(folder / "links.jsonl")
    )
    with BenchChild(fault_links.carry, wanted) as child:
        yield BadLinks(child, child.hear(), planned)


class Deploy:
    """Hubs that are being replaced, from `began` (perf_counter) of the run on."""

    def __init__(self, running: Stack, began: float) -> None:
        self._hubs = running.settings.hub.replicas
        self._child = running.deploy()
        self._began = began
        self._done = 0
        self._said = b""
        assert self._child.stdout is not None
        os.set_blocking(self._child.stdout.fileno(), False)

    def news(self) -> list[Happened]:
        """The hubs replaced since the last look."""
        assert self._child.stdout is not None
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._child.stdout.fileno(), 65_536):
                self._said += data
        *lines, self._said = self._said.split(b"\n")
        at_s = round(time.perf_counter() - self._began, 2)
        words = [line.decode().split() for line in lines if line.startswith(b"replaced ")]
        found = [
            Happened(at_s, f"replaced {name} in {seconds} s") for _, name, _, _, seconds in words
        ]
        self._done += len(found)
        return found

    def abandon(self) -> None:
        """Leave the hubs as they are."""
        self._child.kill()
        self._child.communicate()

    def finish(self) -> tuple[list[Happened], list[str]]:
        """Wait for its end: what was replaced since the last look, and what was not at all."""
        try:
            self._child.wait(DEPLOY_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        found = self.news()
        assert self._child.stderr is not None
        errors = self._child.stderr.read().strip().splitlines()[-1:] or ["no reason was given"]
        self._child.communicate()
        missing = self._hubs - self._done
        return found, [
            f"{missing} of {self._hubs} hubs were not replaced: {errors[0]}"
        ] if missing else []
