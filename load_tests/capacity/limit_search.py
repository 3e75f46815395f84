"""How a limit is searched: raise the load until an objective breaks, then halve between the last
that held and the first that did not; and which part was the bottleneck there (pure)."""

import operator
import re
from collections.abc import Mapping, Sequence

import msgspec

from actors.core.errors import StartError
from load_tests.harness.histogram import Histogram

RAISE = 1.6  # from one load to the next, until an objective breaks
FINE = 1.08  # the first broken load over the last held one: near enough
MOMENT_S = 0.1
OTHER_SHARE = 0.15  # of all processors; more of it and the limit is not Eyrie's
FULL_PROCESS_CORES = 0.90  # of a process of one thread: it has no more to give
FULL_MACHINE_SHARE = 0.93  # of all processors
FIGURES = (
    "ack_p50_s",
    "ack_p99_s",
    "age_p99_s",
    "gaps",
    "lost",
    "unsent_share",
    "cores",
    "busy_share",
    "other_share",
    "largest_process_cores",
)
_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_WRITTEN = re.compile(r"\s*([a-z0-9_]+)\s*(<=|>=|<|>)\s*([0-9.eE+-]+)\s*")


class Objective(msgspec.Struct, frozen=True):
    """Something that must hold of a step's figures, as ``ack_p99_s<1.0``."""

    figure: str
    compare: str
    bound: float

    def __str__(self) -> str:
        return f"{self.figure}{self.compare}{self.bound:g}"

    def holds(self, figures: Mapping[str, float]) -> bool:
        """Whether it does."""
        return bool(_COMPARE[self.compare](figures[self.figure], self.bound))


class LoadStep(msgspec.Struct, frozen=True):
    """One load. `offered` and `acked`: observations per second, of all cameras; `figures`: those of
    :data:`FIGURES` (`busy_share`: of all processors, `other_share`: of them, by neither the product
    nor the devices); `cpu`: cores by part, `processes`: by process (part and number); `broken`: the
    objectives that did not hold."""

    offered: float
    acked: float
    figures: dict[str, float]
    cpu: dict[str, float]
    processes: dict[str, float]
    rss: dict[str, int]
    broken: list[str]


def objective(text: str) -> Objective:
    """The objective in `text`. Raises StartError that says how to write one."""
    found = _WRITTEN.fullmatch(text)
    if found is None or found[1] not in FIGURES:
        raise StartError(
            f"--objective {text}: write it as ack_p99_s<1.0; figures are {', '.join(FIGURES)}"
        )
    try:
        return Objective(found[1], found[2], float(found[3]))
    except ValueError as error:
        raise StartError(f"--objective {text}: {found[3]} is no number") from error


def next_load(tried: Sequence[tuple[float, bool]], first: float, most: float) -> float | None:
    """The load to try next, None when the limit is known well enough. `tried`: (load, whether all
    objectives held); `most`: not beyond."""
    held = max((load for load, good in tried if good), default=0.0)
    broken = min((load for load, good in tried if not good and load > held), default=0.0)
    if not tried:
        return first
    if not broken:
        return min(most, held * RAISE) if held < most else None
    if not held:
        lower = broken / 2
        return lower if lower > first / 64 else None
    return None if broken / held <= FINE else (held * broken) ** 0.5


def with_unsent(
    latency: Histogram, rate: float, sent: Sequence[int], end_s: float, from_s: float
) -> tuple[Histogram, int]:
    """The latencies with those of what was due by `end_s` and never sent: it waited at least until
    then. Also how many there are of these. Without them an overload would look better the less of
    it gets through. `rate`: of one camera; `sent`: of every camera; what was due before `from_s` is
    left out, and what was due a moment before the end, which the devices' own pace may leave."""
    found, unsent = Histogram(latency.counts), 0
    due, first = int((end_s - MOMENT_S) * rate), int(from_s * rate)
    for count in sent:
        for seq in range(max(count, first) + 1, due + 1):
            found.add(end_s - seq / rate)
            unsent += 1
    return found, unsent


def bottleneck(step: LoadStep, cores: int) -> str:
    """What holds a step back: a process at its core, the machine's processors, or a queue that
    grows with processors to spare."""
    name, most = max(step.processes.items(), key=lambda item: item[1], default=("nothing", 0.0))
    part, used = max(step.cpu.items(), key=lambda item: item[1], default=("nothing", 0.0))
    busy = step.figures["busy_share"]
    if most >= FULL_PROCESS_CORES:
        return (
            f"{name.split(' ')[0]}: one of its processes is at its core ({most:.2f} of 1), of "
            f"all processors {busy:.0%} are busy"
        )
    if busy >= FULL_MACHINE_SHARE and step.figures["other_share"] > OTHER_SHARE:
        return (
            f"other work on this machine, which takes {step.figures['other_share']:.0%} of its "
            f"{cores} cores: search again on a quiet one "
            f"({part} takes the most of this run, {used:.2f} cores)"
        )
    if busy >= FULL_MACHINE_SHARE:
        return (
            f"the machine: {busy:.0%} of {cores} cores are busy; {part} takes the most, "
            f"{used:.2f} cores"
        )
    if step.figures["unsent_share"] > 0.01:
        return (
            f"the edge queue grows ({step.figures['unsent_share']:.0%} held back by credits) "
            f"with processors to spare ({busy:.0%} busy)"
        )
    return (
        f"no processor is full ({busy:.0%} busy) and no queue grows: it is waiting; {part} "
        f"takes the most, {used:.2f} cores"
    )
