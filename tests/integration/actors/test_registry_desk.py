"""Scenes that change, cameras that are deleted and dead letters that are replayed, on a running
actor over real servers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest

from actors import registry_sync
from actors.core.errors import Conflict, NotFound, Unavailable
from actors.core.messages.deliveries import Dismissed, Welcomed
from storage.stores import Stores
from tests.support.camera_rig import Process, events_of, types, walk
from tests.support.waiting import until

Begin = Callable[[Sequence[str]], Awaitable[Process]]
OTHER = msgspec.json.encode(
    {
        "zones": {
            "left": {"points": [[0.0, 0.0], [0.4, 0.0], [0.4, 1.0], [0.0, 1.0]], "enter_frames": 1}
        },
        "min_hits": 1,
    }
)


async def bodies(stores: Stores, camera: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(row.body) for row in await events_of(stores, camera)]


async def started(begin: Begin, camera: str) -> Process:
    process = await begin([camera])
    process.attach(camera)
    await process.has(Welcomed)
    process.data(camera, range(1, 6))
    await process.acked(camera, 5)
    return process


async def test_a_new_scene_counts_from_the_next_observation_on(
    begin: Begin, stores: Stores, camera: str
) -> None:
    process = await started(begin, camera)
    assert await stores.registry.set_scene(camera, OTHER) == 2
    assert await process.actor.registry.look([camera]) == {camera: 2}
    process.data(camera, range(6, 10))
    await process.acked(camera, 9)
    found = await bodies(stores, camera)
    changed = next(event for event in found if event["type"] == "camera.scene_changed")
    assert (changed["seq"], changed["data"]) == (
        5,
        {"version": 2, "added": ["zone:left"], "removed": ["zone:door"]},
    )
    entered = [
        (event["zone"], event["seq"] > 5) for event in found if event["type"] == "zone.entered"
    ]
    assert entered == [("door", False), ("left", True)]


async def test_a_change_that_nobody_told_is_seen_within_seconds(
    begin: Begin, stores: Stores, camera: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_sync, "LOOK_S", 0.1)
    await started(begin, camera)
    await stores.registry.set_scene(camera, OTHER)

    async def seen() -> bool:
        return "camera.scene_changed" in types(await events_of(stores, camera))

    async with asyncio.timeout(30):
        while not await seen():
            await asyncio.sleep(0.05)


async def test_a_scene_that_cannot_be_read_changes_nothing(
    begin: Begin, stores: Stores, camera: str
) -> None:
    process = await started(begin, camera)
    await stores.registry.set_scene(camera, b'{"of_a_later_release":1}')
    assert await process.actor.registry.look() == {camera: 1}
    await stores.registry.set_scene(camera, OTHER)
    assert await process.actor.registry.look() == {camera: 3}


async def test_a_deleted_camera_is_committed_and_its_edge_told_for_good(
    begin: Begin, stores: Stores, camera: str
) -> None:
    process = await started(begin, camera)
    process.data(camera, range(6, 12))
    await stores.registry.remove_camera(camera)
    await process.actor.registry.look([camera])
    await process.has(Dismissed)
    (dismissed,) = process.of(Dismissed)
    assert dismissed.code == 4504
    assert process.actor.describe()["hosted"] == {}
    assert (await stores.cameras.ownership([camera]))[camera].position.last_seq == 11


async def test_a_deleted_camera_is_left_even_when_its_last_commit_is_late(
    begin: Begin, stores: Stores, camera: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_sync, "SETTLE_S", 0.2)
    process = await started(begin, camera)

    async def away(rows: object) -> set[str]:
        raise Unavailable("PostgreSQL is away")

    monkeypatch.setattr(process.stores.cameras, "commit", away)
    process.data(camera, range(6, 12))
    await stores.registry.remove_camera(camera)
    await process.actor.registry.look([camera])
    await process.has(Dismissed)
    assert process.actor.describe()["hosted"] == {}


async def test_a_replay_is_one_event_whoever_asks_how_often(
    begin: Begin, stores: Stores, camera: str
) -> None:
    process = await started(begin, camera)
    letter = await stores.dead_letters.add(
        camera, "s1", "bad_input", "of an older release", walk([3])[0], 1
    )
    before = (await stores.cameras.ownership([camera]))[camera].position
    asked = await asyncio.gather(
        *(process.actor.registry.replay(letter, "ada") for _ in range(3)), return_exceptions=True
    )
    events = [answer for answer in asked if isinstance(answer, str)]
    assert [type(answer) for answer in asked if not isinstance(answer, str)] == [Conflict, Conflict]
    after = (await stores.cameras.ownership([camera]))[camera].position
    assert (after.last_seq, after.last_offset) == (before.last_seq, before.last_offset + 1)
    (replayed,) = [
        event for event in await bodies(stores, camera) if event["type"] == "stream.replayed"
    ]
    assert [replayed["id"]] == events
    assert (replayed["data"]["letter"], replayed["data"]["objects"]) == (letter, {"person": 1})
    row = await stores.dead_letters.get(letter)
    assert row is not None
    assert (row.status, row.by) == ("replayed", "ada")
    with pytest.raises(Conflict, match="replayed already"):
        await process.actor.registry.replay(letter, "ada")


async def test_what_cannot_be_replayed_says_why(begin: Begin, stores: Stores, camera: str) -> None:
    process = await started(begin, camera)
    with pytest.raises(NotFound):
        await process.actor.registry.replay(10**9, "ada")
    bad = await stores.dead_letters.add(camera, "s1", "bad_input", "no json", b"{", 1)
    with pytest.raises(Conflict, match="still refused"):
        await process.actor.registry.replay(bad, "ada")
    strange = await stores.dead_letters.add("another", "s1", "bad_input", "", walk([3])[0], 1)
    with pytest.raises(Unavailable, match="not hosted here"):
        await process.actor.registry.replay(strange, "ada")
    assert [letter.status for letter in await stores.dead_letters.list(after=bad - 1)] == [
        "new",
        "new",
    ]


async def test_a_replay_whose_commit_is_lost_leaves_the_letter_new(
    begin: Begin, stores: Stores, camera: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_sync, "REPLAY_S", 0.2)
    process = await started(begin, camera)
    letter = await stores.dead_letters.add(camera, "s1", "bad_input", "", walk([3])[0], 1)
    assert await stores.cameras.assign(camera, "another", previous=process.actor.name)
    with pytest.raises(Unavailable):
        await process.actor.registry.replay(letter, "ada")
    await until(
        lambda: process.actor.describe()["hosted"] == {}, what="the camera is left to its owner"
    )
    row = await stores.dead_letters.get(letter)
    assert row is not None
    assert row.status == "new"


async def test_a_reset_of_counts_is_committed_when_it_is_answered(
    begin: Begin, stores: Stores, camera: str
) -> None:
    process = await started(begin, camera)
    lines = {"lines": {"mid": {"points": [[0.5, 0.0], [0.5, 1.0]], "frames": 1}}, "min_hits": 1}
    assert await stores.registry.set_scene(camera, msgspec.json.encode(lines)) == 2
    await process.actor.registry.look([camera])
    process.data(camera, range(6, 25))
    await process.acked(camera, 24)
    first, second = await asyncio.gather(
        process.actor.registry.reset_counts(camera, None, "midnight"),
        process.actor.registry.reset_counts(camera, ["mid"], None),
    )
    resets = {
        event["id"]: event["data"]
        for event in await bodies(stores, camera)
        if event["type"] == "camera.counts_reset"
    }
    assert resets.keys() == {first, second}
    assert resets[first]["reason"] == "midnight"
    assert sum(resets[first]["lines"]["mid"][way] for way in ("in", "out")) == 2
    with pytest.raises(NotFound):
        await process.actor.registry.reset_counts(camera, ["other"], None)
    with pytest.raises(Unavailable):
        await process.actor.registry.reset_counts("elsewhere", None, None)
