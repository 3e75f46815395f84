"""Requests of data subjects and holds, by REST of a hub."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from actors.core.messages.commits import Position
from cluster.cli.main import main
from hub.rest import table
from privacy.processing import ProcessingRecord, page_of
from storage.ports.background.sinks import SinkRow
from storage.ports.events import EventRow
from storage.ports.privacy import ValuePlace
from tests.support.doubles.memory_audit_log import MemoryAuditLog
from tests.support.doubles.memory_postgres import StoredRow
from tests.support.hub import privacy_routes
from tests.support.hub.hub import TestHub, running_hub
from tests.support.store_rows import alarm_of

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


async def filled(hub: TestHub) -> None:
    """Two alarms at a camera, of two persons each, and their values for a search."""
    await hub.register("gate")
    before = Position("s1", 0, "e1", 0, bytes(32))
    for offset, plate in ((1, "AB-123"), (2, "AB-123")):
        said = {"plate": plate, "name": f"Somebody {offset}"}
        alarm = alarm_of("gate", before, said, received_us=AT_US)
        personal = tuple(alarm.personal)
        row = EventRow("gate", "e1", offset, alarm.body, alarm.hash, AT_US, personal)
        hub.memory.database.events.append(StoredRow("north", row))
        hub.memory.privacy.values += [
            (ValuePlace("gate", "e1", offset, AT_US, one.path, one.class_), one.value)
            for one in personal
        ]
        before = Position("s1", offset, "e1", offset, alarm.hash)


async def test_access_hands_out_ones_own_values_with_purpose_and_record(tmp_path: Path) -> None:
    log = MemoryAuditLog()
    async with running_hub(tmp_path, audit_log=log) as hub, httpx.AsyncClient(timeout=30) as http:
        await filled(hub)
        ann = Officer(hub, http, "ann")
        ask = {**WHERE, "purpose": "request 17", "values": ["AB-123"], "kind": "access"}
        _, made = await ann("POST", "/requests", ask)
        path = f"/requests/{made['request']}/bundle"
        assert (await ann("POST", path, {"purpose": ""}))[0] == 400
        assert not [one for one in log.entries if one.action == "privacy.disclose"]
        status, first = await ann("POST", path, {"purpose": "the answer to 17", "limit": 1})
        assert (status, first["total"], first["next"]) == (200, 2, 1)
        assert first["events"][0]["event"]["data"]["data"] == {
            "plate": "AB-123",
            "name": {"redacted": "names"},
        }
        assert (await ann("GET", f"/requests/{made['request']}"))[1]["state"] == "asked"
        status, last = await ann("POST", path, {"purpose": "the answer to 17", "after": 1})
        assert (status, last.get("next"), last["missing"]) == (200, None, [])
        assert (await ann("GET", f"/requests/{made['request']}"))[1]["state"] == "done"
        assert "Somebody" not in str(first) + str(last)
        written = [(one.action, one.target) for one in log.entries[-3:]]
        id = made["request"]
        assert written == [
            ("privacy.disclose", id),
            ("privacy.disclose", id),
            ("privacy.answered", id),
        ]
        assert "purpose: the answer to 17" in log.entries[-2].detail
        assert (await ann("POST", path, {"purpose": "a copy"}))[0] == 200, "it may be read again"


async def test_nobody_hands_out_what_is_hidden_from_them(tmp_path: Path) -> None:
    log = MemoryAuditLog()
    async with running_hub(tmp_path, audit_log=log) as hub, httpx.AsyncClient(timeout=30) as http:
        await filled(hub)
        ann = Officer(hub, http, "ann")
        ask = {**WHERE, "purpose": "request 17", "values": ["AB-123"]}
        _, access = await ann("POST", "/requests", {**ask, "kind": "access"})
        _, erasure = await ann("POST", "/requests", {**ask, "kind": "erasure"})
        why = {"purpose": "the answer to 17"}
        assert (await ann("POST", f"/requests/{erasure['request']}/bundle", why))[0] == 409
        hub.policy.redact = ("plates",)
        hub.hub.policy_changed("r2")
        status, told = await ann("POST", f"/requests/{access['request']}/bundle", why)
        assert (status, "AB-123" in str(told)) == (403, False)
        assert not [one for one in log.entries if one.action == "privacy.disclose"]
        assert (await ann("POST", f"/requests/{access['request']}/withdraw"))[0] == 200
        assert (await ann("POST", f"/requests/{access['request']}/bundle", why))[0] == 409


async def test_the_command_hands_out_all_pages_as_one_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_hub(tmp_path) as hub:
        await filled(hub)
        token, values = tmp_path / "token", tmp_path / "values"
        await asyncio.to_thread(token.write_text, hub.token("ann", roles=["privacy"]))
        await asyncio.to_thread(values.write_text, "AB-123\n")

        async def say(*words: str) -> Any:
            where = ["--url", f"http://127.0.0.1:{hub.port}", "--token-file", str(token), "--json"]
            options = [*where, "--data-dir", str(tmp_path / "none")]
            assert await asyncio.to_thread(main, ["privacy", "requests", *words, *options]) == 0
            return json.loads(capsys.readouterr().out)

        where = ["--camera", "gate", "--from", WHERE["from"], "--to", WHERE["to"]]
        asked = ["ask", "access", *map(str, where), "--values-file", str(values)]
        made = await say(*asked, "--purpose", "request 17")
        found = await say("bundle", made["request"], "--purpose", "the answer to 17")
        assert [one["id"] for one in found["events"]] == ["gate/e1/1", "gate/e1/2"]
        assert found["missing"] == []
        assert "Somebody" not in str(found)


async def test_the_record_of_processing_tells_classes_recipients_and_what_waits(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path) as hub, httpx.AsyncClient(timeout=30) as http:
        await filled(hub)
        hub.memory.sinks.rows["<b>out"] = SinkRow("<b>out", "webhook", {"url": "https://x"})
        ann = Officer(hub, http, "ann")
        hold = {**WHERE, "reason": "case 7", "ends": "2040-01-01T00:00:00Z"}
        await ann("POST", "/holds", hold)
        await ann("POST", "/requests", {**WHERE, "purpose": "request 17", "kind": "access"})
        status, found = await ann("GET", "/record")
        assert status == 200
        assert [one["class"] for one in found["classes"]] == [
            "faces",
            "names",
            "plates",
            "text",
            "unknown",
        ]
        assert found["sites"] == ["north"]
        assert found["recipients"] == [{"sink": "<b>out", "kind": "webhook", "state": "active"}]
        assert (found["requests_open"], found["requests_overdue"], found["holds"]) == (1, 0, 1)
        page = page_of(msgspec.convert(found, ProcessingRecord))
        assert "&lt;b&gt;out (webhook, active)" in page
        assert "<b>" not in page
