"""Sites and cameras in PostgreSQL: `storage.ports.registry.Registry`."""

from collections.abc import Mapping, Sequence
from typing import Any

from actors.core.errors import BadInput, Conflict, NotFound
from actors.core.identifiers import require_id
from storage.ports.epochs import new_epoch
from storage.ports.policy import Audit
from storage.ports.registration_bounds import RegistrationBound, require_room
from storage.ports.registry import CameraRecord, SceneChange, SiteRecord
from storage.postgres import rows as rows_of
from storage.postgres.pool import Database
from storage.postgres.statements import sql

REGISTER_LOCK = 0x65797265_67  # of registrations by devices; they are rare, so all wait for one


class PostgresRegistry:
    """`storage.ports.registry.Registry` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("registry")

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
        arguments = (
            camera,
            site,
            name,
            _text(scene),
            list(tags),
            new_epoch(),
            bound.device if bound is not None else None,
        )
        if bound is None:
            return bool(await self._database.change(self._sql["register"], *arguments, audit=audit))
        async with self._database.transaction(writing=True) as connection:
            await connection.execute(
                "SELECT pg_advisory_xact_lock($1)", REGISTER_LOCK
            )  # who comes second counts what the first has added
            counted = await connection.fetchrow(self._sql["registered"], camera, site, bound.device)
            if counted["known"]:
                return False
            require_room(bound, counted["of_device"], site, counted["of_site"])
            added = bool(await connection.fetch(self._sql["register"], *arguments))
            if added and audit is not None:
                await audit(connection)
        return added

    async def camera(self, camera: str, *, deleted: bool = False) -> CameraRecord | None:
        found = await self._database.fetch(self._sql["camera"], camera, deleted)
        return rows_of.camera(found[0]) if found else None

    async def cameras(
        self, site: str | None = None, *, deleted: bool = False
    ) -> list[CameraRecord]:
        return [
            rows_of.camera(row)
            for row in await self._database.fetch(self._sql["cameras"], site, deleted)
        ]

    async def set_scene(
        self,
        camera: str,
        scene: bytes,
        *,
        expected_version: int | None = None,
        audit: Audit | None = None,
    ) -> int | None:
        return await self._change(
            "set_scene", "camera", camera, _text(scene), expected_version, audit=audit
        )

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
        arguments = (camera, site, name, _text(scene), list(tags), new_epoch(), restores)
        row = (
            await self._database.change(
                self._sql["add_camera"],
                *arguments,
                audit=audit,
                done=lambda rows: bool(rows[0]["added"]),
            )
        )[0]
        if not row["site"]:
            raise NotFound(f"site {site} is not registered", hint="Register the site first.")
        return bool(row["added"])

    async def update_camera(
        self,
        camera: str,
        *,
        name: str,
        tags: Sequence[str],
        expected_version: int | None = None,
        audit: Audit | None = None,
    ) -> int | None:
        return await self._change(
            "update_camera", "camera", camera, name, list(tags), expected_version, audit=audit
        )

    async def remove_camera(
        self, camera: str, *, expected_version: int | None = None, audit: Audit | None = None
    ) -> bool:
        return (
            await self._change("remove_camera", "camera", camera, expected_version, audit=audit)
            is not None
        )

    async def sites(self, *, after: str = "", limit: int = 1000) -> list[SiteRecord]:
        return [
            rows_of.site(row)
            for row in await self._database.fetch(self._sql["sites"], after, limit)
        ]

    async def site(self, site: str) -> SiteRecord | None:
        found = await self._database.fetch(self._sql["site"], site)
        return rows_of.site(found[0]) if found else None

    async def add_site(
        self, site: str, *, name: str = "", place: bytes = b"{}", audit: Audit | None = None
    ) -> bool:
        require_id(site, "site")
        return bool(
            await self._database.change(
                self._sql["add_site"], site, name, _text(place), audit=audit
            )
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
        return await self._change(
            "update_site", "site", site, name, _text(place), expected_version, audit=audit
        )

    async def remove_site(
        self, site: str, *, expected_version: int | None = None, audit: Audit | None = None
    ) -> bool:
        return (
            await self._change("remove_site", "site", site, expected_version, audit=audit)
            is not None
        )

    async def changed_scenes(self, known: Mapping[str, int]) -> list[SceneChange]:
        rows = await self._database.fetch(
            self._sql["changed_scenes"], list(known), list(known.values())
        )
        return [
            SceneChange(
                row["camera"],
                None if row["scene"] is None else row["scene"].encode(),
                row["scene_version"] or 0,
            )
            for row in rows
        ]

    async def _change(
        self, statement: str, what: str, name: str, *arguments: Any, audit: Audit | None
    ) -> int | None:
        """Run a statement that answers ``version``, ``known`` and perhaps ``busy``; the new
        version, None when another was expected."""
        rows = await self._database.change(
            self._sql[statement],
            name,
            *arguments,
            audit=audit,
            done=lambda found: found[0]["version"] is not None,
        )
        row = rows[0]
        version: int | None = row["version"]
        if not row["known"]:
            raise NotFound(f"{what} {name!r} is not registered")
        # a Record's `in` looks at values
        if version is None and "busy" in row.keys() and row["busy"] is not None:  # noqa: SIM118
            raise Conflict(
                f"site {name} still has cameras, {row['busy']} for one",
                hint="Delete its cameras first.",
            )
        return version


def _text(document: bytes) -> str:
    try:
        return document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput("it must be JSON in UTF-8") from error
