"""What keeps a commit off, one condition at a time, for rows with events and without: the double
and PostgreSQL."""

from typing import Any

import msgspec
import pytest

from tests.support.servers.store_fixtures import Contract
from tests.support.store_rows import OWNER, SESSION, event_of, row_of, running


@pytest.mark.parametrize("with_events", [True, False])
async def test_each_part_of_the_fence_holds_by_itself(
    contract: Contract, with_events: bool
) -> None:
    parts: dict[str, Any] = {
        "owner": "another",
        "generation": 7,
        "session": "session-0",
        "last_seq": 7,
        "epoch": "another",
        "last_offset": 7,
    }
    names = [*parts, "sound"]
    cameras = {name: f"cam-{number}" for number, name in enumerate(names)}
    at = await running(contract.registry, contract.cameras, sorted(cameras.values()))
    rows = []
    for name, camera in cameras.items():
        generation, position = at[camera]
        events = [event_of(camera, position)] if with_events else []
        row = row_of(camera, generation, position, events=events)
        if name in ("owner", "generation"):
            row = msgspec.structs.replace(row, **{name: parts[name]})
        elif name in parts:
            before = msgspec.structs.replace(row.before, **{name: parts[name]})
            row = msgspec.structs.replace(row, before=before)
        rows.append(row)
    assert await contract.cameras.commit(rows) == {cameras["sound"]}
    held = await contract.cameras.ownership(list(cameras.values()))
    for name, camera in cameras.items():
        moved = held[camera].position != at[camera][1]
        assert moved is (name == "sound"), name


@pytest.mark.parametrize("with_events", [True, False])
async def test_a_commit_of_the_session_before_moves_nothing(
    contract: Contract, with_events: bool
) -> None:
    """Both begin with seq 0, at the same event: only the name tells them apart."""
    generation, position = (await running(contract.registry, contract.cameras, ["cam-1"]))["cam-1"]
    assert position.session == SESSION
    events = [event_of("cam-1", position)] if with_events else []
    late = row_of("cam-1", generation, position, events=events)
    assert await contract.cameras.open_session("cam-1", OWNER, generation, "newer") == "opened"
    assert await contract.cameras.commit([late]) == set()
    held = (await contract.cameras.ownership(["cam-1"]))["cam-1"].position
    assert (held.session, held.last_seq, held.last_offset) == ("newer", 0, position.last_offset)
    assert await contract.events.after("cam-1", position.epoch, 0, 10) == []
