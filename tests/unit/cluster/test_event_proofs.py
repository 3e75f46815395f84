"""The audit finds what it claims to find: every deliberate damage is caught."""

from collections.abc import Iterable

import msgspec
import pytest

from actors.core.messages.events import CHAIN_START, Event, seal
from cluster.event_proofs import (
    AuditEvent,
    CameraTotals,
    Record,
    RetentionMark,
    diff,
    read_export,
    verify,
)


def recording(count: int = 6, *, camera: str = "gate", epoch: str = "e1") -> list[Record]:
    """A sound recording of `count` events of one camera, and its row."""
    records: list[Record] = []
    chain = CHAIN_START
    for offset in range(1, count + 1):
        event = Event(
            id=f"{camera}/{epoch}/{offset}",
            type="zone.entered",
            site="s",
            camera=camera,
            epoch=epoch,
            offset=offset,
            session="boot-1",
            seq=offset * 2,
            time=f"2026-01-01T00:00:{offset:02}.000000Z",
            received="2026-01-01T00:01:00.000000Z",
            severity="info",
            track=f"t{offset}",
            zone="door",
        )
        stored = seal(event, chain, received_us=0, time_us=0)
        chain = stored.hash
        records.append(AuditEvent(camera, epoch, offset, stored.body.decode(), stored.hash.hex()))
    records.append(
        CameraTotals(
            camera,
            "boot-1",
            count * 2,
            epoch,
            count,
            chain.hex(),
            {"line": {"in": 1, "out": 0}},
            {},
        )
    )
    return records


def without(records: Iterable[Record], index: int) -> list[Record]:
    """`records` less one."""
    kept = list(records)
    del kept[index]
    return kept


def test_a_sound_chain_is_green() -> None:
    verdict = verify(recording())
    assert verdict.green
    assert (verdict.cameras, verdict.events) == (1, 6)


@pytest.mark.parametrize("index", range(6))
def test_a_missing_event_is_found(index: int) -> None:
    assert not verify(without(recording(), index)).green


def test_a_swapped_pair_is_found() -> None:
    records = recording()
    records[2], records[3] = records[3], records[2]
    assert not verify(records).green


def test_a_duplicate_is_found() -> None:
    records = recording()
    records.insert(3, records[2])
    assert "duplicate or reorder" in {finding.what for finding in verify(records).findings}


def test_an_edited_body_is_found() -> None:
    records = recording()
    event = records[2]
    assert isinstance(event, AuditEvent)
    records[2] = msgspec.structs.replace(event, body=event.body.replace("door", "gate"))
    assert "hash" in {finding.what for finding in verify(records).findings}


def test_a_row_that_is_ahead_of_its_events_is_found() -> None:
    records = recording()
    row = records[-1]
    assert isinstance(row, CameraTotals)
    records[-1] = msgspec.structs.replace(row, last_offset=row.last_offset + 1)
    assert "row" in {finding.what for finding in verify(records).findings}


def test_runs_that_differ_in_offsets_and_camera_events_alone_are_equal() -> None:
    one = recording()
    other = list(one)
    online = Event(
        id="gate/e1/9",
        type="camera.online",
        site="s",
        camera="gate",
        epoch="e1",
        offset=9,
        session="boot-1",
        seq=1,
        time="2026-01-01T00:00:00.000000Z",
        received="2026-01-01T00:00:00.000000Z",
        severity="info",
    )
    stored = seal(online, CHAIN_START, received_us=0, time_us=0)
    other.insert(0, AuditEvent("gate", "e1", 9, stored.body.decode(), stored.hash.hex()))
    assert diff(one, other).green


@pytest.mark.parametrize("index", range(6))
def test_a_derived_event_that_one_run_lacks_is_found(index: int) -> None:
    verdict = diff(recording(), without(recording(), index))
    assert [finding.what for finding in verdict.findings] == ["only in A"]


def test_counts_that_differ_are_found() -> None:
    other = recording()
    row = other[-1]
    assert isinstance(row, CameraTotals)
    other[-1] = msgspec.structs.replace(row, counts={"line": {"in": 2, "out": 0}})
    assert [finding.what for finding in diff(recording(), other).findings] == ["counts"]


def test_an_export_reads_back_as_it_was_written() -> None:
    records = recording()
    lines = [msgspec.json.encode(record) + b"\n" for record in records]
    assert list(read_export(lines)) == records


def mark(records: list[Record], offset: int) -> RetentionMark:
    """What retention notes when it drops everything up to `offset` of the recording."""
    event = records[offset - 1]
    assert isinstance(event, AuditEvent)
    return RetentionMark(event.camera, event.epoch, event.offset, event.hash)


def test_what_retention_dropped_is_no_gap() -> None:
    records = recording()
    assert verify([mark(records, 3), *records[3:]]).green
    assert verify([mark(records, 6), *records[6:]]).green


def test_more_missing_than_retention_dropped_is_found() -> None:
    records = recording()
    assert {finding.what for finding in verify([mark(records, 3), *records[4:]]).findings} == {
        "gap",
        "hash",
    }
    assert not verify([mark(records, 5), *records[6:]]).green


def test_a_forged_mark_is_found() -> None:
    records = recording()
    forged = msgspec.structs.replace(mark(records, 3), hash="00" * 32)
    assert {finding.what for finding in verify([forged, *records[3:]]).findings} == {"hash"}


def test_an_event_received_by_a_clock_that_was_ahead_goes_with_its_own_day() -> None:
    """Offset 2 was received a day later than 3: the day of 1 and 3 is gone, that of 2 is not
    yet."""
    records = recording()
    assert verify([mark(records, 3), records[1], *records[3:]]).green


def test_marks_survive_an_export() -> None:
    records = recording()
    whole = [mark(records, 3), *records[3:]]
    assert list(read_export(msgspec.json.encode(record) for record in whole)) == whole


def test_a_hash_that_is_none_is_a_finding() -> None:
    records = recording()
    records[2] = msgspec.structs.replace(records[2], hash="no hex")
    assert not verify(records).green
