"""What people say of sites and cameras, by REST and in a registry file alike."""

from typing import Annotated

import msgspec

from actors.core.errors import Conflict
from actors.core.identifiers import CameraId, SiteId
from actors.core.scene.scene import Place, Scene

Name = Annotated[str, msgspec.Meta(max_length=120, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
Tag = Annotated[
    str, msgspec.Meta(min_length=1, max_length=64, pattern=r"\A[a-z0-9][a-z0-9:_.-]*\Z")
]
Tags = Annotated[list[Tag], msgspec.Meta(max_length=32)]


class SiteFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be changed of a site."""

    name: Name = ""
    place: Place | None = None


class NewSite(SiteFields, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A site to add."""

    site: SiteId


class CameraFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be changed of a camera besides its scene. Policy reads the tags."""

    name: Name = ""
    tags: Tags = []


class NewCamera(CameraFields, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A camera to add to a registered site. The site of a camera never changes."""

    camera: CameraId
    site: SiteId
    scene: Scene = Scene()


def taken(camera: str) -> Conflict:
    """An id that cannot be added. It says neither where the camera is nor whether it was deleted:
    not everybody may know."""
    return Conflict(
        f"camera id {camera} is taken, by a camera that is registered or was deleted",
        hint="PUT with its ETag changes one that is there; a deleted one comes back at its own "
        "site alone. Else choose another id.",
    )


def place_json(place: Place | None) -> bytes:
    """A place as the registry stores it."""
    return b"{}" if place is None else msgspec.json.encode(place)


def scene_json(scene: Scene) -> bytes:
    """A scene as the registry stores it: with every default, so that another release's defaults
    change nothing."""
    return msgspec.json.encode(scene)


def read_place(stored: bytes) -> Place | None:
    """The stored place; None when there is nothing in it."""
    place = msgspec.json.decode(stored or b"{}", type=Place)
    return None if place == Place() else place


def read_scene(stored: bytes) -> Scene:
    """The stored scene. Raises msgspec.ValidationError when another release wrote it and this one
    cannot read it."""
    return msgspec.json.decode(stored or b"{}", type=Scene)
