"""The endpoints of alerts, a part of the table of a hub, and the shapes of what they take and
answer."""

from typing import Annotated, get_args

import msgspec

from actors.core.identifiers import CameraId, SiteId
from actors.core.severity import Severity
from actors.core.times import Rfc3339
from alerts.triage import LONGEST_SHELF_S, State
from hub.web.openapi import Answer, Endpoint, Parameter
from storage.ports.alerts import Act, Verdict

TAG = "Alerts"
TAGS = {
    TAG: "What needs somebody: raised and cleared by the rules of a camera's scene, and what "
    "people did about it. Who may read a camera's events may read its alerts."
}
MAX_LISTED = 1_000  # in one answer
MAX_ACTS = 100  # of one alert, the newest

Note = Annotated[str, msgspec.Meta(max_length=2_000)]
Person = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Occurrence = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
Version = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Place = Annotated[str, msgspec.Meta(pattern="^([a-z0-9][a-z0-9_-]{0,63})?$")]


class AlertShown(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An alert: the rule of a camera's scene, at a zone or line where the rule looks at one.
    `state` in the words of ISA-18.2: `returned` is over and not acknowledged. `since`: raised last;
    `cause`: the event that did it. `occurrence` counts on and on; the work names those it knows.
    """

    camera: CameraId
    site: SiteId
    rule: CameraId
    severity: Severity
    state: State
    active: bool
    occurrence: int
    since: Rfc3339
    changed: Rfc3339
    version: int
    place: str = ""
    cause: str = ""
    acknowledged: int = 0
    acknowledged_by: str = ""
    acknowledged_at: Rfc3339 = ""
    confirmed: int = 0
    confirmed_by: str = ""
    assignee: str = ""
    verdict: Verdict | None = None
    shelved_until: Rfc3339 = ""
    shelved_by: str = ""
    shelved_reason: str = ""


class AlertList(msgspec.Struct, frozen=True):
    """The worst first, then the oldest. `more`: there are others; ask for less."""

    alerts: list[AlertShown]
    more: bool


class ActShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """One act, at an occurrence."""

    act: Act
    who: str
    at: Rfc3339
    occurrence: int
    note: str = ""


class AlertPage(msgspec.Struct, frozen=True):
    """One alert, and what was done about it, the newest first."""

    alert: AlertShown
    acts: list[ActShown]


class AlertAct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`occurrence`: the one that was seen, for `acknowledge` and `confirm`; `version`: the one that
    was seen, where any other is to be refused. `to`: for `assign` (null: nobody). `for_s` and
    `note`: how long, and why, for `shelve`."""

    place: Place = ""
    occurrence: Occurrence | None = None
    version: Version | None = None
    note: Note = ""
    to: Person | None = None
    verdict: Verdict | None = None
    for_s: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_SHELF_S)] | None = None


_CAMERA = Parameter("camera", "path", CameraId, "id of the camera")
_SITE = Parameter("site", "path", SiteId, "id of the site")
_RULE = Parameter("rule", "path", CameraId, "name of the rule in the camera's scene")
_ACT = Parameter(
    "act",
    "path",
    Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(get_args(Act))})$")],
    "what is done",
)
_STATE = Parameter(
    "state",
    "query",
    Annotated[str, msgspec.Meta(pattern="^(open|all)$")],
    "`open`, the default: what needs somebody, shelved ones too; `all`: what is over and "
    "acknowledged too",
)
_LIMIT = Parameter(
    "limit",
    "query",
    Annotated[int, msgspec.Meta(ge=1, le=MAX_LISTED)],
    f"so many at most; {MAX_LISTED} by default",
)
_PLACE = Parameter(
    "place",
    "query",
    Annotated[str, msgspec.Meta(max_length=64)],
    "the zone or line; without it the alert of the whole camera",
)


def _list(path: str, id: str, summary: str, *of: Parameter) -> Endpoint:
    answers = (Answer(200, "Here they are.", AlertList),)
    return Endpoint(
        "GET", path, id, TAG, summary, answers, parameters=(*of, _STATE, _LIMIT), action="history"
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    _list("/v1/alerts", "listAlerts", "Alerts of the whole fleet"),
    _list("/v1/sites/{site}/alerts", "listSiteAlerts", "Alerts of a site", _SITE),
    _list("/v1/cameras/{camera}/alerts", "listCameraAlerts", "Alerts of a camera", _CAMERA),
    Endpoint(
        "GET",
        "/v1/cameras/{camera}/alerts/{rule}",
        "readAlert",
        TAG,
        "One alert, and what was done about it",
        (Answer(200, "Here it is.", AlertPage),),
        parameters=(_CAMERA, _RULE, _PLACE),
        action="history",
    ),
    Endpoint(
        "POST",
        "/v1/cameras/{camera}/alerts/{rule}/{act}",
        "actOnAlert",
        TAG,
        "Acknowledge, confirm, assign, judge, note, shelve",
        (Answer(200, "As it is now.", AlertShown),),
        parameters=(_CAMERA, _RULE, _ACT),
        body=AlertAct,
        errors=(409,),
        action="alert.operate",
    ),
)
