"""What is asked of storage about data subjects: where their values are, requests to hand them out
or to erase them, and holds, which win over every deletion.

No request holds a value, only places. Times in microseconds since 1970, 0: none.
"""

from collections.abc import Collection, Sequence
from typing import Literal, Protocol

import msgspec

from storage.ports.policy import Audit

MAX_CAMERAS = 500  # of one request or hold
MAX_PLACES = 20_000  # of one request
MAX_LOOKED = 500_000  # values read by one search

RequestKind = Literal["access", "erasure"]
RequestState = Literal["asked", "approved", "executing", "done", "held", "withdrawn"]


class Scope(msgspec.Struct, frozen=True):
    """What these cameras sent, received at `since_us` or later and before `until_us`."""

    cameras: tuple[str, ...]
    since_us: int
    until_us: int


class ValuePlace(msgspec.Struct, frozen=True, array_like=True):
    """Where one personal value is: an event, and the path in it."""

    camera: str
    epoch: str
    offset: int
    received_us: int
    path: str
    class_: str


class Found(msgspec.Struct, frozen=True):
    """What a search found: `looked` values were read, of which `unreadable` could not be (their key
    is not here)."""

    places: list[ValuePlace]
    looked: int
    unreadable: int


class NewRequest(msgspec.Struct, frozen=True):
    """One to ask for. `places` is empty where `whole` of the scope is meant. It is due in `due_s`
    seconds."""

    id: str
    kind: RequestKind
    scope: Scope
    whole: bool
    places: Sequence[ValuePlace]
    purpose: str
    asked_by: str
    due_s: float


class RequestRow(msgspec.Struct, frozen=True):
    """A request as read back. `places`: how many there are; `keys`: what they lay under when the
    erasure began; `steps`: JSON, what each step did."""

    id: str
    kind: RequestKind
    state: RequestState
    scope: Scope
    whole: bool
    places: int
    purpose: str
    asked_by: str
    asked_us: int
    due_us: int
    approved_by: str
    approved_us: int
    ended_us: int
    outcome: str
    keys: list[str]
    steps: str
    receipt: str


class Hold(msgspec.Struct, frozen=True):
    """What must stay, who says so, why, and until when. `released_us`: 0 while it is not."""

    id: str
    scope: Scope
    reason: str
    owner: str
    ends_us: int
    placed_us: int = 0
    released_us: int = 0
    released_by: str = ""


class PrivacyStore(Protocol):
    """Requests and holds. Every change has its audit record in its own transaction."""

    async def search(self, scope: Scope, wanted: Collection[str]) -> Found:
        """The places in `scope` where a value says one of `wanted`, in whatever case, separators
        and words around it; all places where nothing is wanted. Raises BadInput for too many,
        Unavailable without a keyring."""

    async def ask(self, request: NewRequest, *, audit: Audit) -> None:
        """Keep a request. Raises BadInput for more places than one may have."""

    async def get(self, id: str) -> RequestRow | None:
        """One of them."""

    async def requests(self, *, before_us: int, limit: int) -> Sequence[RequestRow]:
        """Those asked for before a time, newest first."""

    async def places(self, id: str) -> Sequence[ValuePlace]:
        """Of one request, in order."""

    async def approve(self, id: str, by: str, *, audit: Audit) -> bool:
        """Have an erasure that was asked for, or held up, carried out. False: there is none such,
        or `by` is who asked for it."""

    async def answer(self, id: str, *, audit: Audit) -> bool:
        """A request for access is done: all of it was handed out. False: there is none such."""

    async def withdraw(self, id: str, *, audit: Audit) -> bool:
        """End a request before it was begun. False: there is none such."""

    async def place_hold(self, hold: Hold, *, audit: Audit) -> None:
        """From now on nothing in its scope is deleted. Raises Conflict where an erasure is under
        way."""

    async def holds(self) -> Sequence[Hold]:
        """All, newest first; at most 1,000."""

    async def release_hold(self, id: str, by: str, *, audit: Audit) -> bool:
        """End one. False: there is none in force."""
