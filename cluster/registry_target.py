"""Where a registry file is applied: through a hub's REST, or straight to the store before anything
runs (`eyrie up`)."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from actors.core.errors import BadInput, Conflict, StaleTag
from actors.core.messages.registry import (
    CameraFields,
    NewCamera,
    NewSite,
    SiteFields,
    place_json,
    read_place,
    read_scene,
    scene_json,
    taken,
)
from actors.core.scene.scene import Scene
from cluster.registry_file import (
    AddCamera,
    AddSite,
    ChangeCamera,
    ChangeSite,
    KnownCamera,
    KnownSite,
    RegisteredState,
    RegistryChange,
    RegistryFile,
    SetScene,
    plan,
)
from cluster.rest_client import HubRest
from storage.ports.registry import Registry


class Target(Protocol):
    """One registry. Changes raise StaleTag when somebody else was faster."""

    async def site(self, site: str) -> KnownSite | None:
        """One site."""

    async def camera(self, camera: str) -> KnownCamera | None:
        """One camera."""

    async def carry_out(self, step: RegistryChange) -> None:
        """Make one change."""


async def compare(file: RegistryFile, target: Target) -> list[RegistryChange]:
    """The steps that `file` asks for, against what `target` holds now."""
    sites = {*file.sites, *(camera.site for camera in file.cameras.values())}
    known = RegisteredState({}, {})
    for site in sorted(sites):
        if (here := await target.site(site)) is not None:
            known.sites[site] = here
    for camera in sorted(file.cameras):
        if (there := await target.camera(camera)) is not None:
            known.cameras[camera] = there
    return plan(file, known)


async def carry_out(steps: Sequence[RegistryChange], target: Target) -> None:
    """Make the changes in order. What raises leaves those before it made; applying the file again
    goes on from there."""
    for step in steps:
        await target.carry_out(step)


class StoreTarget:
    """Over `storage.ports.registry.Registry`, past policy: for who owns the database."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def site(self, site: str) -> KnownSite | None:
        found = await self._registry.site(site)
        return (
            None
            if found is None
            else KnownSite(
                SiteFields(name=found.name, place=read_place(found.place)), str(found.version)
            )
        )

    async def camera(self, camera: str) -> KnownCamera | None:
        found = await self._registry.camera(camera)
        if found is None:
            return None
        try:
            scene = read_scene(found.scene)
        except msgspec.MsgspecError as error:
            raise BadInput(
                f"the stored scene of camera {camera} cannot be read: {error}",
                hint="Another release wrote it.",
            ) from error
        fields = CameraFields(name=found.name, tags=found.tags)
        return KnownCamera(found.site, fields, scene, str(found.version), str(found.scene_version))

    async def carry_out(self, step: RegistryChange) -> None:
        done: object
        match step.action:
            case AddSite(new):
                done = await self._registry.add_site(
                    new.site, name=new.name, place=place_json(new.place)
                )
            case ChangeSite(site, site_fields, tag):
                place = place_json(site_fields.place)
                done = await self._registry.update_site(
                    site, name=site_fields.name, place=place, expected_version=int(tag)
                )
            case AddCamera(new_camera):
                done = await self._registry.add_camera(
                    new_camera.camera,
                    new_camera.site,
                    name=new_camera.name,
                    tags=new_camera.tags,
                    scene=scene_json(new_camera.scene),
                )
                if not done and await self._registry.camera(new_camera.camera) is None:
                    raise taken(new_camera.camera)
            case ChangeCamera(camera, fields, tag):
                done = await self._registry.update_camera(
                    camera, name=fields.name, tags=fields.tags, expected_version=int(tag)
                )
            case SetScene(camera, scene, tag):
                done = await self._registry.set_scene(
                    camera, scene_json(scene), expected_version=int(tag)
                )
        if not done:
            raise StaleTag(
                f"{step.what} was changed by somebody else meanwhile", hint="Apply the file again."
            )


class _Site(msgspec.Struct):
    site: str
    name: str = ""
    place: Any = None


class _Camera(msgspec.Struct):
    site: str
    name: str
    tags: list[str]


class _Scene(msgspec.Struct):
    scene: Scene


class HubTarget:
    """Through a hub, under the token's permissions; actors and walls follow at once."""

    def __init__(self, hub: HubRest) -> None:
        self._hub = hub

    async def site(self, site: str) -> KnownSite | None:
        found = await self._get(f"/v1/sites/{quote(site)}", _Site)
        if found is None:
            return None
        fields = msgspec.convert({"name": found[0].name, "place": found[0].place}, SiteFields)
        return KnownSite(fields, found[1])

    async def camera(self, camera: str) -> KnownCamera | None:
        path = f"/v1/cameras/{quote(camera)}"
        found, scene = await self._get(path, _Camera), await self._get(f"{path}/scene", _Scene)
        if found is None or scene is None:
            return None
        fields = CameraFields(name=found[0].name, tags=found[0].tags)
        return KnownCamera(found[0].site, fields, scene[0].scene, found[1], scene[1])

    async def carry_out(self, step: RegistryChange) -> None:
        match step.action:
            case AddSite(new):
                await self._send("POST", "/v1/sites", new)
            case ChangeSite(site, site_fields, tag):
                await self._send("PUT", f"/v1/sites/{quote(site)}", site_fields, tag)
            case AddCamera(new_camera):
                await self._send("POST", "/v1/cameras", new_camera)
            case ChangeCamera(camera, fields, tag):
                await self._send("PUT", f"/v1/cameras/{quote(camera)}", fields, tag)
            case SetScene(camera, scene, tag):
                await self._send("PUT", f"/v1/cameras/{quote(camera)}/scene", scene, tag)

    async def _get(self, path: str, kind: type[Any]) -> tuple[Any, str] | None:
        found = await asyncio.to_thread(self._hub.get, path)
        if found is None:
            return None
        try:
            return msgspec.json.decode(found.body, type=kind), found.etag
        except msgspec.MsgspecError as error:
            raise Conflict(f"the hub's answer for {path} is of another release: {error}") from error

    async def _send(
        self,
        method: str,
        path: str,
        body: SiteFields | CameraFields | NewSite | NewCamera | Scene,
        tag: str = "",
    ) -> None:
        await asyncio.to_thread(self._hub.send, method, path, body, etag=tag)
