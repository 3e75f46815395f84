"""A worker's metrics. No job's, lane's or kind's name is a label."""

from collections.abc import Mapping

from storage.process.metrics import Metric, families
from workers.worker import WorkerCounts

ABOUT = {
    "jobs_claimed": "Jobs that this worker began, each attempt for itself.",
    "jobs_done": "Of them, those that ended well.",
    "jobs_failed": "Attempts that failed and are followed by another.",
    "jobs_dead": "Jobs that failed for the last time.",
    "jobs_cancelled": "Jobs that somebody cancelled while they ran.",
    "jobs_lost": "Jobs that went to another worker: this one was too slow, or cut off.",
    "jobs_given_back": "Jobs that a stopping worker left to others.",
    "jobs_running": "Jobs that this worker holds.",
    "connectors_running": "Connectors that this worker runs.",
}


def collect(ends: Mapping[str, int], running: int, connectors: int) -> list[Metric]:
    """As it is now."""
    counters = {f"jobs_{name}": float(ends.get(name, 0)) for name in WorkerCounts.NAMES}
    gauges = {"jobs_running": float(running), "connectors_running": float(connectors)}
    return families("eyrie_worker", counters=counters, gauges=gauges, about=ABOUT)
