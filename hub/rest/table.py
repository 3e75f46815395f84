"""Every REST endpoint of a hub: its routes are made from this table (`hub.routes`), and so is its
OpenAPI document (`hub.web.openapi`).

What is no REST is in `hub.special_table`.
"""

from typing import Annotated

import msgspec

from actors.core.identifiers import CameraId, SiteId
from actors.core.messages.edge_protocol import MSGPACK_TYPES, Post
from actors.core.messages.registry import CameraFields, NewCamera, NewSite, SiteFields
from actors.core.messages.states import State
from actors.core.scene.scene import Line, Scene, Zone
from hub.rest import models as shapes
from hub.rest import parts
from hub.rest.cameras import Reset
from hub.rest.dead_letters import Discard, Status
from hub.rest.history.event_filters import MAX_TEXT, ORDERS, SEVERITIES
from hub.rest.history.events import NDJSON
from hub.rest.policy import Activate, NewRevision
from hub.rest.shadow import StartShadow
from hub.web.health import HubHealth
from hub.web.openapi import (
    CURSOR,
    ETAG,
    IF_MATCH,
    JSON,
    LOCATION,
    Answer,
    Document,
    Endpoint,
    Parameter,
    document,
    paged,
)
from hub.web.schemas import url

TAGS = {
    "Cameras and sites": "The registry. Changes need If-Match with the ETag of what was read.",
    "Scenes": "Zones, lines and rules of a camera; every change is one new version.",
    "State and events": "The cameras now, and what happened. Walls and live states come by the "
    "dashboard socket (asyncapi.json).",
    "Ingest": "For devices without a socket.",
    "Dead letters": "Items that were refused, kept with their reason.",
    "Policy": "Who may do what, as revisions; what was decided, and who changed it.",
    "Tokens": "Tokens and certificates of devices taken back; hubs follow within seconds.",
    **parts.TAGS,
    "Health": "For balancers and probes.",
}
TEXT = (
    "REST of a hub: registry, stored events and counts, ingest, dead letters, policy. The sockets "
    "are described by /asyncapi.json, shapes by /schemas/. Errors are problems (RFC 9457)."
)

_CAMERA = Parameter("camera", "path", CameraId, "id of the camera")
_SITE = Parameter("site", "path", SiteId, "id of the site")
_NUMBER = Annotated[int, msgspec.Meta(ge=0, le=10**18 - 1)]
_LETTER = Parameter(
    "letter", "path", Annotated[int, msgspec.Meta(ge=1, le=10**18 - 1)], "number of the dead letter"
)
_REVISION = Parameter("revision", "path", shapes.Sha256, "name of the revision: 64 hex digits")
_TIME = Annotated[str, msgspec.Meta(max_length=40, extra_json_schema={"format": "date-time"})]
_VALUES = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
_PLACE = Annotated[str, msgspec.Meta(max_length=192)]
_FILTERS = (
    *(
        Parameter(name, "query", _VALUES, f"only events of these {name}s, with commas between")
        for name in ("type", "zone", "line", "label", "track")
    ),
    Parameter(
        "severity",
        "query",
        Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(SEVERITIES)})$")],
        "only events at least so severe",
    ),
    Parameter("from", "query", _TIME, "received at or after this time"),
    Parameter("to", "query", _TIME, "received before this time"),
    Parameter(
        "order",
        "query",
        Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(ORDERS)})$")],
        "which end comes first",
    ),
    Parameter("before", "query", _PLACE, "the `previous` of a page"),
    *paged(_PLACE),
)


def _read(
    path: str,
    id: str,
    tag: str,
    summary: str,
    body: object,
    action: str,
    *parameters: Parameter,
    tagged: bool = False,
) -> Endpoint:
    headers = (ETAG,) if tagged else ()
    return Endpoint(
        "GET",
        path,
        id,
        tag,
        summary,
        (Answer(200, "Here it is.", body, headers=headers),),
        parameters=parameters,
        action=action,
    )


_REGISTRY = (
    Endpoint(
        "GET",
        "/v1/sites",
        "listSites",
        "Cameras and sites",
        "Sites that you may see",
        (Answer(200, "Here it is.", shapes.SitePage),),
        parameters=paged(),
        action="registry.read",
        also=("subscribe",),
    ),
    Endpoint(
        "POST",
        "/v1/sites",
        "addSite",
        "Cameras and sites",
        "Add a site",
        (Answer(201, "Added.", shapes.SiteShown, headers=(ETAG, LOCATION)),),
        body=NewSite,
        errors=(404, 409),
        action="registry.write",
    ),
    _read(
        "/v1/sites/{site}",
        "readSite",
        "Cameras and sites",
        "One site",
        shapes.SiteShown,
        "registry.read",
        _SITE,
        tagged=True,
    ),
    Endpoint(
        "PUT",
        "/v1/sites/{site}",
        "changeSite",
        "Cameras and sites",
        "Change a site",
        (Answer(200, "Changed.", shapes.SiteShown, headers=(ETAG,)),),
        parameters=(_SITE, IF_MATCH),
        body=SiteFields,
        action="registry.write",
    ),
    Endpoint(
        "DELETE",
        "/v1/sites/{site}",
        "removeSite",
        "Cameras and sites",
        "Delete a site without cameras",
        (Answer(204, "Deleted."),),
        parameters=(_SITE, IF_MATCH),
        errors=(409,),
        action="registry.write",
    ),
    _read(
        "/v1/cameras",
        "listCameras",
        "Cameras and sites",
        "Cameras that you may see",
        shapes.CameraPage,
        "registry.read",
        Parameter("site", "query", SiteId, "only cameras of this site"),
        *paged(),
    ),
    Endpoint(
        "POST",
        "/v1/cameras",
        "addCamera",
        "Cameras and sites",
        "Add a camera to a registered site, or bring a deleted one back",
        (Answer(201, "Added.", shapes.CameraShown, headers=(ETAG, LOCATION)),),
        body=NewCamera,
        errors=(404, 409),
        action="register",
    ),
    _read(
        "/v1/cameras/{camera}",
        "readCamera",
        "Cameras and sites",
        "One camera",
        shapes.CameraShown,
        "registry.read",
        _CAMERA,
        tagged=True,
    ),
    Endpoint(
        "PUT",
        "/v1/cameras/{camera}",
        "changeCamera",
        "Cameras and sites",
        "Change a camera",
        (Answer(200, "Changed.", shapes.CameraShown, headers=(ETAG,)),),
        parameters=(_CAMERA, IF_MATCH),
        body=CameraFields,
        action="registry.write",
    ),
    Endpoint(
        "DELETE",
        "/v1/cameras/{camera}",
        "removeCamera",
        "Cameras and sites",
        "Delete a camera; what is stored of it stays",
        (Answer(204, "Deleted."),),
        parameters=(_CAMERA, IF_MATCH),
        action="registry.write",
    ),
    Endpoint(
        "POST",
        "/v1/cameras/{camera}/counts/reset",
        "resetCounts",
        "Cameras and sites",
        "Let lines count from zero, by an event",
        (Answer(200, "The event is committed.", shapes.CountsReset),),
        parameters=(_CAMERA,),
        body=Reset,
        errors=(409,),
        action="registry.write",
    ),
)


def _shape(kind: str, name: str, body: type) -> tuple[Endpoint, ...]:
    path, parameter = (
        f"/v1/cameras/{{camera}}/scene/{kind}s/{{{name}}}",
        Parameter(name, "path", CameraId, f"name of the {kind}"),
    )
    changed = (Answer(200, "The whole scene.", shapes.SceneShown, headers=(ETAG,)),)
    return (
        _read(
            path,
            f"read{kind.title()}",
            "Scenes",
            f"One {kind}",
            body,
            "registry.read",
            _CAMERA,
            parameter,
            tagged=True,
        ),
        Endpoint(
            "PUT",
            path,
            f"change{kind.title()}",
            "Scenes",
            f"Add or replace one {kind}",
            changed,
            parameters=(_CAMERA, parameter, IF_MATCH),
            body=body,
            errors=(409,),
            action="registry.write",
        ),
        Endpoint(
            "DELETE",
            path,
            f"remove{kind.title()}",
            "Scenes",
            f"Remove one {kind}",
            changed,
            parameters=(_CAMERA, parameter, IF_MATCH),
            errors=(409,),
            action="registry.write",
        ),
    )


_SCENES = (
    _read(
        "/v1/cameras/{camera}/scene",
        "readScene",
        "Scenes",
        "The scene",
        shapes.SceneShown,
        "registry.read",
        _CAMERA,
        tagged=True,
    ),
    Endpoint(
        "PUT",
        "/v1/cameras/{camera}/scene",
        "changeScene",
        "Scenes",
        "Replace the scene",
        (Answer(200, "Replaced.", shapes.SceneShown, headers=(ETAG,)),),
        parameters=(_CAMERA, IF_MATCH),
        body=Scene,
        errors=(409,),
        action="registry.write",
    ),
    *_shape("zone", "zone", Zone),
    *_shape("line", "line", Line),
)


def _events(path: str, id: str, summary: str, body: object, *parameters: Parameter) -> Endpoint:
    answer = Answer(
        200,
        f"A page; as {NDJSON}, when you accept it, all of them, one a line.",
        body,
        (JSON, NDJSON),
    )
    return Endpoint(
        "GET",
        path,
        id,
        "State and events",
        summary,
        (answer,),
        parameters=parameters,
        action="history",
    )


_STATE = (
    _read(
        "/v1/cameras/{camera}/state",
        "readState",
        "State and events",
        "A camera now",
        State,
        "subscribe",
        _CAMERA,
    ),
    _read(
        "/v1/sites/{site}/state",
        "readSiteState",
        "State and events",
        "A site's wall now",
        shapes.SiteState,
        "subscribe",
        _SITE,
    ),
    _read(
        "/v1/fleet/state",
        "readFleetState",
        "State and events",
        "The fleet's wall now",
        shapes.FleetState,
        "subscribe",
    ),
    _events(
        "/v1/cameras/{camera}/events",
        "listCameraEvents",
        "Events of a camera, in order",
        shapes.CameraEvents,
        _CAMERA,
        *_FILTERS,
        Parameter(
            "epoch",
            "query",
            CURSOR,
            "only events of this numbering; the newest when `after` is an offset",
        ),
    ),
    _events(
        "/v1/sites/{site}/events",
        "listSiteEvents",
        "Events of a site, as received",
        shapes.SiteEvents,
        _SITE,
        *_FILTERS,
    ),
    _events(
        "/v1/fleet/events",
        "listFleetEvents",
        "Events of all sites, as received",
        shapes.FleetEvents,
        *_FILTERS,
    ),
    Endpoint(
        "POST",
        "/v1/cameras/{camera}/observations",
        "postObservations",
        "Ingest",
        "Post observations; 200 after the commit",
        (Answer(200, "Durable.", shapes.Posted),),
        text="An edge's token. Idempotent by (session, seq); 409 says which seq is expected. "
        f"Observations are as in {url('observation')}.",
        parameters=(_CAMERA,),
        body=Post,
        media=(JSON, *MSGPACK_TYPES),
        errors=(409, 429),
        action="ingest",
        token="edge",
    ),
)

_LETTERS = (
    _read(
        "/v1/dead-letters",
        "listDeadLetters",
        "Dead letters",
        "Refused items, oldest first",
        shapes.LetterPage,
        "deadletter.read",
        Parameter("camera", "query", CameraId, "only of this camera"),
        Parameter("status", "query", Status, "only in this status"),
        *paged(_NUMBER),
    ),
    _read(
        "/v1/dead-letters/{letter}",
        "readDeadLetter",
        "Dead letters",
        "One, with its item",
        shapes.LetterShown,
        "deadletter.read",
        _LETTER,
    ),
    Endpoint(
        "POST",
        "/v1/dead-letters/{letter}/replay",
        "replayDeadLetter",
        "Dead letters",
        "Have the camera's actor replay it",
        (Answer(200, "Replayed.", shapes.LetterDone),),
        parameters=(_LETTER,),
        errors=(409,),
        action="deadletter.replay",
    ),
    Endpoint(
        "POST",
        "/v1/dead-letters/{letter}/discard",
        "discardDeadLetter",
        "Dead letters",
        "Mark it as not worth keeping",
        (Answer(200, "Discarded.", shapes.LetterDone),),
        parameters=(_LETTER,),
        body=Discard,
        errors=(409,),
        action="deadletter.discard",
    ),
)

_POLICY = (
    _read(
        "/v1/policy",
        "readPolicy",
        "Policy",
        "What is in force",
        shapes.PolicyInForce,
        "policy.read",
        tagged=True,
    ),
    Endpoint(
        "POST",
        "/v1/policy/rollback",
        "rollBackPolicy",
        "Policy",
        "Put the revision in force that was before",
        (Answer(200, "In force.", shapes.PolicyInForce, headers=(ETAG,)),),
        parameters=(IF_MATCH,),
        body=Activate,
        errors=(404, 409),
        action="policy.change",
    ),
    _read(
        "/v1/policy/revisions",
        "listRevisions",
        "Policy",
        "Revisions, newest first",
        shapes.RevisionPage,
        "policy.read",
        *paged(_NUMBER, name="before"),
    ),
    Endpoint(
        "POST",
        "/v1/policy/revisions",
        "uploadRevision",
        "Policy",
        "Keep a revision that passes lint and trial",
        (
            Answer(201, "Kept.", shapes.RevisionLine, headers=(LOCATION,)),
            Answer(200, "It is there already.", shapes.RevisionLine, headers=(LOCATION,)),
        ),
        body=NewRevision,
        errors=(409,),
        action="policy.change",
    ),
    _read(
        "/v1/policy/revisions/{revision}",
        "readRevision",
        "Policy",
        "One, with its modules",
        shapes.RevisionShown,
        "policy.read",
        _REVISION,
    ),
    Endpoint(
        "POST",
        "/v1/policy/revisions/{revision}/activate",
        "activateRevision",
        "Policy",
        "Put a revision in force",
        (Answer(200, "In force.", shapes.PolicyInForce, headers=(ETAG,)),),
        parameters=(_REVISION, IF_MATCH),
        body=Activate,
        errors=(409,),
        action="policy.change",
    ),
    Endpoint(
        "GET",
        "/v1/policy/shadow",
        "readShadow",
        "Policy",
        "What a compared revision decides otherwise",
        (Answer(200, "The report.", shapes.ShadowReport),),
        parameters=(
            Parameter("revision", "query", shapes.Sha256, "which one; without: the running one"),
        ),
        errors=(404,),
        action="policy.read",
    ),
    Endpoint(
        "PUT",
        "/v1/policy/shadow",
        "startShadow",
        "Policy",
        "Compare a revision with the one in force",
        (Answer(200, "It runs.", shapes.ShadowReport),),
        body=StartShadow,
        errors=(404, 409),
        action="policy.change",
    ),
    Endpoint(
        "DELETE",
        "/v1/policy/shadow",
        "stopShadow",
        "Policy",
        "End the comparison",
        (Answer(200, "Ended.", shapes.ShadowReport),),
        errors=(404,),
        action="policy.change",
    ),
    _read(
        "/v1/policy/decisions",
        "listDecisions",
        "Policy",
        "The log of decisions, newest first",
        shapes.DecisionPage,
        "policy.read",
        *paged(_NUMBER, name="before"),
    ),
    _read(
        "/v1/audit",
        "listAudit",
        "Policy",
        "Who changed what, newest first",
        shapes.AuditPage,
        "audit.read",
        *paged(_NUMBER, name="before"),
    ),
)

_HEALTH = (
    Endpoint(
        "GET",
        "/health/live",
        "live",
        "Health",
        "Does the process answer?",
        (Answer(200, "It does.", HubHealth),),
    ),
    Endpoint(
        "GET",
        "/health/ready",
        "ready",
        "Health",
        "Does it take clients?",
        (Answer(200, "It does.", HubHealth), Answer(503, "It does not, and says why.", HubHealth)),
    ),
)

ENDPOINTS: tuple[Endpoint, ...] = (
    *_REGISTRY,
    *_SCENES,
    *_STATE,
    *_LETTERS,
    *_POLICY,
    *parts.ENDPOINTS,
    *_HEALTH,
)


def openapi(release: str) -> Document:
    """The document of one release."""
    return document(title="Eyrie hub", release=release, text=TEXT, endpoints=ENDPOINTS, tags=TAGS)
