"""`storage.ports.alerts.AlertStore` in memory. Operations: read_alerts."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from actors.core.messages.commits import CommitRow
from actors.core.severity import ORDER
from actors.core.times import from_us
from storage.ports.alerts import Act, AlertActed, AlertRow, AlertWork
from storage.ports.policy import Audit
from tests.support.doubles.memory_postgres import MemoryCameraStore, MemoryDatabase

_Key = tuple[str, str, str]


class MemoryAlertStore:
    """Points and work over the cameras of a :class:`MemoryDatabase`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self.points: dict[_Key, AlertRow] = {}
        self.log: list[tuple[_Key, AlertActed]] = []

    def committed(self, row: CommitRow) -> None:
        """The alerts of a row that moved."""
        for point in row.alerts:
            key, moment = (row.camera, point.rule, point.place), datetime.now(UTC)
            known = self.points.get(key)
            self.points[key] = AlertRow(
                *key,
                row.events[0].event.site,
                point.severity,
                point.active,
                point.occurrences,
                from_us(point.since_us),
                point.cause,
                moment,
                known.work if known is not None else AlertWork(),
                moment,
            )

    async def select(
        self,
        *,
        camera: str | None = None,
        site: str | None = None,
        exclude: Sequence[str] = (),
        every: bool = False,
        limit: int,
    ) -> list[AlertRow]:
        return await self._database.faults.run(
            "read_alerts", lambda: self._select(camera, site, exclude, every)[:limit]
        )

    def _select(
        self, camera: str | None, site: str | None, exclude: Sequence[str], every: bool
    ) -> list[AlertRow]:
        found = [
            msgspec.structs.replace(row, now=datetime.now(UTC))
            for row in self.points.values()
            if camera in (None, row.camera)
            and site in (None, row.site)
            and row.camera not in exclude
            and (every or row.active or row.occurrences > row.work.acknowledged)
            and (known := self._database.cameras.get(row.camera)) is not None
            and known.site == row.site
        ]
        found.sort(
            key=lambda row: (-ORDER[row.severity], row.since, row.camera, row.rule, row.place)
        )
        return found

    async def read(self, camera: str, rule: str, place: str) -> AlertRow | None:
        row, known = self.points.get((camera, rule, place)), self._database.cameras.get(camera)
        if row is None or known is None or known.site != row.site:
            return None
        return msgspec.structs.replace(row, now=datetime.now(UTC))

    async def acts(self, camera: str, rule: str, place: str, limit: int) -> list[AlertActed]:
        found = [one for key, one in self.log if key == (camera, rule, place)]
        return found[::-1][:limit]

    async def act(
        self,
        camera: str,
        rule: str,
        place: str,
        decide: Callable[[AlertRow], AlertWork],
        *,
        act: Act,
        who: str,
        note: str,
        audit: Audit | None,
    ) -> AlertRow | None:
        row = await self.read(camera, rule, place)
        if row is None:
            return None
        work = msgspec.structs.replace(decide(row), version=row.work.version + 1)
        if audit is not None:
            await audit(None)
        key, number = (camera, rule, place), len(self.log) + 1
        self.points[key] = msgspec.structs.replace(row, work=work)
        acted = AlertActed(number, row.occurrences, act, who, note, datetime.now(UTC))
        self.log.append((key, acted))
        return self.points[key]


class MemoryAlertingCameras(MemoryCameraStore):
    """The cameras, whose commits write alerts too."""

    def __init__(self, database: MemoryDatabase, alerts: MemoryAlertStore) -> None:
        super().__init__(database)
        self._alerts = alerts

    def _move(self, new: CommitRow) -> bool:
        moved = super()._move(new)
        if moved:
            self._alerts.committed(new)
        return moved
