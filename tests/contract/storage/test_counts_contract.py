"""`storage.ports.background.counts.CountStore`: the double and PostgreSQL."""

import msgspec

from actors.core.messages.events import StoredEvent, seal
from storage.ports.background.counts import CountQuery, CountRow
from tests.support.servers.store_fixtures import Contract
from tests.support.store_rows import RECEIVED_US, event_of, row_of, running

HOUR_US = 3_600_000_000
BUCKET_US = RECEIVED_US // HOUR_US * HOUR_US
ALL = CountQuery("hour", 0, RECEIVED_US * 2)


async def _folded(contract: Contract) -> None:
    """A line was crossed in and out, twice and once, by an unknown label; a zone entered twice."""
    at = await running(contract.registry, contract.cameras, ["cam-1", "cam-2"])
    for name, (generation, position) in at.items():
        events: list[StoredEvent] = []
        for number, way in enumerate(("in", "out", "in", ""), 1):
            plain = event_of(name, position, number, label=None if way else "person").event
            if way:
                plain = msgspec.structs.replace(
                    plain, type="line.crossed", zone=None, line="entry", data={"direction": way}
                )
            chain = events[-1].hash if events else position.chain
            events.append(seal(plain, chain, received_us=RECEIVED_US, time_us=RECEIVED_US))
        row = row_of(name, generation, position, events=events)
        assert await contract.cameras.commit([row]) == {name}
    while await contract.counts.fold("", cameras=10, events=3):
        pass


async def test_counts_are_read_by_bucket_place_and_label_and_bounded(contract: Contract) -> None:
    await _folded(contract)
    line = CountRow(BUCKET_US, "cam-1", "line", "entry", "", came=2, went=1)
    zone = CountRow(BUCKET_US, "cam-1", "zone", "door", "person", came=1, went=0)
    replace = msgspec.structs.replace
    others = [replace(row, camera="cam-2") for row in (line, zone)]
    counts = contract.counts
    assert await counts.read(ALL, 10) == [line, zone, *others]
    assert await counts.read(ALL, 3) == [line, zone, others[0]]
    assert await counts.read(replace(ALL, camera="cam-1", site="site"), 10) == [line, zone]
    assert await counts.read(replace(ALL, exclude=("cam-2",), place="zone"), 10) == [zone]
    assert await counts.read(replace(ALL, place="line", name="entry", label=""), 1) == [line]
    assert await counts.read(replace(ALL, name="other"), 10) == []
    assert await counts.read(replace(ALL, site="elsewhere"), 10) == []
    assert await counts.read(replace(ALL, low_us=BUCKET_US + 1), 10) == []
    assert await counts.read(replace(ALL, high_us=BUCKET_US), 10) == []
    assert await counts.behind() == await counts.behind(camera="cam-1", site="site") == 0
