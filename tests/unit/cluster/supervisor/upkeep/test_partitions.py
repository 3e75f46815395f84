"""The maintenance of partitions over a double: what it tells, and when it comes again."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from actors.core.errors import Unavailable
from actors.core.settings import EventsSettings
from cluster.supervisor.upkeep.partitions import DAY_S, RETRY_S, PartitionMaintenance
from hub.partition_alarm import EVERY_S, PartitionAlarm
from storage.events.partitions import DroppedDay, PartitionReport, RetentionReport
from tests.support.doubles.stores import memory_stores
from tests.support.waiting import until


class Tables:
    """Counts the calls; `away` makes them fail."""

    def __init__(self) -> None:
        self.away = False
        self.default_rows = 0
        self.made = 0
        self.kept: list[int] = []

    async def make(self) -> PartitionReport:
        if self.away:
            raise Unavailable("PostgreSQL is away")
        self.made += 1
        return PartitionReport(["events_20260301"], self.default_rows)

    async def drop(self, keep_days: int) -> RetentionReport:
        self.kept.append(keep_days)
        return RetentionReport(
            datetime(2026, 2, 1, tzinfo=UTC),
            [DroppedDay("events_20260131", 12, 8192)] if keep_days else [],
        )


async def test_a_round_makes_drops_and_leaves_a_receipt(caplog: pytest.LogCaptureFixture) -> None:
    tables = Tables()
    maintenance = PartitionMaintenance(tables, EventsSettings(keep_days=30), chance=lambda: 0.0)
    with caplog.at_level(logging.INFO):
        assert await maintenance.round() == 0.75 * DAY_S
    assert maintenance.status() == {
        "made": ["events_20260301"],
        "dropped": {"events_20260131": 12},
        "default_rows": 0,
        "trouble": "",
    }
    assert "retention dropped events_20260131: 12 events, 8192 bytes" in caplog.text
    assert "12 events received before 2026-02-01 are gone" in caplog.text


async def test_events_without_a_partition_are_an_error_until_they_are_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tables = Tables()
    tables.default_rows = 3
    maintenance = PartitionMaintenance(tables, EventsSettings())
    await maintenance.round()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert maintenance.status()["default_rows"] == 3
    tables.default_rows = 0
    await maintenance.round()
    assert maintenance.status()["default_rows"] == 0


async def test_after_a_failure_it_comes_again_soon() -> None:
    tables = Tables()
    tables.away = True
    maintenance = PartitionMaintenance(tables, EventsSettings(keep_days=1), chance=lambda: 1.0)
    assert await maintenance.round() == RETRY_S
    assert maintenance.status()["trouble"] == "unavailable: PostgreSQL is away"
    tables.away = False
    assert await maintenance.round() == DAY_S
    assert maintenance.status()["trouble"] == ""


async def test_it_begins_at_once_and_stops() -> None:
    tables = Tables()
    maintenance = PartitionMaintenance(tables, EventsSettings())
    task = asyncio.create_task(maintenance.run())
    await until(lambda: tables.kept == [90], what="the first round")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def test_a_hub_notes_what_lies_outside(caplog: pytest.LogCaptureFixture) -> None:
    stores = memory_stores()
    watch = PartitionAlarm(stores.events)
    await watch.check(1.0)
    assert (watch.rows, watch.notes()) == (0, [])
    stores.events.database.homeless = 1000
    await watch.check(2.0)
    assert watch.rows == 0, "not before its time"
    await watch.check(1.0 + EVERY_S)
    assert len(watch.notes()) == 1
    assert "1000 or more events" in caplog.text
    stores.events.faults.plan("homeless", "fail")
    await watch.check(1.0 + 2 * EVERY_S)
    assert watch.rows == 1000


async def test_a_hub_notes_an_old_snapshot(caplog: pytest.LogCaptureFixture) -> None:
    stores = memory_stores()
    watch = PartitionAlarm(stores.events)
    stores.events.database.oldest_snapshot_s = 299.0
    await watch.check(1.0)
    assert (watch.snapshot_s, watch.notes()) == (299.0, [])
    stores.events.database.oldest_snapshot_s = 301.0
    await watch.check(1.0 + EVERY_S)
    assert "301 s old" in watch.notes()[0]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
