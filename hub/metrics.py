"""The hub's Prometheus metrics: counted by the parts as they go, collected when somebody asks. No
camera id is ever a label."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hub.access.rate_limits import Limiter
from hub.dashboards.node import Node
from hub.fanout.latency import LatencyHistogram
from hub.fanout.outbox import Outbox

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Counts by the names of their fields in `ConnectionStats`, `FanoutStats` and `FeedStats`.
COUNTERS = {
    "accepted": "Dashboard sockets opened.",
    "refused": "Handshakes refused (origin, limits, drain).",
}
FANOUT_COUNTERS = {
    "deliveries": "Messages delivered to dashboards.",
    "writes": "Writes to transports (several messages each when they coincide).",
    "conflated": "Live messages a slow dashboard got no copy of.",
    "held": "Messages held for slow dashboards.",
    "thinned": "Times a dashboard's live lanes were thinned.",
    "slow_closed": "Dashboards closed with 3008.",
}
FEED_COUNTERS = {
    "publications": ("publications", "Publications received from Redis."),
    "publications_refused": ("refused", "Publications of a lower generation or version."),
    "holes": ("holes", "Holes seen in event streams."),
    "filled": ("filled", "Events read back to fill holes."),
    "stream_resets": ("resets", "Streams whose subscribers had to recover by themselves."),
    "stale": ("stale", "Cameras shown as stale because their actor or Redis was not heard."),
}


class Labelled(NamedTuple):
    """A counter with one label: what it counts, and how often by the label's value."""

    name: str
    text: str
    label: str
    counts: Mapping[str, int]


class NodeCollector(Collector):
    """Reads a node's counts at scrape time. `extra` gives gauges of other parts by name, `labelled`
    their counts."""

    def __init__(
        self,
        node: Node,
        limiter: Limiter,
        extra: Callable[[], dict[str, float]],
        labelled: Callable[[], Iterable[Labelled]],
    ) -> None:
        self._node = node
        self._limiter = limiter
        self._extra = extra
        self._labelled = labelled

    def collect(self) -> Iterator[Metric]:
        yield from self._gauges()
        yield from self._counters()
        yield from self._histograms()
        for name, text, label, counts in self._labelled():
            yield _counter(name, text, counts, label)
        for name, value in sorted(self._extra().items()):
            yield _gauge(name, name.replace("_", " "), value)

    def _held(self) -> list[Outbox]:
        clients = self._node.connections.connected
        return [client.outbox for client in clients if client.outbox is not None]

    def _gauges(self) -> Iterator[Metric]:
        node, connections, held = self._node, self._node.connections, self._held()
        clients, now = connections.connected, time.monotonic()
        sites, cameras = node.interest.counts
        left = len(clients) if connections.draining else 0
        oldest_s = max((outbox.age(now) for outbox in held), default=0.0)
        subscriptions = sum(len(client.groups) for client in clients)
        held_bytes = sum(outbox.bytes for outbox in held)
        yield _gauge("dashboards", "Open dashboard connections.", len(clients))
        yield _gauge("topics", "Channels somebody is subscribed to.", len(node.topics))
        yield _gauge("subscriptions", "Subscriptions of all dashboards.", subscriptions)
        yield _gauge("watched_sites", "Sites subscribed to in Redis.", sites)
        yield _gauge("watched_cameras", "Cameras whose states are subscribed to in Redis.", cameras)
        yield _gauge("broker_up", "1 while Redis is heard.", node.reader.heard)
        text = "1 while the hub takes no more connections."
        yield _gauge("draining", text, connections.draining)
        text = "Dashboards there were when the drain began."
        yield _gauge("drain_dashboards", text, connections.to_drain)
        yield _gauge("drain_left", "Dashboards a draining hub has still to send away.", left)
        text = "Dashboards whose socket takes no more at the moment."
        yield _gauge("slow_clients", text, len(held))
        yield _gauge("queue_bytes", "Bytes held for slow dashboards.", held_bytes)
        yield _gauge("queue_age_seconds", "Age of the oldest held message.", oldest_s)

    def _counters(self) -> Iterator[Metric]:
        node, connections, limiter = self._node, self._node.connections, self._limiter
        for name, text in COUNTERS.items():
            yield _counter(name, text, getattr(node.stats, name))
        for name, text in FANOUT_COUNTERS.items():
            yield _counter(name, text, getattr(node.fanout.stats, name))
        for name, (field, text) in FEED_COUNTERS.items():
            yield _counter(name, text, getattr(node.feed.stats, field))
        text = "Connections closed by this hub, by code."
        yield _counter("closes", text, node.stats.closes, "code")
        text = "Commands refused, by the protocol's error code."
        yield _counter("reply_errors", text, node.stats.errors, "code")
        text = "Messages dashboards got no copy of, by lane and reason."
        yield _counter("dropped", text, node.fanout.stats.drops, "lane", "reason")
        text = "Recoveries asked for, by outcome."
        yield _counter("recoveries", text, node.stats.recoveries, "lane", "outcome")
        text = "Connections not admitted, by the limit."
        yield _counter("admission_refused", text, connections.admission.refused, "reason")
        text = "Refused for coming too often, by the limit."
        yield _counter("limited", text, limiter.refused, "scope")
        text = "Limits kept without Redis, by this hub's share."
        yield _counter("limits_alone", text, limiter.alone)

    def _histograms(self) -> Iterator[Metric]:
        text = "How long messages took, by lane and stage (a sample)."
        latency = HistogramMetricFamily("eyrie_hub_latency_seconds", text, labels=["lane", "stage"])
        for stage, histogram in sorted(self._node.reader.latencies.stages.items()):
            latency.add_metric(stage, histogram.buckets(), histogram.total_s)
        waits = self._node.fanout.waits
        latency.add_metric(("all", "hub_to_socket"), waits.buckets(), waits.total_s)
        yield latency
        ages, now = LatencyHistogram(), time.monotonic()
        for outbox in self._held():
            ages.observe(outbox.age(now))
        text = "How far behind the slow dashboards are at this moment."
        yield HistogramMetricFamily(
            "eyrie_hub_slow_age_seconds", text, ages.buckets(), ages.total_s
        )


class Metrics:
    """A registry of its own, so several hubs may live in one process."""

    def __init__(
        self,
        node: Node,
        limiter: Limiter,
        extra: Callable[[], dict[str, float]] = dict,
        labelled: Callable[[], Iterable[Labelled]] = tuple,
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(NodeCollector(node, limiter, extra, labelled))

    def collect(self) -> Iterable[Metric]:
        """Every metric as it is now."""
        return self._registry.collect()

    def text(self) -> bytes:
        """The exposition in the text format."""
        return generate_latest(self._registry)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"eyrie_hub_{name}", text, value=float(value))


def _counter(
    name: str, text: str, counts: float | Mapping[Any, int], *labels: str
) -> CounterMetricFamily:
    """One count, or one by the values of `labels`: a mapping by value, or by tuples of values."""
    if not isinstance(counts, Mapping):
        return CounterMetricFamily(f"eyrie_hub_{name}", text, value=counts)
    family = CounterMetricFamily(f"eyrie_hub_{name}", text, labels=labels)
    for key, count in sorted(counts.items()):
        family.add_metric(key if isinstance(key, tuple) else (str(key),), count)
    return family
