"""The double of `storage.ports.registry.Registry`, over the database of
`tests.support.doubles.memory_postgres`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec

from actors.core.errors import Conflict, EyrieError, NotFound
from actors.core.identifiers import require_id
from actors.core.messages.commits import Position
from actors.core.messages.events import CHAIN_START
from storage.ports.epochs import new_epoch
from storage.ports.policy import Audit
from storage.ports.registration_bounds import RegistrationBound, require_room
from storage.ports.registry import CameraRecord, SceneChange, SiteRecord
from tests.support.doubles.memory_postgres import MemoryDatabase, Row

Record = TypeVar("Record")


class MemoryRegistry:
    """`storage.ports.registry.Registry`. Operations: the names of its methods."""

    def __init__(self, database: MemoryDatabase) -> None:
        self.database = database
        self.faults = database.faults

    async def register(
        self,
        camera: str,
        site: str,
        *,
        name: str = "",
        scene: bytes = b"{}",
        tags: Sequence[str] = (),
        audit: Audit | None = None,
        bound: RegistrationBound | None = None,
    ) -> bool:
        require_id(camera, "camera")
        require_id(site, "site")

        def act() -> bool:
            if camera in self.database.cameras or camera in self.database.deleted_cameras:
                return False
            if bound is not None:
                of_device = sum(
                    device == bound.device for device in self.database.registered_by.values()
                )
                require_room(
                    bound,
                    of_device,
                    site,
                    sum(known.site == site for known in self.database.cameras.values()),
                )
                self.database.registered_by[camera] = bound.device
            self._add_site(SiteRecord(site))
            self.database.cameras[camera] = CameraRecord(
                camera, site, name, scene, 1, list(tags), auto_registered=bound is not None
            )
            self.database.rows[camera] = Row(Position("", 0, new_epoch(), 0, CHAIN_START))
            return True

        return await self._change("register", act, audit)

    async def camera(self, camera: str, *, deleted: bool = False) -> CameraRecord | None:

        def act() -> CameraRecord | None:
            found = self._all(deleted=deleted).get(camera)
            return None if found is None else self._read(found)

        return await self.faults.run("camera", act)

    def _read(self, record: CameraRecord) -> CameraRecord:
        return msgspec.structs.replace(
            record, seen=bool(self.database.rows[record.camera].sessions)
        )

    async def cameras(
        self, site: str | None = None, *, deleted: bool = False
    ) -> list[CameraRecord]:

        def act() -> list[CameraRecord]:
            found = [
                self._read(record)
                for _, record in sorted(self._all(deleted=deleted).items())
                if site is None or record.site == site
            ]
            return [
                msgspec.structs.replace(record, scene=b"{}") if record.deleted else record
                for record in found
            ]

        return await self.faults.run("cameras", act)

    async def set_scene(
        self,
        camera: str,
        scene: bytes,
        *,
        expected_version: int | None = None,
        audit: Audit | None = None,
    ) -> int | None:

        def act() -> int | None:
            record = self.database.cameras.get(camera)
            if record is None:
                raise NotFound(f"camera {camera!r} is not registered")
            if expected_version not in (None, record.scene_version):
                return None
            version = record.scene_version + 1
            changed = msgspec.structs.replace(
                record, scene=scene, scene_version=version, version=record.version + 1
            )
            self.database.cameras[camera] = changed
            return version

        return await self._change("set_scene", act, audit)

    async def add_camera(
        self,
        camera: str,
        site: str,
        *,
        name: str = "",
        tags: Sequence[str] = (),
        scene: bytes = b"{}",
        restores: int | None = None,
        audit: Audit | None = None,
    ) -> bool:
        require_id(camera, "camera")
        require_id(site, "site")

        def act() -> bool:
            if site not in self.database.sites:
                raise NotFound(f"site {site} is not registered")
            if camera in self.database.cameras:
                return False
            old = self.database.deleted_cameras.get(camera)
            if old is not None and (old.site != site or restores not in (None, old.version)):
                return False
            self.database.deleted_cameras.pop(camera, None)
            versions = (1, 1) if old is None else (old.scene_version + 1, old.version + 1)
            tags_now = list(tags) or (old.tags if old is not None else [])
            self.database.cameras[camera] = CameraRecord(
                camera, site, name, scene, versions[0], tags_now, versions[1]
            )
            self.database.rows.setdefault(camera, Row(Position("", 0, new_epoch(), 0, CHAIN_START)))
            return True

        return await self._change("add_camera", act, audit)

    async def update_camera(
        self,
        camera: str,
        *,
        name: str,
        tags: Sequence[str],
        expected_version: int | None = None,
        audit: Audit | None = None,
    ) -> int | None:

        def act() -> int | None:
            record = _known(self.database.cameras, camera)
            if expected_version not in (None, record.version):
                return None
            changed = msgspec.structs.replace(
                record, name=name, tags=list(tags), version=record.version + 1
            )
            self.database.cameras[camera] = changed
            return changed.version

        return await self._change("update_camera", act, audit)

    async def remove_camera(
        self, camera: str, *, expected_version: int | None = None, audit: Audit | None = None
    ) -> bool:

        def act() -> bool:
            record = _known(self.database.cameras, camera)
            if expected_version not in (None, record.version):
                return False
            self.database.deleted_cameras[camera] = msgspec.structs.replace(
                record, version=record.version + 1, deleted=True
            )
            del self.database.cameras[camera]
            return True

        return await self._change("remove_camera", act, audit)

    async def sites(self, *, after: str = "", limit: int = 1000) -> list[SiteRecord]:
        return await self.faults.run(
            "sites",
            lambda: [s for _, s in sorted(self.database.sites.items()) if s.site > after][:limit],
        )

    async def site(self, site: str) -> SiteRecord | None:
        return await self.faults.run("site", lambda: self.database.sites.get(site))

    async def add_site(
        self, site: str, *, name: str = "", place: bytes = b"{}", audit: Audit | None = None
    ) -> bool:
        require_id(site, "site")
        return await self._change(
            "add_site", lambda: self._add_site(SiteRecord(site, name, place)), audit
        )

    async def update_site(
        self,
        site: str,
        *,
        name: str,
        place: bytes,
        expected_version: int | None = None,
        audit: Audit | None = None,
    ) -> int | None:

        def act() -> int | None:
            record = _known(self.database.sites, site)
            if expected_version not in (None, record.version):
                return None
            self.database.sites[site] = SiteRecord(site, name, place, record.version + 1)
            return record.version + 1

        return await self._change("update_site", act, audit)

    async def remove_site(
        self, site: str, *, expected_version: int | None = None, audit: Audit | None = None
    ) -> bool:

        def act() -> bool:
            record = _known(self.database.sites, site)
            if any(camera.site == site for camera in self.database.cameras.values()):
                raise Conflict(f"site {site} still has cameras")
            if expected_version not in (None, record.version):
                return False
            self.database.deleted_sites[site] = msgspec.structs.replace(
                record, version=record.version + 1
            )
            del self.database.sites[site]
            return True

        return await self._change("remove_site", act, audit)

    async def changed_scenes(self, known: Mapping[str, int]) -> list[SceneChange]:

        def act() -> list[SceneChange]:
            found = []
            for camera, version in sorted(known.items()):
                record = self.database.cameras.get(camera)
                if record is None:
                    found.append(SceneChange(camera, None, 0))
                elif record.scene_version != version:
                    found.append(SceneChange(camera, record.scene, record.scene_version))
            return found

        return await self.faults.run("changed_scenes", act)

    async def _change(
        self, operation: str, act: Callable[[], Record], audit: Audit | None
    ) -> Record:
        """With its record, or not at all."""
        tables = (
            self.database.sites,
            self.database.deleted_sites,
            self.database.cameras,
            self.database.deleted_cameras,
            self.database.rows,
            self.database.registered_by,
        )
        before: list[dict[str, Any]] = [dict(table) for table in tables]
        done = await self.faults.run(operation, act)
        if done and audit is not None:
            try:
                await audit(None)
            except EyrieError:
                for table, old in zip(
                    cast("tuple[dict[str, Any], ...]", tables), before, strict=True
                ):
                    table.clear()
                    table.update(old)
                raise
        return done

    def _all(self, *, deleted: bool) -> dict[str, CameraRecord]:
        return (
            {**self.database.cameras, **self.database.deleted_cameras}
            if deleted
            else self.database.cameras
        )

    def _add_site(self, site: SiteRecord) -> bool:
        if site.site in self.database.sites:
            return False
        old = self.database.deleted_sites.pop(site.site, None)
        self.database.sites[site.site] = msgspec.structs.replace(
            site, version=1 if old is None else old.version + 1
        )
        return True


def _known(records: Mapping[str, Record], name: str) -> Record:
    if name not in records:
        raise NotFound(f"{name!r} is not registered")
    return records[name]
