"""`storage.ports.events.EventStore`, `Registry` and `DeadLetterStore`: the doubles and
PostgreSQL."""

import time

import pytest

from actors.core.errors import BadInput, Conflict, InvalidId, NotFound
from storage.ports.cameras import key_of
from storage.ports.dead_letters import NewLetter
from storage.ports.event_queries import EventQuery
from tests.support.servers.store_fixtures import Contract
from tests.support.store_rows import RECEIVED_US, event_of, row_of, running


async def _with_events(contract: Contract, names: list[str], count: int) -> dict[str, str]:
    at = await running(contract.registry, contract.cameras, names)
    for name, (generation, position) in at.items():
        events = [
            event_of(name, position, n, received_us=RECEIVED_US + n) for n in range(1, count + 1)
        ]
        assert await contract.cameras.commit(
            [row_of(name, generation, position, events=events)]
        ) == {name}
    return {name: position.epoch for name, (_, position) in at.items()}


async def test_events_after_an_offset_in_order_and_bounded(contract: Contract) -> None:
    epoch = (await _with_events(contract, ["cam-1", "cam-2"], 5))["cam-1"]
    assert [e.offset for e in await contract.events.after("cam-1", epoch, 2, 10)] == [3, 4, 5]
    assert [e.offset for e in await contract.events.after("cam-1", epoch, 0, 2)] == [1, 2]
    assert await contract.events.after("cam-1", "another", 0, 10) == []


async def test_the_latest_events_oldest_first(contract: Contract) -> None:
    await _with_events(contract, ["cam-1", "cam-2"], 5)
    assert [(e.camera, e.offset) for e in await contract.events.latest("cam-1", 2)] == [
        ("cam-1", 4),
        ("cam-1", 5),
    ]
    assert await contract.events.latest("unknown", 2) == []


async def test_the_numbering_of_a_camera_is_known_before_its_first_event(
    contract: Contract,
) -> None:
    epoch = (await _with_events(contract, ["cam-1"], 5))["cam-1"]
    assert await contract.events.numbering("cam-1") == (epoch, 5)
    epoch = (await _with_events(contract, ["cam-2"], 0))["cam-2"]
    assert epoch
    assert await contract.events.numbering("cam-2") == (epoch, 0)
    assert await contract.events.numbering("unknown") == ("", 0)


async def test_the_events_of_a_site_in_pages_both_ways(contract: Contract) -> None:
    await _with_events(contract, ["cam-1", "cam-2"], 3)
    query = EventQuery(sites=("elsewhere", "site"), low_us=RECEIVED_US + 2)
    page = await contract.events.page(query, newest=False, beyond=None, limit=3)
    assert [(e.camera, e.offset) for e in page.rows] == [("cam-1", 2), ("cam-2", 2), ("cam-1", 3)]
    assert page.more is not None
    page = await contract.events.page(query, newest=False, beyond=page.more, limit=3)
    assert ([(e.camera, e.offset) for e in page.rows], page.more) == ([("cam-2", 3)], None)
    back = await contract.events.page(query, newest=True, beyond=key_of(page.rows[0]), limit=2)
    assert [(e.camera, e.offset) for e in back.rows] == [("cam-1", 3), ("cam-2", 2)]
    assert (
        await contract.events.page(
            EventQuery(sites=("elsewhere",)), newest=True, beyond=None, limit=3
        )
    ).rows == []


async def test_filters_are_asked_before_the_limit(contract: Contract) -> None:
    at = await running(contract.registry, contract.cameras, ["cam-1"])
    generation, position = at["cam-1"]
    labels = ["person"] * 8 + ["car"] + ["person"] * 8
    events = [
        event_of("cam-1", position, n, label=label, received_us=RECEIVED_US + n)
        for n, label in enumerate(labels, 1)
    ]
    assert await contract.cameras.commit(
        [row_of("cam-1", generation, position, events=events)]
    ) == {"cam-1"}
    for newest in (False, True):
        for query in (
            EventQuery(sites=("site",), labels=("car", "bus")),
            EventQuery(camera="cam-1", labels=("car",), zones=("door",)),
        ):
            page = await contract.events.page(query, newest=newest, beyond=None, limit=5)
            assert ([e.offset for e in page.rows], page.more) == ([9], None)
    none = EventQuery(camera="cam-1", severities=("critical",))
    assert (await contract.events.page(none, newest=True, beyond=None, limit=5)).rows == []
    later = EventQuery(camera="cam-1", epoch=position.epoch, after_offset=15)
    assert [
        e.offset
        for e in (await contract.events.page(later, newest=False, beyond=None, limit=5)).rows
    ] == [16, 17]
    assert (
        await contract.events.page(
            EventQuery(sites=("site",), exclude=("cam-1",)), newest=True, beyond=None, limit=5
        )
    ).rows == []


async def test_events_of_today_have_a_partition(contract: Contract) -> None:
    at = await running(contract.registry, contract.cameras, ["cam-1"])
    generation, position = at["cam-1"]
    event = event_of("cam-1", position, received_us=time.time_ns() // 1000)
    assert await contract.cameras.commit(
        [row_of("cam-1", generation, position, events=[event])]
    ) == {"cam-1"}
    assert await contract.events.homeless() == 0


async def test_the_export_holds_everything_by_camera_and_offset(contract: Contract) -> None:
    await _with_events(contract, ["cam-2", "cam-1"], 3)
    everything = [(e.camera, e.offset) async for e in contract.events.export()]
    assert everything == [
        ("cam-1", 1),
        ("cam-1", 2),
        ("cam-1", 3),
        ("cam-2", 1),
        ("cam-2", 2),
        ("cam-2", 3),
    ]
    assert [(e.camera, e.offset) async for e in contract.events.export(["cam-2"])] == everything[3:]
    assert [e async for e in contract.events.export(["unknown"])] == []


async def test_the_registry_lists_by_site(contract: Contract) -> None:
    await contract.registry.register("cam-2", "site-1", name="Hall", tags=["indoor", "public"])
    await contract.registry.register("cam-1", "site-1")
    await contract.registry.register("cam-3", "site-2")
    assert [c.camera for c in await contract.registry.cameras()] == ["cam-1", "cam-2", "cam-3"]
    assert [c.camera for c in await contract.registry.cameras("site-1")] == ["cam-1", "cam-2"]
    found = await contract.registry.camera("cam-2")
    assert found is not None
    assert (found.site, found.name, found.tags, found.scene, found.scene_version) == (
        "site-1",
        "Hall",
        ["indoor", "public"],
        b"{}",
        1,
    )
    assert await contract.registry.camera("unknown") is None


async def test_a_scene_changes_under_its_version(contract: Contract) -> None:
    await contract.registry.register("cam-1", "site")
    assert await contract.registry.set_scene("cam-1", b'{"min_hits":2}', expected_version=1) == 2
    assert await contract.registry.set_scene("cam-1", b'{"min_hits":9}', expected_version=1) is None
    assert await contract.registry.set_scene("cam-1", b'{"min_hits":3}') == 3
    found = await contract.registry.camera("cam-1")
    assert found is not None
    assert (found.scene, found.scene_version) == (b'{"min_hits":3}', 3)
    with pytest.raises(NotFound):
        await contract.registry.set_scene("unknown", b"{}")


@pytest.mark.parametrize("name", ["", "UPPER", "a b", "a\n", "x" * 65, "{s}"])
async def test_ids_are_checked_before_they_are_stored(contract: Contract, name: str) -> None:
    with pytest.raises(InvalidId):
        await contract.registry.register(name, "site")
    with pytest.raises(InvalidId):
        await contract.registry.register("cam-1", name)


async def test_dead_letters_are_kept_several_at_once_in_their_order(contract: Contract) -> None:
    letters = [
        NewLetter(
            f"cam-{n}",
            "s\x00",
            "bad_input",
            f"\ud800 {n}" + "x" * 2_000,
            bytes([n]),
            RECEIVED_US + n,
        )
        for n in range(5)
    ]
    ids = await contract.dead_letters.add_many(letters)
    found = await contract.dead_letters.list()
    assert [x.id for x in found] == ids == sorted(ids)
    assert [(x.camera, x.raw, x.received_us, x.seq) for x in found] == [
        (x.camera, x.raw, x.received_us, 0) for x in letters
    ]
    assert await contract.dead_letters.add_many([]) == []


async def test_dead_letters_are_listed_and_settled_once(contract: Contract) -> None:
    ids = [
        await contract.dead_letters.add(
            f"cam-{n % 2}", "", "undecodable", "not json\x00", b"\x00\x01", RECEIVED_US
        )
        for n in range(4)
    ]
    assert ids == sorted(ids)
    assert [x.id for x in await contract.dead_letters.list(limit=2)] == ids[:2]
    assert [x.id for x in await contract.dead_letters.list(after=ids[1])] == ids[2:]
    assert [x.id for x in await contract.dead_letters.list(camera="cam-1")] == [ids[1], ids[3]]
    assert await contract.dead_letters.mark(ids[:2], "replayed") == 2
    assert await contract.dead_letters.mark(ids[1:], "discarded") == 2, "what was replayed stays so"
    assert [x.status for x in await contract.dead_letters.list()] == [
        "replayed",
        "replayed",
        "discarded",
        "discarded",
    ]
    assert await contract.dead_letters.list(status="new") == []
    with pytest.raises((BadInput, Conflict)):
        await contract.dead_letters.mark(
            [*ids, await contract.dead_letters.add("", "", "c", "d", b"", RECEIVED_US)], "eaten"
        )
