"""The metrics of a process of camera actors. No camera's name is a label."""

from typing import Any, Protocol

from prometheus_client.core import CounterMetricFamily

from actors.core.messages.object_faults import LEFT_OUT, MENDED
from storage.process.metrics import Metric, families

ABOUT = {
    "processes": "Processes of camera actors.",
    "cameras": "Cameras hosted.",
    "waiting": "Observations that wait for their turn.",
    "loop_age_seconds": "Since the working loop last turned.",
    "commit_age_seconds": "Since the commit under way began, 0 without one.",
    "commits": "Commits to PostgreSQL.",
    "rows": "Cameras' rows that commits moved forward.",
    "observations": "Observations committed.",
    "events": "Events stored.",
    "not_moved": "Rows that a commit did not move: duplicates, and writes that were fenced.",
    "unknown": "Commits whose outcome had to be read back.",
    "renewals": "Generations renewed after an unknown outcome.",
}
FAULTS = (
    "Objects that were left out of their frame, clipped or changed; docs/protocols.md tells "
    "the reasons."
)


class Described(Protocol):
    """What is asked of the process."""

    def describe(self) -> dict[str, Any]: ...


def collect(actor: Described) -> list[Metric]:
    """As it is now."""
    told = actor.describe()
    gauges = {
        "processes": 1.0,
        "cameras": told["cameras"],
        "waiting": told["waiting"],
        "loop_age_seconds": told["loop_age_s"],
        "commit_age_seconds": told["commit_age_s"],
    }
    counters = {name: count for name, count in told["counts"].items() if name in ABOUT}
    faults = CounterMetricFamily("eyrie_actor_object_faults", FAULTS, labels=["reason"])
    for reason in sorted(LEFT_OUT | MENDED):
        faults.add_metric([reason], float(told["object_faults"].get(reason, 0)))
    return [*families("eyrie_actor", counters=counters, gauges=gauges, about=ABOUT), faults]
