"""What the REST of personal values takes and answers."""

from typing import Annotated, Any, Literal

import msgspec

from actors.core.identifiers import CameraId, SiteId
from actors.core.messages.personal_search import MAX_WANTED
from storage.ports.privacy import MAX_CAMERAS, RequestKind, RequestState

_Time = Annotated[str, msgspec.Meta(max_length=40, extra_json_schema={"format": "date-time"})]
_Why = Annotated[str, msgspec.Meta(min_length=3, max_length=200)]
_Value = Annotated[str, msgspec.Meta(min_length=3, max_length=200)]
_Event = Annotated[str, msgspec.Meta(min_length=3, max_length=200)]
_Cameras = Annotated[list[CameraId], msgspec.Meta(max_length=MAX_CAMERAS)]


class Where(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What these `cameras`, or all cameras of `site`, sent, received from `from` on and before
    `to`."""

    cameras: _Cameras = []
    site: SiteId | None = None
    since: _Time = msgspec.field(name="from")
    until: _Time = msgspec.field(name="to")


class PrivacySearch(Where, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Looks for values that say one of `values` (in any case, with any separators, in any text),
    and why. The values are kept nowhere, so `purpose`, which is, must not repeat them."""

    values: Annotated[list[_Value], msgspec.Meta(min_length=1, max_length=MAX_WANTED)]
    purpose: _Why


class NewPrivacyRequest(Where, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for what was said there: of the values that say one of `values`, of these `events`, of
    both; of everything there where neither is given."""

    kind: RequestKind
    values: Annotated[list[_Value], msgspec.Meta(max_length=MAX_WANTED)] = []
    events: Annotated[list[_Event], msgspec.Meta(max_length=1_000)] = []
    purpose: _Why


class NewHold(Where, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing there is deleted until `ends`, or until somebody releases it; who asks owns it."""

    reason: _Why
    ends: _Time


class PlaceShown(msgspec.Struct, frozen=True):
    """Where one value is."""

    event: str
    camera: CameraId
    received: _Time
    path: str
    class_: str = msgspec.field(name="class")


class PrivacyFound(msgspec.Struct, frozen=True):
    """The places. `looked`: values read; `unreadable`: those of them whose keys are not here."""

    places: list[PlaceShown]
    looked: int
    unreadable: int


class PrivacyRequestShown(msgspec.Struct, frozen=True):
    """A request. `outcome` says what holds it up; `receipt` is there when an erasure is done."""

    request: str
    kind: RequestKind
    state: RequestState
    cameras: list[CameraId]
    since: _Time = msgspec.field(name="from")
    until: _Time = msgspec.field(name="to")
    whole: bool
    places: int
    purpose: str
    asked_by: str
    asked: _Time
    due: _Time
    approved_by: str = ""
    approved: _Time | None = None
    ended: _Time | None = None
    outcome: str = ""
    receipt: dict[str, Any] | None = None


class PrivacyRequestPage(msgspec.Struct, frozen=True):
    """Requests, the newest first. `next` is there when there may be more."""

    requests: list[PrivacyRequestShown]
    next: int | None = None


class HoldShown(msgspec.Struct, frozen=True):
    """A hold."""

    hold: str
    cameras: list[CameraId]
    since: _Time = msgspec.field(name="from")
    until: _Time = msgspec.field(name="to")
    reason: str
    owner: str
    ends: _Time
    placed: _Time | None = None
    released: _Time | None = None
    released_by: str = ""


class HoldList(msgspec.Struct, frozen=True):
    """Holds, the newest first."""

    holds: list[HoldShown]


class AccessAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why values of a person are read, and which page: `limit` events beyond the first `after`."""

    purpose: _Why
    after: Annotated[int, msgspec.Meta(ge=0, le=20_000)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100


class BundledShown(msgspec.Struct, frozen=True):
    """One event with the values of the request; all others are redacted. `unreadable`: paths whose
    values are erased, or cannot be read now."""

    id: str
    received: _Time
    event: dict[str, Any]
    unreadable: list[str]


class AccessBundle(msgspec.Struct, frozen=True):
    """Of the `total` events of a request. `missing`: ids of those that retention dropped since;
    `next`: `after` of the next page, where there is one."""

    request: str
    total: int
    events: list[BundledShown]
    missing: list[str]
    next: int | None = None


Change = Literal["approve", "withdraw"]
