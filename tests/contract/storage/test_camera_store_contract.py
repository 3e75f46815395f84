"""`storage.ports.cameras.CameraStore`: the double and PostgreSQL."""

import msgspec
import pytest

from actors.core.errors import BadInput, PoisonRow
from actors.core.messages.events import CHAIN_START
from tests.support.servers.store_fixtures import Contract
from tests.support.store_rows import (
    OWNER,
    RECEIVED_US,
    SESSION,
    event_of,
    letter_of,
    row_of,
    running,
)


async def test_a_camera_is_registered_once_and_stands_at_its_beginning(contract: Contract) -> None:
    assert await contract.registry.register("cam-1", "site")
    assert not await contract.registry.register("cam-1", "elsewhere")
    row = (await contract.cameras.ownership(["cam-1", "unknown"]))["cam-1"]
    assert (
        row.owner,
        row.generation,
        row.position.session,
        row.position.last_seq,
        row.position.last_offset,
    ) == (None, 0, "", 0, 0)
    assert row.position.chain == CHAIN_START
    assert row.position.epoch


async def test_assignment_is_a_compare_and_swap(contract: Contract) -> None:
    await contract.registry.register("cam-1", "site")
    assert not await contract.cameras.assign("cam-1", "b", previous="a")
    assert await contract.cameras.assign("cam-1", "a", previous=None)
    assert not await contract.cameras.assign("cam-1", "b", previous=None)
    assert await contract.cameras.assign("cam-1", "a", previous=None), (
        "a repeated call is a success"
    )
    assert await contract.cameras.assign("cam-1", "b", previous="a")
    assert not await contract.cameras.assign("unknown", "b", previous=None)
    assert await contract.cameras.owners() == {"cam-1": "b"}
    assert list(await contract.cameras.homes()) == ["cam-1"]
    assert not await contract.cameras.assign("cam-1", None, previous="a")
    assert await contract.cameras.assign("cam-1", None, previous="b")
    assert await contract.cameras.owners() == {"cam-1": None}
    assert await contract.cameras.activate("b", ["cam-1"]) == []


async def test_activation_takes_only_what_is_owned_and_grows_the_generation(
    contract: Contract,
) -> None:
    for name in ("cam-1", "cam-2"):
        await contract.registry.register(name, "site", scene=b'{"zones":{}}')
    await contract.cameras.assign("cam-1", "a", previous=None)
    first = await contract.cameras.activate("a", ["cam-2", "cam-1"])
    assert [
        (a.camera, a.site, a.generation, a.snapshot, a.scene, a.scene_version) for a in first
    ] == [("cam-1", "site", 1, None, b'{"zones":{}}', 1)]
    assert (await contract.cameras.activate("a", ["cam-1"]))[0].generation == 2
    assert (await contract.cameras.activate("a", ["cam-1"], above={"cam-1": 40}))[
        0
    ].generation == 41
    assert await contract.cameras.activate("b", ["cam-1"]) == []


async def test_the_registry_knows_which_cameras_ever_had_a_session(contract: Contract) -> None:
    await contract.registry.register("cam-2", "site")
    await running(contract.registry, contract.cameras, ["cam-1"])
    assert {record.camera: record.seen for record in await contract.registry.cameras()} == {
        "cam-1": True,
        "cam-2": False,
    }
    for name, seen in (("cam-1", True), ("cam-2", False)):
        record = await contract.registry.camera(name)
        assert record is not None
        assert record.seen is seen


async def test_sessions_follow_their_first_hello(contract: Contract) -> None:
    generation = (await running(contract.registry, contract.cameras, ["cam-1"]))["cam-1"][0]
    opens = contract.cameras.open_session
    assert await opens("cam-1", OWNER, generation, SESSION) == "opened", "a repeated call"
    assert await opens("cam-1", OWNER, generation - 1, "session-2") == "fenced"
    assert await opens("cam-1", "other", generation, "session-2") == "fenced"
    assert await opens("cam-1", OWNER, generation, "session-2") == "opened"
    assert await opens("cam-1", OWNER, generation, SESSION) == "superseded"
    position = (await contract.cameras.ownership(["cam-1"]))["cam-1"].position
    assert (position.session, position.last_seq) == ("session-2", 0)


async def test_a_new_session_keeps_offset_and_chain(contract: Contract) -> None:
    generation, position = (await running(contract.registry, contract.cameras, ["cam-1"]))["cam-1"]
    event = event_of("cam-1", position)
    assert await contract.cameras.commit(
        [row_of("cam-1", generation, position, events=[event])]
    ) == {"cam-1"}
    assert await contract.cameras.open_session("cam-1", OWNER, generation, "session-2") == "opened"
    after = (await contract.cameras.ownership(["cam-1"]))["cam-1"].position
    assert (after.last_seq, after.last_offset, after.chain) == (0, 1, event.hash)


async def test_a_commit_moves_the_row_and_stores_what_belongs_to_it(contract: Contract) -> None:
    generation, position = (await running(contract.registry, contract.cameras, ["cam-1"]))["cam-1"]
    events = [event_of("cam-1", position, label="person"), event_of("cam-1", position, 2)]
    row = row_of(
        "cam-1",
        generation,
        position,
        seqs=5,
        events=events,
        letters=[letter_of(3)],
        snapshot=b"\x00\xff",
    )
    assert await contract.cameras.commit([row]) == {"cam-1"}
    held = (await contract.cameras.ownership(["cam-1"]))["cam-1"]
    assert held.position == row.after
    assert (await contract.cameras.activate(OWNER, ["cam-1"]))[0].snapshot == b"\x00\xff"
    stored = await contract.events.after("cam-1", position.epoch, 0, 10)
    assert [(e.offset, e.body, e.hash, e.received_us) for e in stored] == [
        (n + 1, e.body, e.hash, RECEIVED_US) for n, e in enumerate(events)
    ]
    letters = await contract.dead_letters.list(camera="cam-1")
    assert [(x.seq, x.code, x.raw, x.received_us, x.status) for x in letters] == [
        (3, "bad_input", b"{}", RECEIVED_US, "new")
    ]


async def test_a_repeated_commit_changes_nothing(contract: Contract) -> None:
    generation, position = (await running(contract.registry, contract.cameras, ["cam-1"]))["cam-1"]
    row = row_of(
        "cam-1", generation, position, events=[event_of("cam-1", position)], letters=[letter_of(1)]
    )
    assert await contract.cameras.commit([row]) == {"cam-1"}
    assert await contract.cameras.commit([row]) == set()
    assert len(await contract.events.after("cam-1", position.epoch, 0, 10)) == 1
    assert len(await contract.dead_letters.list()) == 1


async def test_stale_rows_of_a_batch_stay_and_the_others_move(contract: Contract) -> None:
    names = [f"cam-{n}" for n in range(8)]
    at = await running(contract.registry, contract.cameras, names)
    rows = {
        name: row_of(name, generation, position, events=[event_of(name, position)])
        for name, (generation, position) in at.items()
    }

    def changed(name: str, **fields: object) -> None:
        rows[name] = msgspec.structs.replace(
            rows[name], before=msgspec.structs.replace(rows[name].before, **fields)
        )

    rows["cam-1"] = msgspec.structs.replace(rows["cam-1"], generation=rows["cam-1"].generation - 1)
    rows["cam-2"] = msgspec.structs.replace(rows["cam-2"], owner="other")
    changed("cam-3", last_seq=7)
    changed("cam-4", last_offset=7)
    changed("cam-5", session="session-0")
    changed("cam-6", epoch="another")
    assert await contract.cameras.commit(
        [*reversed(rows.values()), row_of("unknown", 1, at["cam-0"][1])]
    ) == {"cam-0", "cam-7"}
    held = await contract.cameras.ownership(names)
    for name in names:
        moved = name in ("cam-0", "cam-7")
        assert held[name].position == (rows[name].after if moved else at[name][1])
        assert len(await contract.events.after(name, at[name][1].epoch, 0, 10)) == int(moved)


async def test_a_commit_may_begin_a_new_epoch(contract: Contract) -> None:
    generation, position = (await running(contract.registry, contract.cameras, ["cam-1"]))["cam-1"]
    await contract.cameras.commit(
        [row_of("cam-1", generation, position, events=[event_of("cam-1", position)])]
    )
    held = (await contract.cameras.ownership(["cam-1"]))["cam-1"].position
    fresh = msgspec.structs.replace(held, epoch="ffffffff0000", last_offset=0, chain=CHAIN_START)
    event = event_of("cam-1", fresh)
    after = msgspec.structs.replace(fresh, last_offset=1, chain=event.hash)
    row = msgspec.structs.replace(row_of("cam-1", generation, held), after=after, events=[event])
    assert await contract.cameras.commit([row]) == {"cam-1"}
    assert (await contract.cameras.ownership(["cam-1"]))["cam-1"].position == after
    assert [(e.epoch, e.offset) for e in await contract.events.latest("cam-1", 10)] == [
        (position.epoch, 1),
        ("ffffffff0000", 1),
    ]


async def test_a_camera_stands_once_in_a_commit(contract: Contract) -> None:
    generation, position = (await running(contract.registry, contract.cameras, ["cam-1"]))["cam-1"]
    with pytest.raises(BadInput):
        await contract.cameras.commit(
            [row_of("cam-1", generation, position), row_of("cam-1", generation, position, seqs=2)]
        )


async def test_nothing_to_commit_is_nothing(contract: Contract) -> None:
    assert await contract.cameras.commit([]) == set()


@pytest.mark.parametrize("label", ["a\x00b", "a\ud800b"])
async def test_a_poison_value_names_its_camera_and_stores_nothing(
    contract: Contract, label: str
) -> None:
    at = await running(contract.registry, contract.cameras, ["cam-1", "cam-2"])
    rows = []
    for name, (generation, position) in at.items():
        event = event_of(name, position)
        if name == "cam-2":
            event = msgspec.structs.replace(
                event, event=msgspec.structs.replace(event.event, label=label)
            )
        rows.append(row_of(name, generation, position, events=[event]))
    with pytest.raises(PoisonRow) as caught:
        await contract.cameras.commit(rows)
    assert caught.value.camera == "cam-2"
    assert {
        name: held.position for name, held in (await contract.cameras.ownership(list(at))).items()
    } == {n: p for n, (_, p) in at.items()}
    assert await contract.cameras.commit(rows[:1]) == {"cam-1"}, "the connection is still good"


async def test_a_dead_letter_is_never_poison(contract: Contract) -> None:
    generation, position = (await running(contract.registry, contract.cameras, ["cam-1"]))["cam-1"]
    letter = letter_of(1, detail="bad \x00 and \ud800" + "x" * 2000, raw=b"\x00\xff\xfe")
    assert await contract.cameras.commit(
        [row_of("cam-1", generation, position, letters=[letter])]
    ) == {"cam-1"}
    stored = (await contract.dead_letters.list())[0]
    assert stored.raw == b"\x00\xff\xfe"
    assert stored.detail.startswith("bad \ufffd and ")
    assert len(stored.detail) == 1000
