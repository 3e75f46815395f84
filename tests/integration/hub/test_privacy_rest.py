"""Requests of data subjects and holds, by REST of a hub."""

from pathlib import Path
from typing import Any

import httpx

from hub.rest import table
from storage.ports.privacy import ValuePlace
from tests.support.doubles.memory_audit_log import MemoryAuditLog
from tests.support.hub import privacy_routes
from tests.support.hub.hub import TestHub, running_hub

AT_US = 1_767_225_700_000_000  # within WHERE
WHERE = privacy_routes.WHERE
GATE = ValuePlace("gate", "e1", 7, AT_US, "/data/data/plate", "plates")
OTHER = ValuePlace("gate", "e1", 8, AT_US, "/data/data/plate", "plates")


def test_rows_ask_what_they_are_for() -> None:
    rows = [row for row in table.ENDPOINTS if row.path.startswith("/v1/privacy")]
    assert {(row.method, row.path): row.action for row in rows} == privacy_routes.ACTIONS


class Officer:
    """Somebody with a token of their own."""

    def __init__(self, hub: TestHub, http: httpx.AsyncClient, name: str) -> None:
        self._base = f"http://127.0.0.1:{hub.port}/v1/privacy"
        self._http = http
        self._headers = {"authorization": f"Bearer {hub.token(name, roles=['privacy'])}"}

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = await self._http.request(
            method, f"{self._base}{path}", json=body, headers=self._headers
        )
        return answer.status_code, answer.json() if answer.content else None


async def test_one_asks_and_another_approves(tmp_path: Path) -> None:
    log = MemoryAuditLog()
    async with running_hub(tmp_path, audit_log=log) as hub, httpx.AsyncClient(timeout=30) as http:
        hub.memory.privacy.values = [(GATE, b'{"plate":"AB-123"}'), (OTHER, b'{"plate":"ZZ-9"}')]
        ann, bea = Officer(hub, http, "ann"), Officer(hub, http, "bea")
        search = {**WHERE, "purpose": "request 17", "values": ["ab 123"]}
        status, found = await ann("POST", "/search", search)
        assert (status, found["looked"], [one["event"] for one in found["places"]]) == (
            200,
            2,
            ["gate/e1/7"],
        )
        assert "AB-123" not in str(found)
        status, made = await ann("POST", "/requests", {**search, "kind": "erasure"})
        assert (status, made["state"], made["places"], made["asked_by"]) == (201, "asked", 1, "ann")
        status, refused = await ann("POST", f"/requests/{made['request']}/approve")
        assert (status, "another person" in refused["detail"]) == (409, True)
        status, now = await bea("POST", f"/requests/{made['request']}/approve")
        assert (status, now["state"], now["approved_by"]) == (200, "approved", "bea")
        assert (await bea("POST", f"/requests/{made['request']}/approve"))[0] == 409
        _, page = await bea("GET", "/requests")
        assert [one["request"] for one in page["requests"]] == [made["request"]]
        written = [(one.action, one.who) for one in log.entries[-3:]]
        assert written == [
            ("privacy.search", "ann"),
            ("privacy.ask.erasure", "ann"),
            ("privacy.approve", "bea"),
        ]
        said = str(log.entries)
        assert "request 17" in said
        assert "ab 123" not in said.lower()


async def test_what_is_not_understood_is_refused(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, httpx.AsyncClient(timeout=30) as http:
        ann = Officer(hub, http, "ann")
        good = {**WHERE, "purpose": "a test", "values": ["AB-123"]}
        cases: tuple[dict[str, Any], ...] = (
            {"purpose": ""},
            {"purpose": "the owner of ab 123 asks"},
            {"values": ["a-"]},
            {"from": "soon"},
            {"from": "2027-01-01T00:00:00Z"},
            {"site": "north"},
            {"cameras": []},
        )
        for wrong in cases:
            status, told = await ann("POST", "/search", {**good, **wrong})
            assert (status, wrong) == (400, wrong), told
        body = {**good, "kind": "erasure"}
        assert (await ann("POST", "/requests", body))[0] == 404  # nothing says that
        assert (await ann("GET", f"/requests/{'0' * 32}"))[0] == 404


async def test_a_hold_is_placed_seen_and_released(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, httpx.AsyncClient(timeout=30) as http:
        cy = Officer(hub, http, "cy")
        hold = {**WHERE, "reason": "case 7", "ends": "2040-01-01T00:00:00Z"}
        status, made = await cy("POST", "/holds", hold)
        assert (status, made["owner"], made["reason"]) == (201, "cy", "case 7")
        assert (await cy("DELETE", f"/holds/{made['hold']}"))[0] == 204
        assert (await cy("DELETE", f"/holds/{made['hold']}"))[0] == 404
        _, found = await cy("GET", "/holds")
        assert [(one["hold"], one["released_by"]) for one in found["holds"]] == [
            (made["hold"], "cy")
        ]
