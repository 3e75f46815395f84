"""What a hub knows of the registry: deleted cameras are known as such, and who is unknown is looked
for afresh, once."""

import asyncio
from typing import TypeVar

import pytest

from hub.access.registry_cache import KEPT_S, MAX_ENTRIES, CameraCache
from storage.ports.registry import CameraRecord
from tests.support.doubles.stores import memory_stores
from tests.support.waiting import until

T = TypeVar("T")


class Counted:
    """A registry that counts the lists it was asked for. What it has read it keeps to itself while
    it is `held`."""

    def __init__(self) -> None:
        self.registry = memory_stores().registry
        self.lists = 0
        self.waiting = 0
        self.held: asyncio.Event | None = None

    async def told(self, found: T) -> T:
        """What was read, when nothing holds it."""
        if self.held is not None:
            self.waiting += 1
            await self.held.wait()
        return found

    async def camera(self, camera: str) -> CameraRecord | None:
        return await self.told(await self.registry.camera(camera))

    async def cameras(
        self, site: str | None = None, *, deleted: bool = False
    ) -> list[CameraRecord]:
        self.lists += 1
        return await self.told(await self.registry.cameras(site, deleted=deleted))


@pytest.fixture
async def known() -> Counted:
    found = Counted()
    await found.registry.register("gate", "north")
    await found.registry.register("vault", "north", tags=["restricted"])
    await found.registry.register("dock", "south")
    await found.registry.remove_camera("vault")
    return found


async def test_one_read_tells_the_cameras_that_are_there_and_those_that_ever_were(
    known: Counted,
) -> None:
    cache = CameraCache(known, lambda: 0.0)
    assert [record.camera for record in await cache.cameras("north")] == ["gate"]
    assert [(record.camera, record.tags) for record in await cache.ever("north")] == [
        ("gate", []),
        ("vault", ["restricted"]),
    ]
    assert await cache.cameras("north") is await cache.cameras("north"), (
        "policy is not asked again about the same list"
    )
    assert known.lists == 1
    assert [record.camera for record in await cache.ever()] == ["dock", "gate", "vault"]


async def test_strangers_are_those_that_never_belonged_to_the_site(known: Counted) -> None:
    cache = CameraCache(known, lambda: 0.0)
    assert await cache.strangers("north", ["gate", "vault"]) == frozenset()
    assert known.lists == 1
    for _ in range(3):
        assert await cache.strangers("north", ["gate", "dock", "ghost"]) == {"dock", "ghost"}
    assert known.lists == 2, "looked for once, however often they come"
    assert await cache.strangers(None, ["gate", "dock", "ghost"]) == {"ghost"}


async def test_a_camera_that_is_newer_than_what_was_read_is_no_stranger(known: Counted) -> None:
    cache = CameraCache(known, lambda: 0.0)
    assert [record.camera for record in await cache.cameras("north")] == ["gate"]
    await known.registry.register("yard", "north", tags=["restricted"])
    assert await cache.strangers("north", ["yard"]) == frozenset()
    assert "yard" in [record.camera for record in await cache.ever("north")], (
        "whoever asks policy now asks about it"
    )


async def test_what_was_read_is_old_after_a_while_or_when_it_is_changed_here(
    known: Counted,
) -> None:
    now = 0.0
    cache = CameraCache(known, lambda: now)
    await cache.cameras("north")
    await known.registry.remove_camera("gate")
    assert len(await cache.cameras("north")) == 1
    cache.forget("gate", "north")
    assert await cache.cameras("north") == []
    await known.registry.add_camera("gate", "north")
    now += KEPT_S
    assert len(await cache.cameras("north")) == 1


async def test_strangers_of_any_number_are_told(known: Counted) -> None:
    cache = CameraCache(known, lambda: 0.0)
    many = frozenset(f"ghost-{number}" for number in range(MAX_ENTRIES + 10))
    assert await cache.strangers("north", many) == many
    assert await cache.strangers("north", many) == many


async def test_what_was_asked_for_before_a_change_and_comes_after_it_is_not_kept(
    known: Counted,
) -> None:
    cache = CameraCache(known, lambda: 0.0)
    known.held = asyncio.Event()
    reads = [asyncio.create_task(cache.ever("north")), asyncio.create_task(cache.camera("yard"))]
    await until(lambda: known.waiting == 2, what="both reads")
    await known.registry.register("yard", "north", tags=["restricted"])
    cache.forget("yard", "north")
    known.held.set()
    await asyncio.gather(*reads)
    assert "yard" in [record.camera for record in await cache.ever("north")]
    assert await cache.camera("yard") is not None


async def test_a_camera_that_was_changed_elsewhere_is_known_here_soon() -> None:
    now = 0.0
    registry = Counted()
    await registry.registry.register("gate", "north")
    cache = CameraCache(registry, lambda: now)
    assert (found := await cache.camera("gate")) is not None
    assert found.tags == []
    await registry.registry.update_camera("gate", name="", tags=["private"])
    now = KEPT_S - 0.001
    assert (found := await cache.camera("gate")) is not None
    assert found.tags == []
    now = KEPT_S
    assert (found := await cache.camera("gate")) is not None
    assert list(found.tags) == ["private"]
