"""The cluster as it is: nodes, actors, hubs, policy replicas, cameras, each with *why here* and
what was decided about it last."""

from starlette.requests import Request
from starlette.responses import Response

from actors.core.identifiers import require_id
from cluster.api import models
from cluster.api.context import LAST_DECISIONS, ApiContext, find, page
from cluster.supervisor.models import SCALED, CameraState, ServiceKind, ServiceState
from hub.web import endpoint
from policy.identity.principal import Principal

NEWEST = 2**62


class ClusterReadHandlers:
    """The handlers."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    async def overview(self, request: Request, principal: Principal) -> Response:
        """A few numbers."""
        now = self._context.supervisor.snapshot()
        policies, hubs, workers = (
            [s for s in now.services if s.kind == kind] for kind in SCALED.values()
        )
        return endpoint.answer(
            models.Overview(
                nodes=len(now.nodes),
                nodes_away=sum(not node.alive for node in now.nodes),
                actors=len(now.actors),
                hubs=len(hubs),
                hubs_ready=sum(s.state == "ready" for s in hubs),
                policies=len(policies),
                policies_ready=sum(s.state == "ready" for s in policies),
                workers=len(workers),
                workers_ready=sum(s.state == "ready" for s in workers),
                cameras=len(now.cameras),
                cameras_hosted=sum(c.phase == "hosted" for c in now.cameras),
                troubles=sum(c.phase in ("held", "quarantined") for c in now.cameras),
                refused=len(now.refused),
                operations=len(await self._context.store.open_operations()),
                version=now.version,
            )
        )

    async def nodes(self, request: Request, principal: Principal) -> Response:
        """All, a page at a time."""
        return endpoint.answer(
            models.NodePage(
                *page(request, self._context.supervisor.snapshot().nodes, lambda node: node.id)
            )
        )

    async def node(self, request: Request, principal: Principal) -> Response:
        """One."""
        found = find(
            self._context.supervisor.snapshot().nodes,
            request.path_params["node"],
            lambda node: node.id,
            "node",
        )
        return endpoint.answer(models.NodeShown(found, await self._last(f"node:{found.id}")))

    async def actors(self, request: Request, principal: Principal) -> Response:
        """All, a page at a time."""
        return endpoint.answer(
            models.ActorPage(
                *page(request, self._context.supervisor.snapshot().actors, lambda actor: actor.name)
            )
        )

    async def actor(self, request: Request, principal: Principal) -> Response:
        """One."""
        found = find(
            self._context.supervisor.snapshot().actors,
            request.path_params["actor"],
            lambda actor: actor.name,
            "actor",
        )
        return endpoint.answer(models.ActorShown(found, await self._last(f"actor:{found.name}")))

    async def hubs(self, request: Request, principal: Principal) -> Response:
        """All, a page at a time."""
        return self._services(request, "hub")

    async def hub(self, request: Request, principal: Principal) -> Response:
        """One."""
        return await self._service("hub", request.path_params["hub"], "hub")

    async def policies(self, request: Request, principal: Principal) -> Response:
        """All, a page at a time."""
        return self._services(request, "policy")

    async def policy(self, request: Request, principal: Principal) -> Response:
        """One."""
        return await self._service("policy", request.path_params["policy"], "policy replica")

    async def workers(self, request: Request, principal: Principal) -> Response:
        """All, a page at a time."""
        return self._services(request, "worker")

    async def worker(self, request: Request, principal: Principal) -> Response:
        """One."""
        return await self._service("worker", request.path_params["worker"], "worker")

    async def cameras(self, request: Request, principal: Principal) -> Response:
        """Those that run, should run or are ordered about: ``?site=&phase=``."""
        site, phase = request.query_params.get("site"), request.query_params.get("phase")
        if site is not None:
            require_id(site, "site")
        found = [
            camera
            for camera in self._context.supervisor.snapshot().cameras
            if (site is None or camera.site == site) and (phase is None or camera.phase == phase)
        ]
        return endpoint.answer(
            models.CameraPage(*page(request, found, lambda camera: camera.camera))
        )

    async def camera(self, request: Request, principal: Principal) -> Response:
        """One; a registered one that nobody wanted yet is ``idle``."""
        name = require_id(request.path_params["camera"], "camera")
        known = {camera.camera: camera for camera in self._context.supervisor.snapshot().cameras}
        found = known.get(name)
        if found is None:
            record = await self._context.registry.camera(name)
            idle = [] if record is None else [CameraState(name, record.site, "", "", "idle")]
            found = find(idle, name, lambda camera: camera.camera, "camera")
        return endpoint.answer(models.CameraShown(found, await self._last(f"camera:{name}")))

    async def decisions(self, request: Request, principal: Principal) -> Response:
        """What was decided, newest first: ``?subject=&before=&limit=``."""
        limit, subject = endpoint.limit_of(request), request.query_params.get("subject", "")
        before = endpoint.number(request, "before", NEWEST)
        found = await self._context.store.decisions(
            subject=_subject(subject), before=before, limit=limit
        )
        return endpoint.answer(
            models.DecisionPage(
                models.decisions(found), found[-1].number if len(found) == limit else None
            )
        )

    async def processes(self, request: Request, principal: Principal) -> Response:
        """Every process of ours, a page at a time."""
        now = self._context.supervisor.snapshot()
        found = [
            *(
                models.ProcessLine(actor.name, "actor", actor.node, actor.pid)
                for actor in now.actors
            ),
            *(
                models.ProcessLine(service.name, service.kind, service.node, service.pid)
                for service in now.services
            ),
            models.ProcessLine("supervisor", "supervisor", "", 0),
        ]
        return endpoint.answer(
            models.ProcessPage(*page(request, found, lambda process: process.name))
        )

    def _services(self, request: Request, kind: ServiceKind) -> Response:
        found = [
            service
            for service in self._context.supervisor.snapshot().services
            if service.kind == kind
        ]
        return endpoint.answer(
            models.ServicePage(*page(request, found, lambda service: service.name))
        )

    async def _service(self, kind: ServiceKind, name: str, what: str) -> Response:
        services: list[ServiceState] = [
            service
            for service in self._context.supervisor.snapshot().services
            if service.kind == kind
        ]
        found = find(services, name, lambda service: service.name, what)
        return endpoint.answer(
            models.ServiceShown(found, await self._last(f"{kind}:{found.index}"))
        )

    async def _last(self, subject: str) -> list[models.DecisionShown]:
        return models.decisions(
            await self._context.store.decisions(subject=subject, limit=LAST_DECISIONS)
        )


def _subject(text: str) -> str:
    """What PostgreSQL can look for: a NUL is in no subject, and in no text of its."""
    return text[:200].replace("\x00", "�")
