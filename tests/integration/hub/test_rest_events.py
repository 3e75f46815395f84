"""Stored events by REST: cursors, filters, NDJSON, and the socket's decisions."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from hub import rest_events
from storage.ports import EventRow
from tests.support.hub import TestHub, event_body, running_hub
from tests.support.memory_postgres import StoredRow

BEGAN_US = 1_772_366_400_000_000  # 2026-03-01T12:00:00Z


@asynccontextmanager
async def reading(folder: Path) -> AsyncIterator[tuple[TestHub, httpx.AsyncClient]]:
    async with running_hub(folder) as hub:
        headers = {"authorization": f"Bearer {hub.token()}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", timeout=30, headers=headers) as http:
            await hub.register("gate", "yard")
            await hub.register("dock", site="south")
            yield hub, http


def store(hub: TestHub, camera: str, offset: int, at_us: int, site: str = "north", **fields: Any) -> None:
    body = event_body(camera, site, "e1", offset, **fields)
    hub.memory.database.events.append(StoredRow(site, EventRow(camera, "e1", offset, body, bytes(32), BEGAN_US + at_us)))


def ids(document: dict[str, Any]) -> list[str]:
    return [event["id"] for event in document["events"]]


async def test_a_site_is_read_in_pages_that_neither_repeat_nor_miss_events_of_one_moment(tmp_path: Path) -> None:
    async with reading(tmp_path) as (hub, http):
        for offset in range(1, 8):
            store(hub, "gate", offset, 5)
            store(hub, "yard", offset, 5 if offset < 4 else 6)
        found: list[str] = []
        query: dict[str, Any] = {"limit": 3}
        while True:
            page = (await http.get("/v1/sites/north/events", params=query)).json()
            found += ids(page)
            if "next" not in page:
                break
            query["after"] = page["next"]
        assert len(found) == len(set(found)) == 14
        assert (await http.get("/v1/sites/north/events", params={"after": "x"})).status_code == 400


async def test_filters_by_time_type_and_severity(tmp_path: Path) -> None:
    async with reading(tmp_path) as (hub, http):
        store(hub, "gate", 1, 0, type="zone.entered")
        store(hub, "gate", 2, 1_000_000, type="alarm.glass", severity="critical")
        store(hub, "yard", 1, 2_000_000, type="line.crossed", severity="notice")
        store(hub, "dock", 1, 3_000_000, site="south", type="zone.entered")
        ask = "/v1/sites/north/events"
        assert ids((await http.get(ask, params={"severity": "notice"})).json()) == ["gate/e1/2", "yard/e1/1"]
        assert ids((await http.get(ask, params={"type": "zone.entered,line.crossed"})).json()) == ["gate/e1/1", "yard/e1/1"]
        between = {"from": "2026-03-01T12:00:01Z", "to": "2026-03-01T12:00:02Z"}
        assert ids((await http.get(ask, params=between)).json()) == ["gate/e1/2"]
        assert ids((await http.get("/v1/fleet/events")).json()) == ["gate/e1/1", "gate/e1/2", "yard/e1/1", "dock/e1/1"]
        for wrong in ({"severity": "loud"}, {"from": "yesterday"}, {"to": "2026-03-01T12:00:01"}):
            assert (await http.get(ask, params=wrong)).status_code == 400


async def test_a_stream_holds_every_event_once_and_redacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_events, "PAGE", 4)
    async with reading(tmp_path) as (hub, http):
        for offset in range(1, 12):
            store(hub, "gate", offset, offset // 3, data={"plate": "AB 123"})
        hub.policy.redact = ("plates",)
        for path in ("/v1/sites/north/events", "/v1/cameras/gate/events"):
            answer = await http.get(path, headers={"accept": "application/x-ndjson"})
            assert answer.headers["content-type"].startswith("application/x-ndjson")
            events = [json.loads(line) for line in answer.text.splitlines()]
            assert [event["offset"] for event in events] == list(range(1, 12))
            assert events[0]["data"]["plate"] == {"redacted": "plates"}


async def test_reading_needs_the_same_decision_as_the_socket(tmp_path: Path) -> None:
    async with reading(tmp_path) as (hub, http):
        store(hub, "gate", 1, 0)
        await hub.show("gate", 1)
        fleet = (await http.get("/v1/fleet/state")).json()["cameras"]
        assert [camera["camera"] for camera in fleet] == ["gate", "yard", "dock"]
        hub.policy.denied |= {("history", "north"), ("history", "fleet"), ("subscribe", "fleet")}
        for path in ("/v1/sites/north/events", "/v1/fleet/events", "/v1/fleet/state"):
            assert (await http.get(path)).status_code == 403, path
        assert msgspec.json.decode((await http.get("/v1/cameras/gate/events")).content)["events"]
