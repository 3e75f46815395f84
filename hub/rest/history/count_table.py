"""The endpoints of stored counts (`hub.rest.table`) and the shapes of their answers."""

from typing import Annotated

import msgspec

from actors.core.identifiers import CameraId, SiteId
from actors.core.times import Rfc3339
from hub.rest.history.counts import DEFAULT_BUCKETS, DEFAULT_STEP, MAX_BUCKETS, MAX_ROWS
from hub.rest.history.event_filters import MAX_TEXT
from hub.web.openapi import Answer, Endpoint, Parameter
from storage.ports.background.counts import STEPS, Step


class CountLine(msgspec.Struct, frozen=True, rename={"came": "in", "went": "out"}):
    """Of one line or zone and label, in the bucket that begins at `time`."""

    time: Rfc3339
    camera: CameraId
    label: str
    came: int
    went: int
    line: str = ""
    zone: str = ""


class _Counted(msgspec.Struct, frozen=True, rename={"low": "from", "high": "to"}, kw_only=True):
    step: Step
    low: Rfc3339
    high: Rfc3339
    counts: list[CountLine]
    behind: int
    next: Rfc3339 = ""


class CameraCounts(_Counted, frozen=True):
    """By time. `behind`: events that are not in yet; 0: all that is stored is counted. `next` goes
    into `from`."""

    camera: CameraId


class SiteCounts(_Counted, frozen=True):
    """The same of every camera of a site."""

    site: SiteId


_TIME = Annotated[str, msgspec.Meta(max_length=40, extra_json_schema={"format": "date-time"})]
_NAME = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
_STEP = Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(STEPS)})$")]
_ROWS = Annotated[int, msgspec.Meta(ge=1, le=MAX_ROWS)]
_PARAMETERS = (
    Parameter("step", "query", _STEP, f"how long a bucket is; {DEFAULT_STEP} by default"),
    Parameter(
        "from",
        "query",
        _TIME,
        f"buckets that begin at or after this time; at most {MAX_BUCKETS}, "
        f"by default the last {DEFAULT_BUCKETS}",
    ),
    Parameter("to", "query", _TIME, "buckets that begin before this time; now by default"),
    Parameter("line", "query", _NAME, "only this line"),
    Parameter("zone", "query", _NAME, "only this zone"),
    Parameter("label", "query", _NAME, "only this label"),
    Parameter("limit", "query", _ROWS, "so many at most; an answer ends with a whole bucket"),
)


def _counts(path: str, id: str, summary: str, body: object, of: Parameter) -> Endpoint:
    return Endpoint(
        "GET",
        path,
        id,
        "State and events",
        summary,
        (Answer(200, "Here it is.", body),),
        parameters=(of, *_PARAMETERS),
        action="history",
    )


COUNTS = (
    _counts(
        "/v1/cameras/{camera}/counts",
        "readCameraCounts",
        "How often lines were crossed, zones entered and left",
        CameraCounts,
        Parameter("camera", "path", CameraId, "id of the camera"),
    ),
    _counts(
        "/v1/sites/{site}/counts",
        "readSiteCounts",
        "The same of the cameras of a site",
        SiteCounts,
        Parameter("site", "path", SiteId, "id of the site"),
    ),
)
