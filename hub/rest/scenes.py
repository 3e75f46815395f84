"""A camera's scene by REST: the whole of it, or one zone or line. Every change is one new version,
whose number is the ETag of all."""

import asyncio
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import BadInput, Conflict, NotFound
from actors.core.identifiers import require_id
from actors.core.messages.registry import read_scene, scene_json
from actors.core.scene.checks import require_sound
from actors.core.scene.scene import Line, Scene, Zone
from hub.rest.cameras import camera_of
from hub.rest.registry import RegistryChanges
from hub.web import endpoint
from policy.identity.principal import Principal
from storage.ports.registry import CameraRecord

MAX_SHAPES = 64  # zones of a scene, and lines of it

Kind = Literal["zones", "lines"]
_SHAPES: dict[Kind, type[Zone] | type[Line]] = {"zones": Zone, "lines": Line}


class Scenes:
    """The handlers."""

    def __init__(self, changes: RegistryChanges) -> None:
        self._changes = changes

    async def read(self, request: Request, principal: Principal) -> Response:
        """The scene with every default."""
        record = await self._changes.camera("registry.read", principal, camera_of(request))
        return _shown(record, _scene(record), record.scene_version)

    async def change(self, request: Request, principal: Principal) -> Response:
        """Replace the scene: `Scene`; If-Match."""
        record, expected = await self._open(request, principal)
        return await self._store(
            principal, record, expected, await endpoint.body(request, Scene), "scene"
        )

    async def read_shape(self, request: Request, principal: Principal) -> Response:
        """One zone or line."""
        kind, name = _shape_of(request)
        record = await self._changes.camera("registry.read", principal, camera_of(request))
        return endpoint.answer(
            _existing(_shapes(_scene(record), kind), kind, name), version=record.scene_version
        )

    async def change_shape(self, request: Request, principal: Principal) -> Response:
        """Add or replace one zone or line: `Zone` or `Line`; If-Match with the scene's ETag."""
        kind, name = _shape_of(request)
        record, expected = await self._open(request, principal)
        shape = await endpoint.body(request, _SHAPES[kind])
        scene = _scene(record)
        shapes = {**_shapes(scene, kind), name: shape}
        if len(shapes) > MAX_SHAPES:
            raise BadInput(f"a scene has at most {MAX_SHAPES} {kind}")
        return await self._store(
            principal, record, expected, _with(scene, kind, shapes), f"{kind[:-1]} {name}"
        )

    async def remove_shape(self, request: Request, principal: Principal) -> Response:
        """Remove one zone or line; If-Match with the scene's ETag. Answers with the scene that is
        left."""
        kind, name = _shape_of(request)
        record, expected = await self._open(request, principal)
        scene = _scene(record)
        shapes = _shapes(scene, kind)
        _existing(shapes, kind, name)
        rest = {key: shape for key, shape in shapes.items() if key != name}
        return await self._store(
            principal, record, expected, _with(scene, kind, rest), f"{kind[:-1]} {name} removed"
        )

    async def _open(self, request: Request, principal: Principal) -> tuple[CameraRecord, int]:
        """The camera, and the version to be replaced: also for ``If-Match: *`` the one that was
        read, so that no other is lost."""
        record = await self._changes.camera("registry.write", principal, camera_of(request))
        endpoint.require_match(request, record.scene_version)
        return record, record.scene_version

    async def _store(
        self, principal: Principal, record: CameraRecord, expected: int, scene: Scene, what: str
    ) -> Response:
        await asyncio.to_thread(require_sound, scene)
        if scene == _scene(record, lenient=True):
            return _shown(record, scene, record.scene_version)
        try:
            stored = scene_json(scene)
        except UnicodeEncodeError as error:
            raise BadInput("a text of the scene has a lone surrogate") from error
        audit = self._changes.auditor.record(principal, "scene.change", record.camera, what)
        version = await self._changes.registry.set_scene(
            record.camera, stored, expected_version=expected, audit=audit
        )
        if version is None:
            raise endpoint.stale(f"the scene of camera {record.camera}")
        self._changes.changed(principal, f"camera {record.camera}: {what}, scene version {version}")
        in_force = await self._changes.announce(record.camera, record.site)
        return _shown(record, scene, version, in_force=in_force)


def _scene(record: CameraRecord, *, lenient: bool = False) -> Scene:
    try:
        return read_scene(record.scene)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        if lenient:
            return Scene()
        raise Conflict(
            f"the stored scene of camera {record.camera} cannot be read: {error}",
            hint="Replace it whole.",
        ) from error


def _shown(
    record: CameraRecord, scene: Scene, version: int, *, in_force: int | None = None
) -> Response:
    document: dict[str, Any] = {"camera": record.camera, "scene_version": version, "scene": scene}
    if in_force is not None:
        document["in_force"] = in_force
    return endpoint.answer(document, version=version)


def _shape_of(request: Request) -> tuple[Kind, str]:
    if "zone" in request.path_params:
        return "zones", require_id(request.path_params["zone"], "zone")
    return "lines", require_id(request.path_params["line"], "line")


def _shapes(scene: Scene, kind: Kind) -> dict[str, Any]:
    return dict(scene.zones if kind == "zones" else scene.lines)


def _with(scene: Scene, kind: Kind, shapes: dict[str, Any]) -> Scene:
    changed = {"zones": shapes} if kind == "zones" else {"lines": shapes}
    return msgspec.structs.replace(scene, **changed)


def _existing(shapes: dict[str, Any], kind: Kind, name: str) -> Any:
    if name not in shapes:
        raise NotFound(f"the scene has no {kind[:-1]} {name}")
    return shapes[name]
