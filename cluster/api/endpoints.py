"""Every endpoint of the cluster API: its routes are made from this table, and so is its OpenAPI
document."""

from typing import Annotated, Literal

import msgspec

from actors.core.identifiers import CameraId, SiteId
from cluster.api import job_endpoints, models, sink_endpoints
from cluster.api.models import NodeId, Target
from cluster.supervisor.models import PlanReport
from hub.web.openapi import (
    ETAG,
    IF_MATCH,
    KEY,
    LOCATION,
    Answer,
    Document,
    Endpoint,
    Parameter,
    document,
    paged,
)

READ, OPERATE = "cluster.read", "cluster.operate"
ROOT = "/v1/cluster"

TAGS = {
    "What runs": "Nodes, actor processes, hubs, policy replicas, workers and cameras, each with "
    "why it is here and what was decided about it last.",
    "Orders": "Changes that the supervisor obeys at once and keeps obeying. Repeating one is "
    "harmless.",
    "Shape": "How many hubs, policy replicas and workers should run, and how many cameras share "
    "an actor process.",
    "Operations": "Changes that take time: ask for one, follow it, cancel it. A plan is the "
    "same, dry.",
    "Processes": "Log level and profile of a process while it runs; both end by themselves.",
    **job_endpoints.TAGS,
    **sink_endpoints.TAGS,
}
TEXT = (
    "What runs of this deployment, and how to change it. On its own port, on loopback by default. "
    "Errors are problem details (RFC 9457); every change is in the audit log."
)

_NODE = Parameter("node", "path", NodeId, "id of the node")
_CAMERA = Parameter("camera", "path", CameraId, "id of the camera")
_SITE = Parameter("site", "path", SiteId, "id of the site")
_PROCESS = Parameter("process", "path", Target, "name of the process")
_NUMBER = Annotated[int, msgspec.Meta(ge=0, le=10**18 - 1)]
_PHASE = Literal["hosted", "moving", "placing", "held", "quarantined", "idle"]
_STATE = Literal["waiting", "running", "done", "failed", "cancelled"]


def _read(
    path: str,
    id: str,
    tag: str,
    summary: str,
    body: object,
    *parameters: Parameter,
    tagged: bool = False,
) -> Endpoint:
    answer = Answer(200, "Here it is.", body, headers=(ETAG,) if tagged else ())
    return Endpoint(
        "GET", ROOT + path, id, tag, summary, (answer,), parameters=parameters, action=READ
    )


def _order(
    method: Literal["PUT", "DELETE"],
    path: str,
    id: str,
    summary: str,
    body: object,
    asked: object,
    *parameters: Parameter,
) -> Endpoint:
    answers = (Answer(200, "As it is now.", body),)
    return Endpoint(
        method,
        ROOT + path,
        id,
        "Orders",
        summary,
        answers,
        parameters=parameters,
        body=asked,
        action=OPERATE,
    )


def _both(
    path: str,
    id: str,
    names: tuple[str, str],
    summaries: tuple[str, str],
    body: object,
    parameter: Parameter,
) -> tuple[Endpoint, ...]:
    """An order and its end."""
    return (
        _order("PUT", path, f"{names[0]}{id}", summaries[0], body, models.Why, parameter),
        _order("DELETE", path, f"{names[1]}{id}", summaries[1], body, None, parameter),
    )


_RUNS = (
    _read("", "overview", "What runs", "The cluster in a few numbers", models.Overview),
    _read("/nodes", "listNodes", "What runs", "Nodes", models.NodePage, *paged()),
    _read("/nodes/{node}", "readNode", "What runs", "One node", models.NodeShown, _NODE),
    _read("/actors", "listActors", "What runs", "Actor processes", models.ActorPage, *paged()),
    _read(
        "/actors/{actor}",
        "readActor",
        "What runs",
        "One actor process",
        models.ActorShown,
        Parameter("actor", "path", Target, "name of the process"),
    ),
    _read("/hubs", "listHubs", "What runs", "Hubs", models.ServicePage, *paged()),
    _read(
        "/hubs/{hub}",
        "readHub",
        "What runs",
        "One hub",
        models.ServiceShown,
        Parameter("hub", "path", Target, "such as hub-0"),
    ),
    _read(
        "/policies", "listPolicies", "What runs", "Policy replicas", models.ServicePage, *paged()
    ),
    _read(
        "/policies/{policy}",
        "readPolicyReplica",
        "What runs",
        "One policy replica",
        models.ServiceShown,
        Parameter("policy", "path", Target, "such as policy-0"),
    ),
    _read("/workers", "listWorkers", "What runs", "Workers", models.ServicePage, *paged()),
    _read(
        "/workers/{worker}",
        "readWorker",
        "What runs",
        "One worker",
        models.ServiceShown,
        Parameter("worker", "path", Target, "such as worker-0"),
    ),
    _read(
        "/cameras",
        "listCameras",
        "What runs",
        "Cameras that run, should run or are ordered about",
        models.CameraPage,
        Parameter("site", "query", SiteId, "only of this site"),
        Parameter("phase", "query", _PHASE, "only in this phase"),
        *paged(),
    ),
    _read(
        "/cameras/{camera}", "readCamera", "What runs", "One camera", models.CameraShown, _CAMERA
    ),
    _read(
        "/decisions",
        "listDecisions",
        "What runs",
        "What was decided, and why, newest first",
        models.DecisionPage,
        Parameter(
            "subject",
            "query",
            Annotated[str, msgspec.Meta(max_length=200)],
            "such as camera:gate, node:…, hub:0, cluster",
        ),
        *paged(_NUMBER, name="before"),
    ),
)

_ORDERS = (
    *_both(
        "/nodes/{node}/cordon",
        "cordon",
        ("", "un"),
        ("Give a node nothing new", "Use a node again"),
        models.CordonShown,
        _NODE,
    ),
    *_both(
        "/cameras/{camera}/quarantine",
        "Quarantine",
        ("begin", "end"),
        ("Keep a camera from running", "Let it run again"),
        models.QuarantineShown,
        _CAMERA,
    ),
    *_both(
        "/cameras/{camera}/pause",
        "Camera",
        ("pause", "resume"),
        ("Take nothing in of a camera", "Take in again"),
        models.OrderShown,
        _CAMERA,
    ),
    *_both(
        "/sites/{site}/pause",
        "Site",
        ("pause", "resume"),
        ("Take nothing in of a site", "Take in again"),
        models.OrderShown,
        _SITE,
    ),
    _read(
        "/cameras/{camera}/placement",
        "readPlacement",
        "Orders",
        "What is ordered for a camera",
        models.OrderShown,
        _CAMERA,
    ),
    _order(
        "PUT",
        "/cameras/{camera}/placement",
        "placeCamera",
        "Say where a camera shall be",
        models.OrderShown,
        models.Placement,
        _CAMERA,
    ),
    _order(
        "PUT", "/room", "makeRoom", "Ask for room for so many cameras", models.Room, models.Room
    ),
)

_SHAPE = (
    _read("/shape", "readShape", "Shape", "What should run", models.ShapeShown, tagged=True),
    Endpoint(
        "PUT",
        f"{ROOT}/shape",
        "changeShape",
        "Shape",
        "Change what should run",
        (Answer(200, "As it is now.", models.ShapeShown, headers=(ETAG,)),),
        text="What is left out stays. Ask for the operation `settle` to follow it.",
        parameters=(IF_MATCH,),
        body=models.NewShape,
        errors=(409,),
        action=OPERATE,
    ),
)

_OPERATION = Parameter("operation", "path", Target, "id of the operation")
_OPERATIONS = (
    _read(
        "/operations",
        "listOperations",
        "Operations",
        "Operations, newest first",
        models.OperationPage,
        Parameter("state", "query", _STATE, "only in this state"),
        *paged(_NUMBER, name="before"),
    ),
    Endpoint(
        "POST",
        f"{ROOT}/operations",
        "askOperation",
        "Operations",
        "Ask for an operation",
        (Answer(202, "It waits or runs.", models.OperationShown, headers=(LOCATION,)),),
        text="What cannot be done is refused at once (409).",
        parameters=(KEY,),
        body=models.NewOperation,
        errors=(404, 409),
        action=OPERATE,
    ),
    _read(
        "/operations/{operation}",
        "readOperation",
        "Operations",
        "One operation",
        models.OperationShown,
        _OPERATION,
    ),
    Endpoint(
        "POST",
        f"{ROOT}/operations/{{operation}}/cancel",
        "cancelOperation",
        "Operations",
        "Begin nothing more of it",
        (Answer(200, "As it is now.", models.OperationShown),),
        text="What is under way is finished. 409 when it is over.",
        parameters=(_OPERATION, KEY),
        errors=(409,),
        action=OPERATE,
    ),
    Endpoint(
        "POST",
        f"{ROOT}/plans",
        "plan",
        "Operations",
        "Try an operation or order dry",
        (Answer(200, "What it would do.", PlanReport),),
        text="Durations are estimates from measured starts and moves. `problem` says why it "
        "cannot be done.",
        parameters=(KEY,),
        body=models.NewPlan,
        errors=(404, 409),
        action=READ,
    ),
)

_LEVEL = f"{ROOT}/processes/{{process}}/log-level"
_PROCESSES = (
    _read(
        "/processes",
        "listProcesses",
        "Processes",
        "Every process of ours",
        models.ProcessPage,
        *paged(),
    ),
    _read(
        "/processes/{process}/log-level",
        "readLogLevel",
        "Processes",
        "The log level of a process",
        models.LevelShown,
        _PROCESS,
    ),
    Endpoint(
        "PUT",
        _LEVEL,
        "setLogLevel",
        "Processes",
        "Another log level for a while",
        (Answer(200, "In force.", models.LevelShown),),
        parameters=(_PROCESS,),
        body=models.NewLevel,
        errors=(409,),
        action=OPERATE,
    ),
    Endpoint(
        "DELETE",
        _LEVEL,
        "resetLogLevel",
        "Processes",
        "The settings' log level again",
        (Answer(200, "In force.", models.LevelShown),),
        parameters=(_PROCESS,),
        errors=(409,),
        action=OPERATE,
    ),
    Endpoint(
        "POST",
        f"{ROOT}/processes/{{process}}/profile",
        "profile",
        "Processes",
        "Sample a process",
        (Answer(200, "The collapsed stacks.", models.ProfileShown),),
        text="The answer comes after `for_s`.",
        parameters=(_PROCESS, KEY),
        body=models.NewProfile,
        errors=(409,),
        action=OPERATE,
    ),
)

ENDPOINTS: tuple[Endpoint, ...] = (
    *_RUNS,
    *_ORDERS,
    *_SHAPE,
    *_OPERATIONS,
    *_PROCESSES,
    *job_endpoints.ENDPOINTS,
    *sink_endpoints.ENDPOINTS,
)


def openapi(release: str) -> Document:
    """The document of one release."""
    return document(
        title="Eyrie cluster", release=release, text=TEXT, endpoints=ENDPOINTS, tags=TAGS
    )
