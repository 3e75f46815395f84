"""The endpoints of sinks, a part of the table of the cluster API."""

from typing import Annotated

import msgspec

from actors.core.identifiers import CameraId
from cluster.api import sink_models as shapes
from connectors.sinks.management import SinkShown
from hub.web.openapi import KEY, LOCATION, Answer, Endpoint, Method, Parameter, paged

READ, OPERATE, CHANGE = "sink.read", "sink.operate", "sink.change"
TAG = "Sinks"
TAGS = {
    TAG: "Destinations outside of Eyrie that get events. What is told of one may name any camera "
    "and site, so all of this is for who may see the whole deployment."
}
ROOT = "/v1/sinks"
ONE = f"{ROOT}/{{sink}}"
CAMERA = f"{ONE}/cameras/{{camera}}"

_SINK = Parameter("sink", "path", shapes.SinkName, "name of the sink")
_CAMERA = Parameter("camera", "path", CameraId, "id of the camera")
_AFTER = Annotated[str, msgspec.Meta(max_length=128)]


def _change(
    method: Method,
    path: str,
    id: str,
    summary: str,
    answer: Answer,
    *,
    body: object = None,
    action: str = OPERATE,
    errors: tuple[int, ...] = (),
    text: str = "",
) -> Endpoint:
    of: tuple[Parameter, ...] = (_SINK,) if "{sink}" in path else ()
    of += (_CAMERA,) if "{camera}" in path else ()
    return Endpoint(
        method,
        path,
        id,
        TAG,
        summary,
        (answer,),
        text=text,
        parameters=(*of, KEY) if method == "POST" else of,
        body=body,
        errors=errors,
        action=action,
    )


_NOW = Answer(200, "As it is now.", shapes.SinkNow)
_SECRET = Answer(200, "Both sign for a day.", shapes.SinkMade)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        ROOT,
        "listSinks",
        TAG,
        "Sinks, with how far they are behind",
        (Answer(200, "Here it is.", shapes.SinkPage),),
        parameters=paged(_AFTER),
        action=READ,
    ),
    _change(
        "POST",
        ROOT,
        "makeSink",
        "A new one",
        Answer(201, "It is there.", shapes.SinkMade, headers=(LOCATION,)),
        body=shapes.NewSink,
        action=CHANGE,
        errors=(409,),
        text="Its secret is made here, and what the receiver verifies with is shown this once.",
    ),
    Endpoint(
        "GET",
        ONE,
        "readSink",
        TAG,
        "One, with its cameras, holes and the last attempts",
        (Answer(200, "Here it is.", SinkShown),),
        parameters=(
            _SINK,
            Parameter("camera", "query", CameraId, "attempts of this camera alone"),
        ),
        action=READ,
    ),
    _change(
        "POST",
        f"{ONE}/test",
        "testSink",
        "Send one message now",
        Answer(200, "What the receiver said.", shapes.SinkTested),
        errors=(409,),
    ),
    _change("PUT", f"{ONE}/pause", "pauseSink", "Send nothing for now", _NOW, body=shapes.SinkWhy),
    _change("DELETE", f"{ONE}/pause", "resumeSink", "Go on where it stopped", _NOW),
    _change(
        "POST",
        f"{CAMERA}/retry",
        "retrySinkCamera",
        "Try a parked or waiting camera now",
        Answer(200, "It is tried.", shapes.Retried),
        errors=(409,),
    ),
    _change(
        "POST",
        f"{CAMERA}/skip",
        "skipSinkEvent",
        "Pass over the event that a parked camera stands before",
        Answer(200, "It is told as a hole.", shapes.Skipped),
        body=shapes.SkipWhy,
        errors=(409,),
    ),
    _change(
        "POST",
        f"{CAMERA}/replay",
        "replaySinkEvents",
        "Send events of a camera once more",
        Answer(202, "They go out.", shapes.ReplayMade),
        body=shapes.NewReplay,
        errors=(409,),
    ),
    _change(
        "POST",
        f"{ONE}/rotate",
        "rotateSinkSecret",
        "A new secret beside the old one",
        _SECRET,
        body=shapes.RotateAsked,
        action=CHANGE,
        errors=(409,),
    ),
    _change(
        "DELETE",
        ONE,
        "deleteSink",
        "With all that is known of it",
        Answer(204, "It is gone."),
        action=CHANGE,
    ),
)
