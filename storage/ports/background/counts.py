"""What is asked of storage about counts: how often lines were crossed and zones entered and left.

They stand in buckets of a minute, an hour and a day, by the events' own time, so a late event
corrects an old bucket. A cursor of each camera says which of its events are in; both change
together, so each counts once, whoever is stopped where.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

Step = Literal["minute", "hour", "day"]
STEPS: dict[Step, int] = {"minute": 60, "hour": 3_600, "day": 86_400}  # seconds
Place = Literal["line", "zone"]


class CountSlice(msgspec.Struct, frozen=True):
    """What one slice did for a camera: `events` were read. Not `moved`: somebody else was faster,
    or (`holes`) events are missing where they were looked for. `more`: there may be more to do."""

    camera: str
    events: int
    moved: bool
    more: bool
    holes: bool


class CountQuery(msgspec.Struct, frozen=True):
    """Buckets of `step` that begin in [`low_us`, `high_us`), of one camera or one site, without the
    cameras of `exclude`; None: all."""

    step: Step
    low_us: int
    high_us: int
    camera: str | None = None
    site: str | None = None
    exclude: tuple[str, ...] = ()
    place: Place | None = None
    name: str | None = None
    label: str | None = None


class CountRow(msgspec.Struct, frozen=True):
    """Of a bucket: over a line in and out, or into a zone and out of it. `label` may be empty."""

    bucket_us: int
    camera: str
    place: Place
    name: str
    label: str
    came: int
    went: int


class CountStore(Protocol):
    """Adding events up, and reading it."""

    async def fold(
        self,
        after: str,
        *,
        cameras: int,
        events: int,
        only: Sequence[str] | None = None,
        everywhere: bool = False,
    ) -> list[CountSlice]:
        """The next `events` of each of at most `cameras` cameras behind `after` (in order of ids),
        or of `only`. `everywhere`: what is missing then was dropped by retention."""

    async def forget(self, step: Step, days: float, limit: int) -> int:
        """Delete buckets older than so many days; how many went."""

    async def read(self, query: CountQuery, limit: int) -> list[CountRow]:
        """By bucket, camera, place, name and label."""

    async def behind(
        self, *, camera: str | None = None, site: str | None = None, exclude: Sequence[str] = ()
    ) -> int:
        """How many events are not in yet; what lies in older epochs counts as one."""
