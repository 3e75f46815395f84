"""Cameras by REST: ``/v1/cameras`` and ``/v1/cameras/{camera}``. Their scenes are in
`hub.rest.scenes`."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import Conflict, Forbidden, NotFound, Unavailable
from actors.core.identifiers import CameraId, require_id
from actors.core.messages.registry import CameraFields, NewCamera, scene_json, taken
from actors.core.scene.checks import require_sound
from actors.ports import Directory
from hub.rest.registry import RegistryChanges
from hub.web import endpoint
from policy.identity.principal import Principal
from storage.ports.registry import CameraRecord


class Cameras:
    """The handlers."""

    def __init__(self, changes: RegistryChanges) -> None:
        self._changes = changes

    async def add(self, request: Request, principal: Principal) -> Response:
        """Add a camera to a registered site, or bring a deleted one back where it was: `NewCamera`.

        409 when its id is taken (it is there, or was deleted elsewhere or with tags that you may
        not see), or its site is not there.
        """
        new = await endpoint.body(request, NewCamera)
        await self._changes.require("register", principal, new.camera, new.site, [])
        if new.tags:
            await self._changes.require("register", principal, new.camera, new.site, new.tags)
        restores = await self._restores(principal, new)
        await asyncio.to_thread(require_sound, new.scene)
        back = ", brought back" if restores else ""
        audit = self._changes.auditor.record(
            principal, "camera.add", new.camera, f"site {new.site}, {tags_of(new.tags)}{back}"
        )
        try:
            added = await self._changes.registry.add_camera(
                new.camera,
                new.site,
                name=new.name,
                tags=new.tags,
                scene=scene_json(new.scene),
                restores=restores,
                audit=audit,
            )
        except NotFound as error:
            raise Conflict(error.detail, hint="Register the site first.") from error
        if not added:
            raise taken(new.camera)
        self._changes.changed(principal, f"camera {new.camera} added to site {new.site}")
        await self._changes.announce(new.camera, new.site)
        record = await self._changes.camera("register", principal, new.camera)
        return endpoint.answer(
            described(record),
            status=201,
            version=record.version,
            location=f"/v1/cameras/{new.camera}",
        )

    async def _restores(self, principal: Principal, new: NewCamera) -> int:
        """The version of the deleted camera that `new` brings back, 0 for none.

        Raises Conflict for one that may not come back so, and Forbidden where its tags would become
        others than this principal may set.
        """
        old = await self._changes.registry.camera(new.camera, deleted=True)
        if old is None:
            return 0
        if not old.deleted or old.site != new.site:
            raise taken(new.camera)
        try:
            await self._changes.require("register", principal, old.camera, old.site, old.tags)
        except Forbidden as error:
            raise taken(new.camera) from error
        if new.tags and set(new.tags) != set(old.tags):
            for tags in (old.tags, new.tags):
                await self._changes.require("registry.write", principal, old.camera, old.site, tags)
        return old.version

    async def read(self, request: Request, principal: Principal) -> Response:
        """One camera, with its ETag, which changes with its scene too."""
        record = await self._changes.camera("registry.read", principal, camera_of(request))
        return endpoint.answer(described(record), version=record.version)

    async def change(self, request: Request, principal: Principal) -> Response:
        """Set `CameraFields`; If-Match. Policy is asked about the camera as it is and as it would
        become: tags decide who sees it."""
        record = await self._changes.camera("registry.write", principal, camera_of(request))
        expected = endpoint.require_match(request, record.version)
        fields = await endpoint.body(request, CameraFields)
        await self._changes.require(
            "registry.write", principal, record.camera, record.site, fields.tags
        )
        audit = self._changes.auditor.record(
            principal,
            "camera.change",
            record.camera,
            f"{tags_of(fields.tags)}, before {tags_of(record.tags)}",
        )
        version = await self._changes.registry.update_camera(
            record.camera,
            name=fields.name,
            tags=fields.tags,
            expected_version=expected,
            audit=audit,
        )
        if version is None:
            raise endpoint.stale(f"camera {record.camera}")
        self._changes.changed(
            principal,
            f"camera {record.camera} changed to version {version}, {tags_of(fields.tags)}",
        )
        await self._changes.announce(record.camera, record.site)
        record = await self._changes.camera("registry.write", principal, record.camera)
        return endpoint.answer(described(record), version=record.version)

    async def remove(self, request: Request, principal: Principal) -> Response:
        """Delete a camera; If-Match. Its actor commits and ends, walls lose it, what is stored
        stays (docs/registry.md)."""
        record = await self._changes.camera("registry.write", principal, camera_of(request))
        expected = endpoint.require_match(request, record.version)
        audit = self._changes.auditor.record(
            principal, "camera.delete", record.camera, f"site {record.site}"
        )
        if not await self._changes.registry.remove_camera(
            record.camera, expected_version=expected, audit=audit
        ):
            raise endpoint.stale(f"camera {record.camera}")
        self._changes.changed(principal, f"camera {record.camera} deleted")
        await self._changes.announce(record.camera, record.site)
        return endpoint.gone()


def camera_of(request: Request) -> str:
    """The camera of the path. Raises InvalidId."""
    return require_id(request.path_params["camera"], "camera")


def tags_of(tags: Sequence[str]) -> str:
    """Tags in a line of a log."""
    return f"tags {', '.join(tags) or 'none'}"


def described(record: CameraRecord) -> dict[str, Any]:
    """A camera as REST shows it."""
    return {
        "camera": record.camera,
        "site": record.site,
        "name": record.name,
        "tags": record.tags,
        "scene_version": record.scene_version,
        "auto_registered": record.auto_registered,
    }


class Reset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which lines (all when missing), and why, for whoever reads the event."""

    lines: Annotated[list[CameraId], msgspec.Meta(min_length=1, max_length=64)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=120)] | None = None


class Counts:
    """The handler."""

    def __init__(self, changes: RegistryChanges, directory: Directory) -> None:
        self._changes = changes
        self._directory = directory

    async def reset(self, request: Request, principal: Principal) -> Response:
        """Let lines count from zero: `Reset`; ``{camera, event}`` once it is committed. Whoever may
        write the camera may."""
        record = await self._changes.camera("registry.write", principal, camera_of(request))
        asked = await endpoint.body(request, Reset)
        actor = (await self._directory.locate([record.camera])).get(record.camera)
        if actor is None:
            raise Unavailable(
                f"camera {record.camera} has no actor yet",
                hint="Try again in a moment.",
                retry_after_s=2.0,
            )
        lines = "all lines" if asked.lines is None else f"lines {', '.join(asked.lines)}"
        await self._changes.auditor.announce(principal, "counts.reset", record.camera, lines)
        event = await actor.reset_counts(record.camera, asked.lines, asked.reason)
        self._changes.changed(principal, f"counts of camera {record.camera} reset: {event}")
        return endpoint.answer({"camera": record.camera, "event": event})
