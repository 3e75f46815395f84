"""What the hub's REST answers, as structs: its OpenAPI document is generated from them, and tests
hold real answers against that."""

from typing import Annotated, Any, Literal

import msgspec

from actors.core.identifiers import CameraId, SiteId
from actors.core.messages.events import Event
from actors.core.messages.states import Summary
from actors.core.scene.scene import Place, Scene
from actors.core.times import Rfc3339

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class SiteShown(msgspec.Struct, frozen=True):
    """A site."""

    site: SiteId
    name: str
    place: Place | None


class SiteLine(msgspec.Struct, frozen=True):
    """A site in a list, with how many cameras it has."""

    site: SiteId
    cameras: int
    name: str = ""
    place: Place | None = None


class SitePage(msgspec.Struct, frozen=True):
    """Sites by id. `next` is there when there may be more."""

    sites: list[SiteLine]
    next: str = ""


class CameraShown(msgspec.Struct, frozen=True):
    """A camera as the registry knows it. `auto_registered`: a device brought it about by its first
    hello, nobody registered it."""

    camera: CameraId
    site: SiteId
    name: str
    tags: list[str]
    scene_version: int
    auto_registered: bool = False


class CameraPage(msgspec.Struct, frozen=True):
    """Cameras by id. `next` is there when there may be more."""

    cameras: list[CameraShown]
    next: str = ""


class SceneShown(msgspec.Struct, frozen=True):
    """A scene. `in_force` is the version that the camera's actor works with, where it said so in
    time."""

    camera: CameraId
    scene_version: int
    scene: Scene
    in_force: int | None = None


class SiteState(msgspec.Struct, frozen=True):
    """A site's whole wall."""

    site: SiteId
    cameras: list[Summary]


class FleetState(msgspec.Struct, frozen=True):
    """The fleet's whole wall."""

    cameras: list[Summary]


class CameraEvents(msgspec.Struct, frozen=True):
    """Events of a camera in order. `next` goes into `after` (a number is an offset), `previous`
    into `before`."""

    camera: CameraId
    epoch: str
    events: list[Event]
    next: int | str = ""
    previous: str = ""


class SiteEvents(msgspec.Struct, frozen=True):
    """Events of a site by when they were received. `next` goes into `after`, `previous` into
    `before`; no `next`: the last page."""

    site: SiteId
    events: list[Event]
    next: str = ""
    previous: str = ""


class FleetEvents(msgspec.Struct, frozen=True):
    """The same of all sites."""

    events: list[Event]
    next: str = ""
    previous: str = ""


class RejectedItem(msgspec.Struct, frozen=True):
    """An observation that went to the dead letters."""

    seq: int
    code: str
    detail: str


class Posted(msgspec.Struct, frozen=True):
    """Committed up to `seq`."""

    session: str
    seq: int
    rejected: list[RejectedItem]


class CountsReset(msgspec.Struct, frozen=True):
    """The event that says so."""

    camera: CameraId
    event: str


class Redacted(msgspec.Struct, frozen=True):
    """Stands in the place of a value that is hidden."""

    redacted: Literal["faces", "names", "plates", "unknown"]


class Letter(msgspec.Struct, frozen=True):
    """A refused item, without it. The reason may quote it, and is hidden from who may not see every
    class."""

    id: int
    camera: str
    session: str
    seq: int
    code: str
    detail: str | Redacted
    received: Rfc3339
    status: Literal["new", "replayed", "discarded"]
    bytes: int
    reason: str = ""
    by: str = ""


class LetterShown(Letter, frozen=True):
    """The same with the item, as text or, where it is none, as base64."""

    raw: str | Redacted = ""
    raw_base64: str = ""


class LetterPage(msgspec.Struct, frozen=True):
    """Letters by id. `next` goes into `after`."""

    dead_letters: list[Letter]
    next: int = 0


class LetterDone(msgspec.Struct, frozen=True):
    """What became of it; `event` is what a replay stored."""

    dead_letter: int
    status: Literal["replayed", "discarded"]
    event: str = ""


class PolicyInForce(msgspec.Struct, frozen=True):
    """What is in force; `generation` 0 and no revision: that of the package."""

    generation: int
    revision: Sha256 | None
    previous: Sha256 | None = None
    author: str = ""
    since: Rfc3339 = ""


class RevisionLine(msgspec.Struct, frozen=True):
    """A revision."""

    revision: Sha256
    number: int
    author: str
    note: str
    created: Rfc3339
    active: bool


class RevisionShown(RevisionLine, frozen=True):
    """The same with its modules: file name → Rego."""

    modules: dict[str, str]


class RevisionPage(msgspec.Struct, frozen=True):
    """Revisions, newest first. `next` goes into `before`."""

    revisions: list[RevisionLine]
    next: int = 0


class FlipShown(msgspec.Struct, frozen=True):
    """Decisions that come out otherwise."""

    kind: str
    action: str
    role: str
    site: str
    count: int
    example: Any


class ShadowReport(msgspec.Struct, frozen=True):
    """What the compared revision decides otherwise."""

    revision: Sha256
    author: str
    started: Rfc3339
    ended: Rfc3339 | None
    error: str
    evaluated: int
    flips: list[FlipShown]


class DecisionShown(msgspec.Struct, frozen=True):
    """A decision of the log; its input is masked."""

    id: int
    time: Rfc3339
    revision: str
    action: str
    role: str
    site: str
    allow: bool
    rule: str
    obligations: Any
    input_hash: str
    input: Any
    dropped: int


class DecisionPage(msgspec.Struct, frozen=True):
    """Decisions, newest first. `next` goes into `before`."""

    decisions: list[DecisionShown]
    next: int = 0


class AuditShown(msgspec.Struct, frozen=True):
    """Who changed what; `hash` in base64."""

    number: int
    time: Rfc3339
    who: str
    token: str
    action: str
    target: str
    detail: str
    hash: str


class AuditPage(msgspec.Struct, frozen=True):
    """The audit log, newest first. `next` goes into `before`."""

    entries: list[AuditShown]
    next: int = 0


class RevocationShown(msgspec.Struct, frozen=True):
    """What no longer holds: one token (`jti`), all of a `subject` issued before, or a
    `certificate`. `until`: null for ever."""

    kind: Literal["jti", "subject", "certificate"]
    value: str
    issued_before: Rfc3339
    until: Rfc3339 | None


class SignedIn(msgspec.Struct, frozen=True):
    """A `token`, and when it ends."""

    token: str
    expires: Rfc3339


class SessionShown(msgspec.Struct, frozen=True):
    """A `ticket`, shown in place of a token until `expires`, of who signed in; the session `ends`
    then at the latest."""

    ticket: str
    expires: Rfc3339
    user: str
    roles: list[str]
    sites: list[str]
    ends: Rfc3339


class RevocationList(msgspec.Struct, frozen=True):
    """Those that hold."""

    revocations: list[RevocationShown]
