"""Personal values of events: stored in the statement of their commit, read back beside the event
for who reads it for somebody, and never a part of an export. The doubles and PostgreSQL."""

import msgspec

from actors.core.messages.events import published
from actors.core.messages.personal import PersonalValue
from storage.ports.event_queries import EventQuery
from storage.ports.events import EventRow
from tests.support.servers.store_fixtures import Contract
from tests.support.store_rows import RECEIVED_US, alarm_of, event_of, row_of, running

PLATE = "B-AB 123"


async def _one_alarm(contract: Contract) -> str:
    (generation, position) = (await running(contract.registry, contract.cameras, ["cam-1"]))[
        "cam-1"
    ]
    alarm = alarm_of("cam-1", position, {"plate": PLATE, "lane": 2})
    after = msgspec.structs.replace(position, last_offset=1, chain=alarm.hash)
    plain = event_of("cam-1", after, received_us=RECEIVED_US + 1)
    row = row_of("cam-1", generation, position, events=[alarm, plain])
    assert await contract.cameras.commit([row]) == {"cam-1"}
    return position.epoch


def _plate(row: EventRow) -> object:
    shown = msgspec.json.decode(published(row.body, row.hash, row.personal))
    return shown["data"]["data"]["plate"]


async def test_a_reader_gets_the_values_beside_the_event(contract: Contract) -> None:
    epoch = await _one_alarm(contract)
    query = EventQuery(sites=("site",))
    page = await contract.events.page(query, newest=True, beyond=None, limit=10)
    for rows in (
        await contract.events.after("cam-1", epoch, 0, 10),
        await contract.events.latest("cam-1", 10),
        page.rows[::-1],
    ):
        assert [row.offset for row in rows] == [1, 2]
        assert _plate(rows[0]) == PLATE
        assert rows[1].personal == ()
        assert PLATE.encode() not in rows[0].body


async def test_a_commit_that_does_not_move_stores_no_value(contract: Contract) -> None:
    (generation, position) = (await running(contract.registry, contract.cameras, ["cam-1"]))[
        "cam-1"
    ]
    alarm = alarm_of("cam-1", position, {"plate": PLATE})
    assert (
        await contract.cameras.commit([row_of("cam-1", generation - 1, position, events=[alarm])])
        == set()
    )
    assert await contract.events.latest("cam-1", 10) == []
    alarm = alarm_of("cam-1", position, {"plate": "M-XY 999"})
    assert await contract.cameras.commit(
        [row_of("cam-1", generation, position, events=[alarm])]
    ) == {"cam-1"}
    (row,) = await contract.events.latest("cam-1", 10)
    assert _plate(row) == "M-XY 999"


def test_a_value_says_nothing_of_itself_where_it_is_printed() -> None:
    value = PersonalValue("/data/data/plate", "plates", b"s" * 16, PLATE.encode())
    assert PLATE not in repr(value)
    assert "ssss" not in repr(value)
