"""`storage.ports.background.counts.CountStore` in memory, added up when they are read."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from actors.core.times import parse_rfc3339
from storage.ports.background.counts import STEPS, CountQuery, CountRow, CountSlice, Place, Step
from tests.support.doubles.memory_postgres import MemoryDatabase

_Key = tuple[int, str, Place, str, str]  # bucket, camera, place, name, label


class MemoryCountStore:
    """`storage.ports.background.counts.CountStore`: there is never anything left to fold.
    Operations: read_counts."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def fold(
        self,
        after: str,
        *,
        cameras: int,
        events: int,
        only: Sequence[str] | None = None,
        everywhere: bool = False,
    ) -> list[CountSlice]:
        return []

    async def forget(self, step: Step, days: float, limit: int) -> int:
        return 0

    async def behind(
        self, *, camera: str | None = None, site: str | None = None, exclude: Sequence[str] = ()
    ) -> int:
        return 0

    async def read(self, query: CountQuery, limit: int) -> list[CountRow]:
        return await self._database.faults.run("read_counts", lambda: self._read(query, limit))

    def _read(self, query: CountQuery, limit: int) -> list[CountRow]:
        came, went = Counter[_Key](), Counter[_Key]()
        for stored in self._database.events:
            if not self._database.at_home(stored) or query.site not in (None, stored.site):
                continue
            event = msgspec.json.decode(stored.row.body)
            if (key := _key(event, query)) is not None:
                inward = event["type"] == "zone.entered" or (
                    event.get("data", {}).get("direction") == "in"
                )
                (came if inward else went)[key] += 1
        keys = sorted({*came, *went})
        return [CountRow(*key, came=came[key], went=went[key]) for key in keys][:limit]


def _key(event: dict[str, Any], query: CountQuery) -> _Key | None:
    place: Place
    if event["type"] == "line.crossed":
        place = "line"
    elif event["type"] in ("zone.entered", "zone.exited"):
        place = "zone"
    else:
        return None
    size_us = STEPS[query.step] * 1_000_000
    bucket = parse_rfc3339(event["time"]) // size_us * size_us
    name, label = str(event.get(place) or ""), str(event.get("label") or "")
    asked = (
        name != ""
        and query.low_us <= bucket < query.high_us
        and query.camera in (None, event["camera"])
        and event["camera"] not in query.exclude
        and query.place in (None, place)
        and query.name in (None, name)
        and query.label in (None, label)
    )
    return (bucket, event["camera"], place, name, label) if asked else None
