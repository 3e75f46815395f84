"""`storage.ports.registry.Registry` and `DeadLetterStore`, what changes them: the doubles and
PostgreSQL."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from actors.core.errors import Conflict, NotFound, TooManyCameras, Unavailable
from actors.core.messages.commits import Replayed
from storage.ports.event_queries import EventQuery
from storage.ports.policy import Audit
from storage.ports.registration_bounds import RegistrationBound
from storage.ports.registry import SceneChange
from tests.support.servers.store_fixtures import Contract
from tests.support.store_rows import OWNER, RECEIVED_US, event_of, row_of, running

PLACE = b'{"latitude":52.5,"longitude":13.4}'


async def test_sites_are_added_changed_and_deleted_under_their_version(contract: Contract) -> None:
    registry = contract.registry
    assert await registry.add_site("north", name="North", place=PLACE)
    assert not await registry.add_site("north", name="again")
    assert (
        await registry.update_site("north", name="Northern", place=PLACE, expected_version=1) == 2
    )
    assert await registry.update_site("north", name="lost", place=PLACE, expected_version=1) is None
    site = await registry.site("north")
    assert site is not None
    assert (site.name, site.place, site.version) == ("Northern", PLACE, 2)
    assert not await registry.remove_site("north", expected_version=1)
    assert await registry.remove_site("north", expected_version=2)
    assert await registry.site("north") is None
    with pytest.raises(NotFound):
        await registry.update_site("north", name="", place=b"{}")
    assert await registry.add_site("north")
    back = await registry.site("north")
    assert back is not None
    assert back.version == 4, "an ETag from before the deletion never fits again"


async def test_sites_come_a_page_at_a_time(contract: Contract) -> None:
    for name in ("b", "a", "c"):
        await contract.registry.add_site(name)
    assert [site.site for site in await contract.registry.sites(limit=2)] == ["a", "b"]
    assert [site.site for site in await contract.registry.sites(after="b")] == ["c"]


async def test_a_site_with_cameras_stays(contract: Contract) -> None:
    await contract.registry.add_site("north")
    await contract.registry.add_camera("cam-1", "north")
    with pytest.raises(Conflict):
        await contract.registry.remove_site("north")
    await contract.registry.remove_camera("cam-1")
    assert await contract.registry.remove_site("north")


async def test_a_camera_needs_a_registered_site(contract: Contract) -> None:
    with pytest.raises(NotFound):
        await contract.registry.add_camera("cam-1", "nowhere")
    await contract.registry.register("cam-1", "north")
    assert (await contract.registry.site("north")) is not None, (
        "what an edge brings about has its site"
    )
    assert not await contract.registry.add_camera("cam-1", "north")


async def test_cameras_change_under_their_version(contract: Contract) -> None:
    registry = contract.registry
    await registry.add_site("north")
    assert await registry.add_camera(
        "cam-1", "north", name="Gate", tags=["a"], scene=b'{"min_hits":2}'
    )
    assert (
        await registry.update_camera("cam-1", name="Door", tags=["b", "c"], expected_version=1) == 2
    )
    assert await registry.update_camera("cam-1", name="lost", tags=[], expected_version=1) is None
    assert await registry.set_scene("cam-1", b"{}", expected_version=1) == 2
    found = await registry.camera("cam-1")
    assert found is not None
    assert (found.name, found.tags, found.scene_version, found.version) == (
        "Door",
        ["b", "c"],
        2,
        3,
    )
    with pytest.raises(NotFound):
        await registry.update_camera("unknown", name="", tags=[])


async def test_a_deleted_camera_is_not_there_and_nothing_of_it_is_lost(contract: Contract) -> None:
    generation, position = (await running(contract.registry, contract.cameras, ["cam-1"]))["cam-1"]
    assert await contract.cameras.commit(
        [row_of("cam-1", generation, position, events=[event_of("cam-1", position)])]
    ) == {"cam-1"}
    assert not await contract.registry.remove_camera("cam-1", expected_version=9)
    assert await contract.registry.remove_camera("cam-1", expected_version=1)
    assert await contract.registry.camera("cam-1") is None
    assert await contract.registry.cameras() == []
    assert await contract.cameras.owners() == {}
    assert await contract.cameras.activate(OWNER, ["cam-1"]) == []
    assert len(await contract.events.latest("cam-1", 10)) == 1
    assert not await contract.registry.register("cam-1", "site"), "an edge does not bring it back"
    assert await contract.registry.camera("cam-1") is None
    with pytest.raises(NotFound):
        await contract.registry.remove_camera("cam-1")


async def test_a_camera_that_comes_back_goes_on_where_it_stood(contract: Contract) -> None:
    generation, position = (await running(contract.registry, contract.cameras, ["cam-1"]))["cam-1"]
    await contract.registry.remove_camera("cam-1")
    assert await contract.registry.add_camera("cam-1", "site", name="Back")
    found = await contract.registry.camera("cam-1")
    assert found is not None
    assert found.name == "Back"
    assert (found.version > 1, found.scene_version > 1) == (True, True), (
        "an ETag from before the deletion never fits again"
    )
    (activation,) = await contract.cameras.activate(OWNER, ["cam-1"])
    assert activation.generation > generation
    assert activation.position.epoch == position.epoch


async def test_a_deleted_camera_is_known_with_its_site_and_tags_to_who_asks(
    contract: Contract,
) -> None:
    registry = contract.registry
    for name, tags in (("cam-1", ["restricted"]), ("cam-2", [])):
        await registry.register(name, "north", tags=tags, scene=b'{"min_hits":2}')
    await registry.register("cam-3", "south")
    await registry.remove_camera("cam-1")
    assert [(r.camera, r.deleted) for r in await registry.cameras("north")] == [("cam-2", False)]
    assert [
        (r.camera, r.site, r.tags, r.deleted) for r in await registry.cameras("north", deleted=True)
    ] == [
        ("cam-1", "north", ["restricted"], True),
        ("cam-2", "north", [], False),
    ]
    assert [r.camera for r in await registry.cameras(deleted=True)] == ["cam-1", "cam-2", "cam-3"]
    assert [r.scene for r in await registry.cameras("north", deleted=True)] == [
        b"{}",
        b'{"min_hits":2}',
    ]
    assert await registry.camera("cam-1") is None
    found = await registry.camera("cam-1", deleted=True)
    assert found is not None
    assert (found.site, found.tags, found.deleted) == ("north", ["restricted"], True)
    assert await registry.camera("unknown", deleted=True) is None


async def test_a_deleted_camera_comes_back_at_its_own_site_alone_and_with_its_tags(
    contract: Contract,
) -> None:
    registry = contract.registry
    await registry.add_site("south")
    await registry.register("cam-1", "north", tags=["restricted"])
    await registry.remove_camera("cam-1")
    assert not await registry.add_camera("cam-1", "south"), (
        "its events belong to the site it was at"
    )
    old = await registry.camera("cam-1", deleted=True)
    assert old is not None
    for version in (0, old.version - 1):
        assert not await registry.add_camera("cam-1", "north", restores=version)
    assert await registry.camera("cam-1") is None
    assert await registry.add_camera("cam-1", "north", restores=old.version)
    found = await registry.camera("cam-1")
    assert found is not None
    assert (found.site, found.tags, found.deleted) == ("north", ["restricted"], False)
    assert not await registry.add_camera("cam-1", "north", restores=found.version), "it is there"
    await registry.remove_camera("cam-1")
    assert await registry.add_camera("cam-1", "north", tags=["outdoor"])
    found = await registry.camera("cam-1")
    assert found is not None
    assert found.tags == ["outdoor"]
    assert await registry.add_camera("cam-2", "north", restores=0), "a new one brings nothing back"


async def test_events_are_read_of_cameras_that_were_registered_at_their_site(
    contract: Contract,
) -> None:
    """Of others nobody could say who may see them: they are in no read, as before the camera's site
    could not change any more."""
    generation, position = (await running(contract.registry, contract.cameras, ["cam-1"]))["cam-1"]
    moved = event_of("cam-1", position)
    moved = msgspec.structs.replace(
        moved, event=msgspec.structs.replace(moved.event, site="before")
    )
    assert await contract.cameras.commit(
        [row_of("cam-1", generation, position, events=[moved])]
    ) == {"cam-1"}
    assert await contract.events.latest("cam-1", 10) == []
    assert await contract.events.after("cam-1", position.epoch, 0, 10) == []
    for query in (
        EventQuery(sites=("before",)),
        EventQuery(sites=("site",)),
        EventQuery(camera="cam-1"),
    ):
        assert (await contract.events.page(query, newest=True, beyond=None, limit=10)).rows == []
    assert len([row async for row in contract.events.export()]) == 1, "an audit has all"


async def test_changed_scenes_are_told_against_the_known_versions(contract: Contract) -> None:
    for name in ("cam-1", "cam-2", "cam-3"):
        await contract.registry.register(name, "north")
    assert await contract.registry.changed_scenes({"cam-1": 1, "cam-2": 1, "cam-3": 1}) == []
    await contract.registry.set_scene("cam-1", b'{"min_hits":2}')
    await contract.registry.remove_camera("cam-3")
    found = await contract.registry.changed_scenes({"cam-1": 1, "cam-2": 1, "cam-3": 1})
    assert found == [SceneChange("cam-1", b'{"min_hits":2}', 2), SceneChange("cam-3", None, 0)]
    assert await contract.registry.changed_scenes({}) == []


async def test_devices_register_no_more_than_their_bound_however_many_ask_at_once(
    contract: Contract,
) -> None:
    def ask(camera: str, device: str, site: str = "north", per_site: int = 8) -> Awaitable[bool]:
        return contract.registry.register(
            camera, site, bound=RegistrationBound(device, 3, per_site)
        )

    found = await asyncio.gather(
        *(ask(f"cam-{n}", "box") for n in range(8)), return_exceptions=True
    )
    assert Counter(map(type, found)) == {bool: 3, TooManyCameras: 5}
    assert len(await contract.registry.cameras()) == 3
    there = (await contract.registry.cameras())[0].camera
    assert await ask(there, "box") is False, "who sends a camera that is there is refused nothing"
    await contract.registry.remove_camera(there)
    with pytest.raises(TooManyCameras, match="this device"):
        await ask("another", "box")
    assert await ask("others", "other-box")
    with pytest.raises(TooManyCameras, match="site north"):
        await ask("one-more", "other-box", per_site=3)
    assert await ask("elsewhere", "other-box", site="south", per_site=3)
    assert await contract.registry.register("by-hand", "north"), "people are not bound"
    by_hand = await contract.registry.camera("by-hand")
    assert by_hand is not None
    assert not by_hand.auto_registered
    marked = [record for record in await contract.registry.cameras() if record.auto_registered]
    assert len(marked) == len(await contract.registry.cameras()) - 1, (
        "what a device brought about is marked"
    )


CHANGES: dict[str, Callable[[Contract, Audit], Awaitable[object]]] = {
    "register": lambda c, audit: c.registry.register("cam-9", "west", audit=audit),
    "add_site": lambda c, audit: c.registry.add_site("west", audit=audit),
    "update_site": lambda c, audit: c.registry.update_site(
        "north", name="N", place=b"{}", expected_version=1, audit=audit
    ),
    "remove_site": lambda c, audit: c.registry.remove_site("empty", audit=audit),
    "add_camera": lambda c, audit: c.registry.add_camera("cam-9", "north", audit=audit),
    "update_camera": lambda c, audit: c.registry.update_camera(
        "cam-1", name="N", tags=["a"], expected_version=1, audit=audit
    ),
    "set_scene": lambda c, audit: c.registry.set_scene(
        "cam-1", b'{"min_hits":2}', expected_version=1, audit=audit
    ),
    "remove_camera": lambda c, audit: c.registry.remove_camera(
        "cam-1", expected_version=1, audit=audit
    ),
    "discard": lambda c, audit: c.dead_letters.mark([letter_of["id"]], "discarded", audit=audit),
}
letter_of: dict[str, int] = {}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_change_and_its_record_come_together_or_not_at_all(
    contract: Contract, change: Callable[[Contract, Audit], Awaitable[object]]
) -> None:
    for site in ("north", "empty"):
        await contract.registry.add_site(site)
    await contract.registry.add_camera("cam-1", "north")
    letter_of["id"] = await contract.dead_letters.add(
        "cam-1", "s", "bad", "why", b"{}", RECEIVED_US
    )
    records = []

    async def write(_connection: Any) -> None:
        records.append("written")

    async def refuse(_connection: Any) -> None:
        raise Unavailable("the audit log cannot be written")

    async def everything() -> object:
        return (
            await contract.registry.sites(),
            await contract.registry.cameras(),
            await contract.dead_letters.list(),
        )

    before = await everything()
    with pytest.raises(Unavailable, match="audit"):
        await change(contract, refuse)
    assert await everything() == before
    assert await change(contract, write)
    assert await everything() != before
    assert records == ["written"]
    with contextlib.suppress(NotFound):
        assert not await change(contract, write)
    assert records == ["written"], "what changes nothing is not recorded"


async def test_a_dead_letter_says_who_handled_it(contract: Contract) -> None:
    letter = await contract.dead_letters.add("cam-1", "s", "bad", "why", b"{}", RECEIVED_US)
    assert await contract.dead_letters.get(letter + 1) is None
    assert (
        await contract.dead_letters.mark([letter], "discarded", reason="a test\x00", by="ada") == 1
    )
    found = await contract.dead_letters.get(letter)
    assert found is not None
    assert (found.status, found.reason, found.by) == ("discarded", "a test\ufffd", "ada")


async def test_a_replay_is_marked_with_the_commit_of_its_event_or_not_at_all(
    contract: Contract,
) -> None:
    generation, position = (await running(contract.registry, contract.cameras, ["cam-1"]))["cam-1"]
    letters = [
        await contract.dead_letters.add(name, "s", "bad", "why", b"{}", RECEIVED_US)
        for name in ("cam-1", "cam-2")
    ]
    row = row_of("cam-1", generation, position, seqs=0, events=[event_of("cam-1", position)])
    replays = [Replayed(letter, "ada") for letter in letters]
    stale = row_of("cam-1", generation - 1, position, seqs=0)
    stale.replayed.extend(replays)
    row.replayed.extend(replays)
    assert await contract.cameras.commit([stale]) == set()
    assert [letter.status for letter in await contract.dead_letters.list()] == ["new", "new"]
    assert await contract.cameras.commit([row]) == {"cam-1"}
    assert [(letter.status, letter.by) for letter in await contract.dead_letters.list()] == [
        ("replayed", "ada"),
        ("new", ""),
    ]
