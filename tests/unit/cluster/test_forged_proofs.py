"""Forgeries whose hashes are right: whoever can write the database can compute them as well."""

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.core.messages.events import CHAIN_START, Event, seal
from cluster.cli.main import main
from cluster.event_proofs import AuditEvent, CameraTotals, Record, verify


def event(number: int, **changes: Any) -> Event:
    """Event `number` of a sound recording, with changes."""
    fields: dict[str, Any] = {
        "id": f"gate/e1/{number}",
        "type": "zone.entered",
        "site": "s",
        "camera": "gate",
        "epoch": "e1",
        "offset": number,
        "session": "boot-1",
        "seq": number * 2,
        "time": "2026-01-01T00:00:01.000000Z",
        "received": "2026-01-01T00:01:00.000000Z",
        "severity": "info",
    }
    return Event(**{**fields, **changes})


def chained(events: Sequence[Event]) -> list[Record]:
    """Stored as events 1, 2, … of the camera, every hash as it must be, and the row."""
    records: list[Record] = []
    chain = CHAIN_START
    for offset, one in enumerate(events, start=1):
        stored = seal(one, chain, received_us=0, time_us=0)
        chain = stored.hash
        records.append(AuditEvent("gate", "e1", offset, stored.body.decode(), chain.hex()))
    row = CameraTotals("gate", "boot-1", 99, "e1", len(events), chain.hex(), {}, {})
    return [*records, row]


def found(records: Sequence[Record]) -> list[str]:
    return [finding.what for finding in verify(records).findings]


def test_what_is_sound_is_green() -> None:
    assert found(chained([event(offset) for offset in range(1, 5)])) == []


def test_events_of_observations_in_another_order_are_found() -> None:
    swapped = [event(1), event(2, seq=6), event(3, seq=4), event(4)]
    assert found(chained(swapped)) == ["order"]


def test_two_events_of_one_observation_and_sessions_that_follow_each_other_are_no_finding() -> None:
    assert found(chained([event(1), event(2, seq=2), event(3, session="boot-2", seq=1)])) == []


def test_an_event_of_another_place_is_found_whatever_of_it_is_another() -> None:
    for changes in ({"offset": 7}, {"camera": "yard"}, {"epoch": "e2"}):
        assert found(chained([event(1), event(2, **changes), event(3)])) == ["body"], changes


def test_a_row_whose_hash_is_of_another_chain_is_found() -> None:
    """Every event was replaced together with its hash: the row alone knows better."""
    sound = chained([event(1), event(2)])
    forged = chained([event(1), event(2, severity="critical")])
    assert found([*forged[:-1], sound[-1]]) == ["row"]


def test_a_row_without_events_has_nothing_to_compare() -> None:
    assert found([CameraTotals("gate", "", 0, "e1", 0, CHAIN_START.hex(), {}, {})]) == []


def test_an_event_cut_off_at_the_end_is_found_by_the_row() -> None:
    sound = chained([event(1), event(2), event(3)])
    assert found([*sound[:2], sound[-1]]) == ["row"]


def test_the_command_ends_with_1_when_it_found_something(tmp_path: Any, capsys: Any) -> None:
    sound = chained([event(1), event(2)])
    for name, records in (("sound", sound), ("cut", [sound[0], sound[-1]])):
        lines = [msgspec.json.encode(record) for record in records]
        (tmp_path / f"{name}.ndjson").write_bytes(b"\n".join(lines))
    assert main(["audit", "verify", str(tmp_path / "sound.ndjson"), "--json"]) == 0
    assert main(["audit", "verify", str(tmp_path / "cut.ndjson"), "--json"]) == 1
    assert '"green":false' in capsys.readouterr().out.replace(" ", "")
