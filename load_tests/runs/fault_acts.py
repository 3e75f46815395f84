"""The faults of a run, from the process that leads it: struck at their time, their cause taken away
at its end, all of it written down."""

import math
import random
import time
from collections.abc import Mapping, Sequence

import msgspec

from actors.core.errors import EyrieError
from load_tests.drivers.simulated_dashboard import PATIENCE_S
from load_tests.faults.stack import PROCESSES, find_all, strike
from load_tests.faults.struck import Struck
from load_tests.faults.times import Strike
from load_tests.harness.history import Closed, LostOnItsWay, Operation
from load_tests.harness.scenarios import Act, FaultKind
from load_tests.harness.stack import Stack
from load_tests.runs.parts import BadLinks
from load_tests.runs.result import Happened

# What a seeded pair is made of: faults that can be on at the same time.
OF_PAIRS = (
    "kill-hub",
    "kill-actor",
    "kill-policy",
    "kill-supervisor",
    "kill-redis",
    "kill-postgres",
    "freeze-hub",
    "freeze-actor",
    "freeze-redis",
    "freeze-postgres",
    "redis-full",
    "postgres-connections-cut",
    "redis-connections-cut",
)
# Of the links that go through fault proxies: half of the devices' and half of the dashboards'.
OF_LINKS: Mapping[str, FaultKind] = {
    "links-cut": "reset",
    "links-silent": "blackhole",
    "links-one-way": "half-open",
}
WITHOUT_AN_END = ("blackhole", "half-open")
LONGEST_UNDO_S = 60.0
LATE_PING_S = 2.0  # seconds by which a ping or the look for it may be late
# seconds after a fault in which what it had broken may end without a word: a new Ray takes that
# long on a busy machine
EXCUSED_S = 150.0


class FaultActs:
    """What was done is added to `happened`, what could not be to `missing`."""

    def __init__(
        self,
        running: Stack,
        seed: int,
        happened: list[Happened],
        missing: list[str],
        links: BadLinks | None = None,
    ) -> None:
        self._running, self._seed, self._links = running, seed, links
        self._on: list[tuple[float, Struck]] = []  # (until seconds of the run, fault)
        self._ended: list[
            tuple[int, str, float, int]
        ] = []  # (place in `strikes`, process, when, how many there must be)
        self.strikes: list[Strike] = []
        self.not_back: list[str] = []  # processes that were ended and are nowhere at the end
        self.happened, self.missing = happened, missing

    def act(self, act: Act, at_s: float) -> None:
        """Do what the act says, at `at_s` of the run."""
        found = (
            act.what.split("+")
            if act.what
            else random.Random(f"{self._seed}/{act.at}").sample(OF_PAIRS, 2)
        )
        for name in found:
            if name in OF_LINKS:
                self._strike_links(name, act.for_s)
                continue
            process = name.partition("-")[2]
            try:
                there = len(find_all(self._running, process)) if process in PROCESSES else 0
                struck = strike(self._running, name)
            except (EyrieError, OSError) as error:
                self.missing.append(f"{name}: {error}")
                continue
            self.happened.append(Happened(round(at_s, 2), f"{name}: {struck.proof}"))
            if struck.ended is not None:
                self._ended.append((len(self.strikes), process, struck.at_s, there))
                self.strikes.append(Strike(struck.name, struck.at_s, struck.at_s, struck.proof))
            elif not struck.lasts:
                self.strikes.append(Strike(struck.name, struck.at_s, struck.at_s, struck.proof))
            else:
                self._on.append((at_s + act.for_s, struck))

    def _strike_links(self, name: str, for_s: float) -> None:
        if self._links is None:
            self.missing.append(f"{name}: no link goes through a proxy")
            return
        now_s = time.time()
        self._links.inflict(OF_LINKS[name], for_s)
        lasts_s = 0.0 if name == "links-cut" else for_s
        self.strikes.append(Strike(name, now_s, now_s + lasts_s, "said by the proxies"))

    def undo_due(self, at_s: float) -> None:
        """Take away the causes whose time is over; one that cannot be taken away yet is tried again
        at the next look. See who is back."""
        for ended in list(self._ended):
            place, process, ended_s, there = ended
            if len(find_all(self._running, process)) >= there:
                self._ended.remove(ended)
                self.strikes[place] = msgspec.structs.replace(
                    self.strikes[place], back_s=round(time.time() - ended_s, 1)
                )
        for one in [one for one in self._on if one[0] <= at_s]:
            try:
                one[1].over()
            except (EyrieError, OSError) as error:
                if at_s == math.inf:
                    self.missing.append(f"{one[1].name} could not be ended: {error}")
                continue
            self._on.remove(one)
            self.strikes.append(Strike(one[1].name, one[1].at_s, time.time(), one[1].proof))
            if at_s < 1e9:
                self.happened.append(
                    Happened(
                        round(at_s, 2), f"{one[1].name} is over: {one[1].proof.rpartition('; ')[2]}"
                    )
                )

    def finish(self) -> None:
        """Everything is over. What cannot be taken away within `LONGEST_UNDO_S` is missing."""
        deadline = time.monotonic() + LONGEST_UNDO_S
        while (self._on or self._ended) and time.monotonic() < deadline:
            self.undo_due(1e9)
            time.sleep(0.5)
        self.undo_due(math.inf)
        self.not_back = [
            f"{process} is not back {time.time() - ended_s:.0f} s after it was ended"
            for _, process, ended_s, _ in self._ended
        ]


def lost_on_their_way(
    strikes: Sequence[Strike], watchers: Sequence[str], ping_s: float
) -> list[LostOnItsWay]:
    """For each of the `watchers` whose links go through the proxies and each time in which those
    lost or held what goes to it, without an end. `ping_s`: between two pings of the hub."""
    told_s = ping_s + PATIENCE_S + LATE_PING_S
    return [
        LostOnItsWay(watcher, one.at_s, one.over_s, told_s)
        for one in strikes
        if OF_LINKS.get(one.name) in WITHOUT_AN_END
        for watcher in watchers
    ]


def excused(history: list[Operation], strikes: Sequence[Strike]) -> list[Operation]:
    """Without the ends of connections that had no close frame because a process was ended or stood
    still: it could not write one."""
    spans = [(one.at_s, one.over_s + EXCUSED_S) for one in strikes]
    return [
        one
        for one in history
        if not (
            isinstance(one, Closed)
            and not one.code
            and any(first <= one.at_s <= last for first, last in spans)
        )
    ]
