"""One hub, put together: node, edge node, app, listeners, server. Independent of Ray and of which
stores it gets."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import EyrieError, NotFound
from actors.core.task_set import TaskSet
from hub.access import redaction
from hub.access.authorization import Access
from hub.access.client_address import default_origins
from hub.access.context import HubContext
from hub.access.host_names import Hosts
from hub.access.registry_cache import CameraCache
from hub.app import create_app
from hub.dashboards.extension import Extension
from hub.dashboards.node import Node
from hub.dashboards.timed.canary import Canary
from hub.health import HealthCheck
from hub.ingest.node import EdgeNode
from hub.ingest.routes import EdgeRoutes
from hub.metrics import CONTENT_TYPE, Labelled, Metrics
from hub.partition_alarm import PartitionAlarm
from hub.protocol.messages import JSON
from hub.protocol.protobuf_codec import PROTOBUF
from hub.protocol.stream_codecs import JSON_STREAM, PROTOBUF_STREAM, SSE
from hub.rest import policy, routes, states
from hub.rest.history.counts import CountReads
from hub.rest.people import entrances, subjects
from hub.server.http_stream import Fallbacks
from hub.server.listeners import open_private, open_public
from hub.server.tls import server_context
from hub.server.uvicorn_server import HubServer
from hub.web.answer_headers import AnswerHeaders
from hub.web.endpoint import OpenHandler
from policy.audit import Auditor
from policy.identity.revocations import Revocations
from storage.embedded import data_dir
from storage.ports.live import Broker
from storage.ports.processes import HubRecord
from storage.process import cpu_load
from storage.process.metrics import NodeMetrics

log = logging.getLogger(__name__)

RECORD_S = 2.0  # between heartbeats in the hubs' table
PAUSE_BEFORE_CLOSE_S = 0.2  # readiness is off this long before clients are told


class HubStatus(msgspec.Struct, frozen=True):
    """What a hub says of itself. `cpu`: cores it uses, smoothed."""

    name: str
    host: str
    port: int
    private_port: int
    pid: int
    dashboards: int
    edge_links: int
    ready: bool
    reasons: list[str]
    cpu: float = 0.0


class Hub:
    """Starts and stops in order. `instance` is the deployment's mark."""

    def __init__(
        self,
        context: HubContext,
        broker: Broker,
        *,
        instance: str,
        policy_problem: Callable[[], str | None] = lambda: None,
        policy_behind: Callable[[], bool] = lambda: False,
        unsupervised: Callable[[], str | None] = lambda: None,
        extension: Extension | None = None,
    ) -> None:
        """`policy_problem`: why access may not be given now; `policy_behind`: whether another
        revision answers than the one in force; `unsupervised`: what is wrong with the
        supervisor."""
        extension = extension or Extension()
        self.context = context
        stores, settings = context.stores, context.settings
        redaction.show_also(settings.policy.shown_attributes)
        self.cameras = CameraCache(stores.registry)
        self.access = Access(
            context.verifier,
            context.decider,
            self.cameras,
            context.limiter,
            context.now_s,
            context.grants,
            people=context.people,
        )
        self.node = Node(
            settings,
            name=context.hub_name,
            access=self.access,
            cameras=self.cameras,
            broker=broker,
            events=stores.events,
            codecs=(JSON, PROTOBUF, SSE, JSON_STREAM, PROTOBUF_STREAM),
            version=f"Eyrie {_version()}",
            extension=extension,
        )
        self.edge = EdgeNode(context)
        self.partitions = PartitionAlarm(stores.events)
        self.canary = Canary(self.node.canary.key, broker, context.hub_name)
        self.health = HealthCheck(
            self.node,
            instance,
            [policy_problem, self.canary.late],
            [self.partitions.note, self.edge.frames.note, unsupervised],
        )
        self._unsupervised = unsupervised
        self.metrics = Metrics(self.node, self.access.limiter, self._gauges, self._counts)
        auditor = Auditor(stores.audit_log, settings.policy.key_file)
        handlers = {
            **routes.handlers(context, self.access, self.cameras, self.edge.access, auditor),
            **policy.handlers(context, auditor),
            **subjects.handlers(stores, settings, self.access, auditor),
            **states.handlers(
                self.access,
                self.cameras,
                self.node.feed.live,
                self.node.polls,
                broker,
                stores.events,
            ),
            **CountReads(self.access, stores.counts).handlers(),
        }
        hosts = Hosts(settings.hub.host, settings.hub.allowed_hosts)
        edge, connections = EdgeRoutes(self.edge), self.node.connections
        fallbacks = Fallbacks(settings.hub, connections, self.node.emulation, self.access.limiter)
        self.app = create_app(
            settings.hub,
            self.access,
            handlers,
            {
                "postObservations": edge.observations,
                **entrances.handlers(context, self.access, lambda: connections.origins),
                "metricsOfNode": self._on_private_port(NodeMetrics(data_dir.of(settings)).text),
                "metrics": self._on_private_port(self.metrics.text),
                **self.health.handlers(),
                **fallbacks.handlers(),
                **extension.handlers(context.hub_name, _version()),
            },
            {"edge": edge.socket},
            hosts=hosts,
            release=_version(),
        )
        self._instance = instance
        self._tls = server_context(settings.hub)
        headers = AnswerHeaders(lambda: connections.origins)
        self._server = HubServer(
            self.app, connections, settings.hub, headers=headers, hosts=hosts, tls=self._tls
        )
        self._canary_task = TaskSet(log)
        self._record_task = TaskSet(log)
        self._policy_behind = policy_behind
        self.port = 0
        self.private_port = 0

    def _gauges(self) -> dict[str, float]:
        return {
            "canary_age_seconds": self.canary.age,
            "canary_trip_seconds": self.canary.trip_s,
            "edge_links": self.edge.links,
            "edge_sockets_refused": self.edge.crowded,
            "edge_undecodable_frames": self.edge.frames.seen,
            "edge_undecodable_frames_kept": self.edge.frames.kept,
            "policy_behind": float(self._policy_behind()),
            "events_without_partition": self.partitions.rows,
            "oldest_snapshot_seconds": self.partitions.snapshot_s,
            "supervisor_up": float(self._unsupervised() is None),
        }

    def _counts(self) -> list[Labelled]:
        lost = Labelled(
            "edge_undecodable_frames_lost",
            "Undecodable frames that were not kept.",
            "reason",
            self.edge.frames.lost,
        )
        counts = self.edge.access.registrations_refused
        refused = Labelled(
            "edge_registrations_refused", "Cameras not registered for their number.", "how", counts
        )
        return [lost, refused]

    def _on_private_port(self, read: Callable[[], bytes]) -> OpenHandler:
        """Metrics are shown there alone: they tell what a deployment does, and ask nobody for a
        token."""

        async def scrape(request: Request) -> Response:
            if request.scope["server"][1] != self.private_port:
                raise NotFound(
                    "metrics are not shown here",
                    hint="Scrape the hub's private port; `eyrie status` names it.",
                )
            return Response(await asyncio.to_thread(read), media_type=CONTENT_TYPE)

        return scrape

    def revoked(self, revocations: Revocations) -> None:
        """Revocations changed."""
        self.context.revocations = revocations
        self.node.reviews.revoked(revocations)

    def policy_changed(self, revision: str) -> None:
        """Another policy revision is in force."""
        self.node.reviews.policy_changed(revision)

    async def start(self) -> None:
        """Listen and serve. Raises StartError when the port cannot be had."""
        hub = self.context.settings.hub
        public = await open_public(hub.host, hub.port, self._instance, tls=self._tls is not None)
        private = open_private()
        self.port, self.private_port = public.getsockname()[1], private.getsockname()[1]
        self.node.connections.origins |= default_origins(
            hub.host, self.port, tls=self._tls is not None
        )
        self.node.start()
        self.edge.start()
        await self._server.start([public, private])
        await self._record()  # whoever hears that the hub is ready finds its address
        self._record_task.spawn(self._keep_recorded(), "hub-record")
        self._canary_task.spawn(self.canary.run(self.private_port), "canary")
        log.info(
            "hub %s listens on %s:%d (private port %d)",
            self.context.hub_name,
            hub.host,
            self.port,
            self.private_port,
        )

    def status(self) -> HubStatus:
        """Now."""
        health = self.health.ready()
        return HubStatus(
            self.context.hub_name,
            self.context.settings.hub.host,
            self.port,
            self.private_port,
            os.getpid(),
            len(self.node.connections.connected),
            self.edge.links,
            health.ready,
            health.reasons,
            cpu_load.cpu(),
        )

    async def stop(self, grace_s: float) -> None:
        """Readiness off, edges told and their items carried, dashboards closed with 3001, the
        server last."""
        self.node.connections.draining = True
        await asyncio.sleep(min(PAUSE_BEFORE_CLOSE_S, grace_s))
        self._server.stop_listening(self.port)
        await self.edge.stop(grace_s)
        await self.node.connections.drain(min(self.context.settings.hub.drain_s, grace_s / 2))
        await self._canary_task.close()
        await self._server.stop()
        await self.node.stop()
        await self._record_task.close()
        try:
            await self.context.stores.hubs.remove(self.context.hub_name)
        except EyrieError as error:
            log.info("the record of hub %s stays: %s", self.context.hub_name, error)

    async def _record(self) -> None:
        record = HubRecord(
            self.context.hub_name,
            self.context.settings.hub.host,
            self.port,
            self.private_port,
            os.getpid(),
        )
        try:
            await self.context.stores.hubs.put(record)
        except EyrieError as error:
            log.info("hub %s cannot record that it lives: %s", self.context.hub_name, error)

    async def _keep_recorded(self) -> None:
        while True:
            await asyncio.sleep(RECORD_S)
            await self._record()
            await self.partitions.check(time.monotonic())


def _version() -> str:
    try:
        return version("eyrie")
    except PackageNotFoundError:
        return "development"
