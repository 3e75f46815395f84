"""The cluster API as an application: routes made from the table, each asking token, policy and
limits before its handler runs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from actors.core.errors import EyrieError, NotFound, TooMany, Unavailable
from cluster.api import endpoints as table
from cluster.api.context import ApiContext
from cluster.api.jobs import JobHandlers
from cluster.api.operations import OperationHandlers
from cluster.api.orders import OrderHandlers
from cluster.api.processes import Processes
from cluster.api.reads import ClusterReadHandlers
from cluster.api.sinks import SinkHandlers
from hub.access.authorization import Access, SystemAction
from hub.access.client_address import Network
from hub.access.credentials import address_of, bearer
from hub.access.host_names import Hosts
from hub.web import endpoint as web
from hub.web import openapi_routes
from hub.web.openapi import Endpoint
from hub.web.problems import problem
from hub.web.security_headers import SecurityHeaders
from policy.identity.principal import Principal

REQUEST_S = 10.0  # seconds a request may take
PROFILE_S = 45.0  # the same for a profile, which takes up to 30, and for a slow receiver
LONG = ("profile", "testSink")
MAX_REQUESTS = 32  # under way at once: the supervisor's loop has better things to do

Handler = Callable[[Request, Principal], Awaitable[Response]]
ACTIONS: dict[str, SystemAction] = {
    "cluster.read": "cluster.read",
    "cluster.operate": "cluster.operate",
    "job.read": "job.read",
    "job.operate": "job.operate",
    "sink.read": "sink.read",
    "sink.operate": "sink.operate",
    "sink.change": "sink.change",
}


def create_app(
    context: ApiContext,
    access: Access,
    *,
    release: str,
    hosts: Hosts,
    origins: Sequence[str] = (),
    proxies: Sequence[Network] = (),
    deadline_s: float = REQUEST_S,
) -> SecurityHeaders:
    """The app. `access` verifies and asks policy; `hosts`, `origins`, `proxies`: see
    `hub.web.security_headers`; `deadline_s`: of a request."""
    handlers = handlers_of(context)
    turn = _Turn()
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in table.ENDPOINTS:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint

    def route(path: str, endpoints: dict[str, Endpoint]) -> Route:
        async def serve(request: Request) -> Response:
            endpoint = endpoints["GET" if request.method == "HEAD" else request.method]
            try:
                principal = await access.identify_request(
                    bearer(request.headers.get("authorization")), address_of(request)
                )
                async with (
                    turn,
                    asyncio.timeout(PROFILE_S if endpoint.id in LONG else deadline_s),
                ):
                    await access.require_system(ACTIONS[endpoint.action], principal)
                    return await handlers[endpoint.id](request, principal)
            except TimeoutError:
                return problem(
                    Unavailable(
                        f"no answer within {deadline_s:g} s",
                        hint="Look at what is there before trying again.",
                    )
                )
            except EyrieError as error:
                return problem(error)

        return Route(path, serve, methods=list(endpoints))

    async def live(_request: Request) -> Response:
        return PlainTextResponse("eyrie-cluster\n")

    async def unknown(request: Request, _error: Exception) -> Response:
        return problem(NotFound(f"there is nothing at {request.url.path[:200]}", hint="See /docs."))

    routes: list[BaseRoute] = [route(path, endpoints) for path, endpoints in by_path.items()]
    app = Starlette(
        routes=[
            Route("/health/live", live),
            *openapi_routes.routes(table.openapi(release)),
            *routes,
        ],
        exception_handlers={404: unknown, 405: web.wrong_method},
    )
    return SecurityHeaders(app, hosts, origins, proxies)


def handlers_of(context: ApiContext) -> dict[str, Handler]:
    """Handler by the id of its endpoint."""
    reads, orders, operations, processes, jobs, sinks = (
        ClusterReadHandlers(context),
        OrderHandlers(context),
        OperationHandlers(context),
        Processes(context),
        JobHandlers(context),
        SinkHandlers(context),
    )
    return {
        "overview": reads.overview,
        "listNodes": reads.nodes,
        "readNode": reads.node,
        "listActors": reads.actors,
        "readActor": reads.actor,
        "listHubs": reads.hubs,
        "readHub": reads.hub,
        "listPolicies": reads.policies,
        "readPolicyReplica": reads.policy,
        "listWorkers": reads.workers,
        "readWorker": reads.worker,
        "listCameras": reads.cameras,
        "readCamera": reads.camera,
        "listDecisions": reads.decisions,
        "listProcesses": reads.processes,
        "cordon": orders.cordon,
        "uncordon": orders.uncordon,
        "beginQuarantine": orders.quarantine,
        "endQuarantine": orders.release,
        "pauseCamera": orders.pause_camera,
        "resumeCamera": orders.resume_camera,
        "pauseSite": orders.pause_site,
        "resumeSite": orders.resume_site,
        "readPlacement": orders.placement,
        "placeCamera": orders.place,
        "makeRoom": orders.make_room,
        "readShape": orders.shape,
        "changeShape": orders.change_shape,
        "listOperations": operations.list,
        "askOperation": operations.ask,
        "readOperation": operations.read,
        "cancelOperation": operations.cancel,
        "plan": operations.plan,
        "readLogLevel": processes.level,
        "setLogLevel": processes.set_level,
        "resetLogLevel": processes.reset_level,
        "profile": processes.profile,
        "listJobs": jobs.list,
        "readJob": jobs.read,
        "cancelJob": jobs.cancel,
        "replayJob": jobs.replay,
        "discardJob": jobs.discard,
        "listSchedules": jobs.schedules,
        "readSchedule": jobs.schedule,
        "runSchedule": jobs.run,
        "pauseSchedule": jobs.pause,
        "resumeSchedule": jobs.resume,
        "listSinks": sinks.list,
        "makeSink": sinks.make,
        "readSink": sinks.read,
        "testSink": sinks.test,
        "pauseSink": sinks.pause,
        "resumeSink": sinks.resume,
        "retrySinkCamera": sinks.retry,
        "skipSinkEvent": sinks.skip,
        "replaySinkEvents": sinks.replay,
        "rotateSinkSecret": sinks.rotate,
        "deleteSink": sinks.delete,
    }


class _Turn:
    """At most `MAX_REQUESTS` at once; who comes then is told to come again."""

    def __init__(self) -> None:
        self._busy = 0

    async def __aenter__(self) -> None:
        if self._busy >= MAX_REQUESTS:
            raise TooMany(f"{MAX_REQUESTS} requests are under way", retry_after_s=1.0)
        self._busy += 1

    async def __aexit__(self, *_error: object) -> None:
        self._busy -= 1
