"""Stored events by REST: cursors, filters, NDJSON, and the socket's decisions."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from hub.rest.history import events as rest_events
from storage.ports.events import EventRow
from tests.support.doubles.memory_postgres import StoredRow
from tests.support.hub.hub import TestHub, event_body, running_hub

BEGAN_US = 1_772_366_400_000_000  # 2026-03-01T12:00:00Z


@asynccontextmanager
async def reading(folder: Path) -> AsyncIterator[tuple[TestHub, httpx.AsyncClient]]:
    async with running_hub(folder) as hub:
        headers = {"authorization": f"Bearer {hub.token()}"}
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{hub.port}", timeout=30, headers=headers
        ) as http:
            await hub.register("gate", "yard")
            await hub.register("dock", site="south")
            yield hub, http


def store(
    hub: TestHub, camera: str, offset: int, at_us: int, site: str = "north", **fields: Any
) -> None:
    body = event_body(camera, site, "e1", offset, **fields)
    hub.memory.database.events.append(
        StoredRow(site, EventRow(camera, "e1", offset, body, bytes(32), BEGAN_US + at_us))
    )


def ids(document: dict[str, Any]) -> list[str]:
    return [event["id"] for event in document["events"]]


async def test_a_site_is_read_in_pages_that_neither_repeat_nor_miss_events_of_one_moment(
    tmp_path: Path,
) -> None:
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
        assert ids((await http.get(ask, params={"severity": "notice"})).json()) == [
            "gate/e1/2",
            "yard/e1/1",
        ]
        assert ids((await http.get(ask, params={"type": "zone.entered,line.crossed"})).json()) == [
            "gate/e1/1",
            "yard/e1/1",
        ]
        between = {"from": "2026-03-01T12:00:01Z", "to": "2026-03-01T12:00:02Z"}
        assert ids((await http.get(ask, params=between)).json()) == ["gate/e1/2"]
        assert ids((await http.get("/v1/fleet/events")).json()) == [
            "gate/e1/1",
            "gate/e1/2",
            "yard/e1/1",
            "dock/e1/1",
        ]
        for wrong in ({"severity": "loud"}, {"from": "yesterday"}, {"to": "2026-03-01T12:00:01"}):
            assert (await http.get(ask, params=wrong)).status_code == 400


async def test_a_stream_holds_every_event_once_and_redacts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


async def test_both_orders_are_paged_both_ways_and_filters_come_before_the_limit(
    tmp_path: Path,
) -> None:
    """One critical event among many is found by one request; pages there and back are the same."""
    async with reading(tmp_path) as (hub, http):
        for offset in range(1, 301):
            store(
                hub,
                "gate",
                offset,
                offset // 7,
                severity="critical" if offset == 5 else "info",
                zone="door" if offset % 2 else "hall",
            )
        store(hub, "dock", 1, 999, site="south", label="car")
        for path in ("/v1/sites/north/events", "/v1/fleet/events", "/v1/cameras/gate/events"):
            for order in ("oldest", "newest"):
                found = (
                    await http.get(
                        path, params={"severity": "critical", "limit": 1, "order": order}
                    )
                ).json()
                assert (ids(found), "next" in found) == (["gate/e1/5"], False)
                query: dict[str, Any] = {"order": order, "zone": "door", "limit": 40}
                pages = [(await http.get(path, params=query)).json()]
                while "next" in pages[-1]:
                    pages.append(
                        (await http.get(path, params=query | {"after": pages[-1]["next"]})).json()
                    )
                seen = [int(name.rsplit("/", 1)[1]) for page in pages for name in ids(page)]
                assert seen == (
                    list(range(1, 301, 2)) if order == "oldest" else list(range(299, 0, -2))
                )
                back = [pages[-1]]
                while "previous" in back[-1]:
                    back.append(
                        (
                            await http.get(path, params=query | {"before": back[-1]["previous"]})
                        ).json()
                    )
                assert [ids(page) for page in back[::-1]] == [ids(page) for page in pages]
        newest = (await http.get("/v1/fleet/events", params={"order": "newest", "limit": 2})).json()
        assert ids(newest) == ["dock/e1/1", "gate/e1/300"]
        assert ids((await http.get("/v1/fleet/events", params={"label": "car"})).json()) == [
            "dock/e1/1"
        ]


async def test_the_newest_of_a_camera_lead_back_to_the_first(tmp_path: Path) -> None:
    async with reading(tmp_path) as (hub, http):
        for offset in range(1, 26):
            store(hub, "gate", offset, offset)
        page = (await http.get("/v1/cameras/gate/events", params={"limit": 10})).json()
        seen = [page]
        while "previous" in page:
            page = (
                await http.get(
                    "/v1/cameras/gate/events", params={"limit": 10, "before": page["previous"]}
                )
            ).json()
            seen.insert(0, page)
        assert [event["offset"] for page in seen for event in page["events"]] == list(range(1, 26))
        page = (await http.get("/v1/cameras/gate/events", params={"after": 3, "limit": 10})).json()
        assert (page["events"][0]["offset"], page["next"]) == (4, 13)
        some = (
            await http.get(
                "/v1/cameras/gate/events", params={"after": 3, "limit": 10, "severity": "info"}
            )
        ).json()
        rest = (
            await http.get(
                "/v1/cameras/gate/events",
                params={"after": some["next"], "order": "oldest", "limit": 100},
            )
        ).json()
        assert [event["offset"] for event in some["events"] + rest["events"]] == list(range(4, 26))


@pytest.mark.parametrize(
    "query",
    [
        {"order": "sideways"},
        {"after": "5"},
        {"epoch": "e1"},
        {"after": "1~gate~e1~1", "before": "1~gate~e1~1"},
        {"before": "7"},
        {"after": "1~gate~e1~-2"},
        {"after": "1~GATE~e1~2"},
        {"type": ""},
        {"zone": "x" * 201},
        {"label": ",".join(map(str, range(40)))},
        {"limit": "0"},
        {"limit": "501"},
        {"track": "\x00"},
    ],
)
async def test_what_the_document_does_not_allow_is_refused(
    tmp_path: Path, query: dict[str, str]
) -> None:
    async with reading(tmp_path) as (_, http):
        answer = await http.get("/v1/sites/north/events", params=query)
        assert answer.status_code == 400, answer.text
