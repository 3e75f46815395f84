"""Doubles of the stores that the supervisor uses; `away` makes their reads and assignments fail,
`only_reads` heartbeats."""

from collections.abc import Mapping, Sequence

from actors.core.errors import Unavailable
from actors.core.messages.commits import Activation, CommitRow, Ownership
from storage.ports.processes import ActorRecord
from tests.support.doubles.memory_cluster import MemoryClusterStore


class MemoryCameras:
    """Owners only: what `storage.ports.cameras.CameraStore` is for a supervisor."""

    def __init__(self, *cameras: str) -> None:
        self.owner: dict[str, str | None] = dict.fromkeys(cameras)
        self.site: dict[str, str] = {}
        self.away = False

    async def assign(self, camera: str, owner: str | None, *, previous: str | None) -> bool:
        """Compare and swap."""
        self._check()
        if self.owner[camera] not in (previous, owner):
            return False
        self.owner[camera] = owner
        return True

    async def owners(self) -> dict[str, str | None]:
        """All."""
        self._check()
        return dict(self.owner)

    async def homes(self) -> dict[str, str]:
        """All, in the site that `site` names."""
        self._check()
        return {camera: self.site.get(camera, "site") for camera in self.owner}

    async def activate(
        self, owner: str, cameras: Sequence[str], *, above: Mapping[str, int] | None = None
    ) -> list[Activation]:
        """Not asked by a supervisor."""
        raise NotImplementedError

    async def open_session(self, camera: str, owner: str, generation: int, session: str) -> str:
        """Not asked by a supervisor."""
        raise NotImplementedError

    async def commit(self, rows: Sequence[CommitRow]) -> set[str]:
        """Not asked by a supervisor."""
        raise NotImplementedError

    async def ownership(self, cameras: Sequence[str]) -> dict[str, Ownership]:
        """Not asked by a supervisor."""
        raise NotImplementedError

    def _check(self) -> None:
        if self.away:
            raise Unavailable("PostgreSQL is away")


class MemoryActors:
    """`storage.ports.processes.ActorStore`; all beat with every read but those in `silent`.
    `clock_us`: the database's."""

    def __init__(self) -> None:
        self.records: dict[str, ActorRecord] = {}
        self.away = False
        self.only_reads = False
        self.refused = 0  # heartbeats
        self.silent: set[str] = set()
        self.clock_us = 0
        self._beats: dict[str, int] = {}

    async def put(self, record: ActorRecord) -> None:
        """Insert or replace."""
        self.records[record.name] = record

    async def beat(self, name: str) -> bool:
        """Known?"""
        if self.away or self.only_reads:
            self.refused += 1
            raise Unavailable("PostgreSQL is away, or takes no writes")
        return name in self.records

    async def all(self) -> list[ActorRecord]:
        """All, with their ages."""
        if self.away:
            raise Unavailable("PostgreSQL is away")
        self.clock_us += 1
        for name in self.records.keys() - self.silent:
            self._beats[name] = self.clock_us
        return [
            ActorRecord(
                r.name,
                r.node,
                r.pid,
                r.state,
                r.reason,
                r.started_us,
                (self.clock_us - beat) / 1e6,
                beat,
            )
            for r in self.records.values()
            for beat in [self._beats.get(r.name, 0)]
        ]

    async def remove(self, name: str) -> None:
        """Forget."""
        self.records.pop(name, None)


class FleetStores:
    """All of a supervisor's together."""

    def __init__(self, *cameras: str) -> None:
        self.cameras = MemoryCameras(*cameras)
        self.actors = MemoryActors()
        self.cluster = MemoryClusterStore(lambda camera: camera in self.cameras.owner)
        self.closed = False

    async def close(self) -> None:
        """Note it."""
        self.closed = True
