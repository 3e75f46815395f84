"""What is asked of storage about sites and cameras."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from storage.ports.policy import Audit
from storage.ports.registration_bounds import RegistrationBound


class CameraRecord(msgspec.Struct, frozen=True):
    """A registered camera, or one that was `deleted`. `version` grows with every change of it,
    `scene_version` with those of its scene.

    `seen`: it ever had a session, set when read.
    """

    camera: str
    site: str
    name: str
    scene: bytes
    scene_version: int
    tags: list[str]
    version: int = 1
    deleted: bool = False
    seen: bool = False
    auto_registered: bool = False  # a device brought it about by itself


class SiteRecord(msgspec.Struct, frozen=True):
    """A registered site. `place` is the JSON of `actors.core.scene.scene.Place`; `version` grows
    with every change."""

    site: str
    name: str = ""
    place: bytes = b"{}"
    version: int = 1


class SceneChange(msgspec.Struct, frozen=True):
    """A camera whose registered scene is not the known one; `scene` is None when the camera was
    deleted."""

    camera: str
    scene: bytes | None
    version: int


class Registry(Protocol):
    """Sites and cameras. Deleting marks a row: it is as if it were not there, until it is added
    again. A camera's site never changes: what is stored of a deleted one goes by its site and tags
    as they were.

    `audit` writes the record of a change in its transaction; it is not asked where nothing changes,
    and what it raises undoes the change.
    """

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
        """Add a camera (and its site) if it is not there; True when it was added. Makes its camera
        row (no owner, generation 0).

        What an edge brings about by itself: it never brings back a camera that was deleted. Raises
        TooManyCameras beyond `bound`, which holds exactly over all processes; nothing is added
        then.
        """

    async def camera(self, camera: str, *, deleted: bool = False) -> CameraRecord | None:
        """One camera; with `deleted` also one that was deleted."""

    async def cameras(
        self, site: str | None = None, *, deleted: bool = False
    ) -> list[CameraRecord]:
        """All cameras, or those of one site, by id; with `deleted` also those that were deleted,
        without their scenes."""

    async def set_scene(
        self,
        camera: str,
        scene: bytes,
        *,
        expected_version: int | None = None,
        audit: Audit | None = None,
    ) -> int | None:
        """Store a scene; the new version, or None when `expected_version` is not the current one.
        Raises NotFound."""

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
        """Add a camera to a registered site, or bring back a deleted one (its stream goes on where
        it stood); False when its id is taken.

        A deleted one comes back at its own site alone, with its tags unless others are given.
        `restores`: only if this is its version; 0: never. Raises NotFound for a site that is not
        registered.
        """

    async def update_camera(
        self,
        camera: str,
        *,
        name: str,
        tags: Sequence[str],
        expected_version: int | None = None,
        audit: Audit | None = None,
    ) -> int | None:
        """Set these; the new version, or None when `expected_version` is not the current one.
        Raises NotFound."""

    async def remove_camera(
        self, camera: str, *, expected_version: int | None = None, audit: Audit | None = None
    ) -> bool:
        """Mark it deleted; False when `expected_version` is not the current one. Raises
        NotFound."""

    async def sites(self, *, after: str = "", limit: int = 1000) -> list[SiteRecord]:
        """Sites by id, those after `after`, at most `limit`."""

    async def site(self, site: str) -> SiteRecord | None:
        """One site."""

    async def add_site(
        self, site: str, *, name: str = "", place: bytes = b"{}", audit: Audit | None = None
    ) -> bool:
        """Add a site, or bring a deleted one back; False when it is there."""

    async def update_site(
        self,
        site: str,
        *,
        name: str,
        place: bytes,
        expected_version: int | None = None,
        audit: Audit | None = None,
    ) -> int | None:
        """Set these; the new version, or None when `expected_version` is not the current one.
        Raises NotFound."""

    async def remove_site(
        self, site: str, *, expected_version: int | None = None, audit: Audit | None = None
    ) -> bool:
        """Mark it deleted; False when `expected_version` is not the current one. Raises NotFound,
        and Conflict while it has cameras."""

    async def changed_scenes(self, known: Mapping[str, int]) -> list[SceneChange]:
        """What an actor process must learn: of the cameras with the scene versions it knows, those
        that changed or were deleted."""
