"""Metrics of the sinks of one process. No sink's or camera's name is a label."""

from connectors.sinks.context import SinkCounts
from storage.process.metrics import Metric, families

ABOUT = {
    "sent": "Messages that receivers took.",
    "withheld": "Events that filter or policy kept from sinks.",
    "failed": "Attempts that a receiver did not take.",
    "parked": "Cameras that wait for somebody, because a receiver refuses an event for good.",
    "lost": "Events that retention dropped before a sink had read them.",
}


def collect(counts: SinkCounts) -> list[Metric]:
    """As it is now."""
    counters = {name: float(getattr(counts, name)) for name in ABOUT}
    return families("eyrie_sinks", counters=counters, gauges={}, about=ABOUT)
