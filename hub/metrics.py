"""The hub's Prometheus metrics: counted by the parts as they go, collected when somebody asks. No
camera id is ever a label."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hub.access.rate_limits import Limiter
from hub.dashboards.node import Node
from hub.fanout.latency import LatencyHistogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


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
        node, fan, feed = self._node, self._node.fanout.stats, self._node.feed.stats
        now, connections = time.monotonic(), node.connections
        clients = connections.connected
        held = [client.outbox for client in clients if client.outbox is not None]
        sites, cameras = node.interest.counts
        yield _gauge("eyrie_hub_dashboards", "Open dashboard connections.", len(clients))
        yield _gauge("eyrie_hub_topics", "Channels somebody is subscribed to.", len(node.topics))
        yield _gauge(
            "eyrie_hub_subscriptions",
            "Subscriptions of all dashboards.",
            sum(len(client.groups) for client in clients),
        )
        yield _gauge("eyrie_hub_watched_sites", "Sites subscribed to in Redis.", sites)
        yield _gauge(
            "eyrie_hub_watched_cameras", "Cameras whose states are subscribed to in Redis.", cameras
        )
        yield _gauge("eyrie_hub_broker_up", "1 while Redis is heard.", node.reader.heard)
        yield _gauge(
            "eyrie_hub_draining",
            "1 while the hub takes no more connections.",
            connections.draining,
        )
        yield _gauge(
            "eyrie_hub_drain_dashboards",
            "Dashboards there were when the drain began.",
            connections.to_drain,
        )
        left = len(clients) if connections.draining else 0
        yield _gauge(
            "eyrie_hub_drain_left", "Dashboards a draining hub has still to send away.", left
        )
        yield _gauge(
            "eyrie_hub_slow_clients",
            "Dashboards whose socket takes no more at the moment.",
            len(held),
        )
        yield _gauge(
            "eyrie_hub_queue_bytes",
            "Bytes held for slow dashboards.",
            sum(outbox.bytes for outbox in held),
        )
        yield _gauge(
            "eyrie_hub_queue_age_seconds",
            "Age of the oldest held message.",
            max((o.age(now) for o in held), default=0.0),
        )
        for name, text, value in (
            ("accepted", "Dashboard sockets opened.", node.stats.accepted),
            ("refused", "Handshakes refused (origin, limits, drain).", node.stats.refused),
            ("deliveries", "Messages delivered to dashboards.", fan.deliveries),
            (
                "writes",
                "Writes to transports (several messages each when they coincide).",
                fan.writes,
            ),
            ("conflated", "Live messages a slow dashboard got no copy of.", fan.conflated),
            ("held", "Messages held for slow dashboards.", fan.held),
            ("thinned", "Times a dashboard's live lanes were thinned.", fan.thinned),
            ("slow_closed", "Dashboards closed with 3008.", fan.slow_closed),
            ("publications", "Publications received from Redis.", feed.publications),
            (
                "publications_refused",
                "Publications of a lower generation or version.",
                feed.refused,
            ),
            ("holes", "Holes seen in event streams.", feed.holes),
            ("filled", "Events read back to fill holes.", feed.filled),
            (
                "stream_resets",
                "Streams whose subscribers had to recover by themselves.",
                feed.resets,
            ),
            (
                "stale",
                "Cameras shown as stale because their actor or Redis was not heard.",
                feed.stale,
            ),
        ):
            yield CounterMetricFamily(f"eyrie_hub_{name}", text, value=value)
        closes = CounterMetricFamily(
            "eyrie_hub_closes", "Connections closed by this hub, by code.", labels=["code"]
        )
        for code, count in sorted(node.stats.closes.items()):
            closes.add_metric([str(code)], count)
        yield closes
        replies = [((str(code),), count) for code, count in node.stats.errors.items()]
        yield _counters(
            "eyrie_hub_reply_errors",
            "Commands refused, by the protocol's error code.",
            ("code",),
            replies,
        )
        yield _counters(
            "eyrie_hub_dropped",
            "Messages dashboards got no copy of, by lane and reason.",
            ("lane", "reason"),
            fan.drops.items(),
        )
        yield _counters(
            "eyrie_hub_recoveries",
            "Recoveries asked for, by outcome.",
            ("lane", "outcome"),
            node.stats.recoveries.items(),
        )
        refused = [((reason,), count) for reason, count in connections.admission.refused.items()]
        yield _counters(
            "eyrie_hub_admission_refused",
            "Connections not admitted, by the limit.",
            ("reason",),
            refused,
        )
        limiter = self._limiter
        limited = [((scope,), count) for scope, count in limiter.refused.items()]
        yield _counters(
            "eyrie_hub_limited", "Refused for coming too often, by the limit.", ("scope",), limited
        )
        yield CounterMetricFamily(
            "eyrie_hub_limits_alone",
            "Limits kept without Redis, by this hub's share.",
            value=limiter.alone,
        )
        latency = HistogramMetricFamily(
            "eyrie_hub_latency_seconds",
            "How long messages took, by lane and stage (a sample).",
            labels=["lane", "stage"],
        )
        for (lane, stage), histogram in sorted(node.reader.latencies.stages.items()):
            latency.add_metric([lane, stage], histogram.buckets(), histogram.total_s)
        latency.add_metric(
            ["all", "hub_to_socket"], node.fanout.waits.buckets(), node.fanout.waits.total_s
        )
        yield latency
        ages = LatencyHistogram()
        for outbox in held:
            ages.observe(outbox.age(now))
        yield HistogramMetricFamily(
            "eyrie_hub_slow_age_seconds",
            "How far behind the slow dashboards are at this moment.",
            ages.buckets(),
            ages.total_s,
        )
        for name, text, label, counts in self._labelled():
            yield _counters(
                f"eyrie_hub_{name}",
                text,
                (label,),
                [((value,), count) for value, count in counts.items()],
            )
        for name, gauge in sorted(self._extra().items()):
            yield _gauge(f"eyrie_hub_{name}", name.replace("_", " "), gauge)


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
    return GaugeMetricFamily(name, text, value=float(value))


def _counters(
    name: str, text: str, labels: Sequence[str], counts: Iterable[tuple[tuple[str, ...], int]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=list(labels))
    for key, count in sorted(counts):
        family.add_metric(list(key), count)
    return family
