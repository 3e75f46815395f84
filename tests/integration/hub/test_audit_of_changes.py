"""Whatever somebody changes by a hub stands in the audit log, and nothing is changed that cannot be
recorded."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.doubles.memory_audit_log import MemoryAuditLog
from tests.support.hub.hub import TestHub, running_hub

SQUARE = {"points": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]}
ALWAYS = {"if-match": "*"}

# (method, path, body) → (action, target, detail), in an order in which each one has something to
# change.
CHANGES: list[tuple[tuple[str, str, Any], tuple[str, str, str]]] = [
    (("POST", "/v1/sites", {"site": "west"}), ("site.add", "west", "")),
    (("PUT", "/v1/sites/west", {"name": "West"}), ("site.change", "west", "")),
    (
        ("POST", "/v1/cameras", {"camera": "c1", "site": "west", "tags": ["a"]}),
        ("camera.add", "c1", "site west, tags a"),
    ),
    (
        ("PUT", "/v1/cameras/c1", {"tags": ["b", "c"]}),
        ("camera.change", "c1", "tags b, c, before tags a"),
    ),
    (("PUT", "/v1/cameras/c1/scene", {"min_hits": 2}), ("scene.change", "c1", "scene")),
    (("PUT", "/v1/cameras/c1/scene/zones/door", SQUARE), ("scene.change", "c1", "zone door")),
    (
        ("DELETE", "/v1/cameras/c1/scene/zones/door", None),
        ("scene.change", "c1", "zone door removed"),
    ),
    (
        ("POST", "/v1/cameras/c1/counts/reset", {"lines": ["gate"]}),
        ("counts.reset", "c1", "lines gate"),
    ),
    (("POST", "/v1/dead-letters/1/replay", {}), ("deadletter.replay", "1", "camera c1")),
    (
        ("POST", "/v1/dead-letters/2/discard", {"reason": "a test"}),
        ("deadletter.discard", "2", "camera c1: a test"),
    ),
    (
        ("POST", "/v1/revocations", {"jti": "t-9", "reason": "lost"}),
        ("token.revoke", "jti:t-9", "lost"),
    ),
    (("POST", "/v1/revocations", {"subject": "eve"}), ("token.revoke", "subject:eve", "")),
    (("DELETE", "/v1/cameras/c1", None), ("camera.delete", "c1", "site west")),
    (("DELETE", "/v1/sites/west", None), ("site.delete", "west", "")),
]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[TestHub]:
    actor = FakeActor("actor-1")
    async with running_hub(tmp_path, directory=FakeDirectory(lambda name: actor)) as running:
        for _ in range(2):
            await running.memory.dead_letters.add(
                "c1", "s1", "bad_input", "why", b"{}", 1_790_000_000_000_000
            )
        yield running


def client(hub: TestHub, **token: Any) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {hub.token(**({'roles': ['admin']} | token))}"} | ALWAYS
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", timeout=30, headers=headers)


def log_of(hub: TestHub) -> MemoryAuditLog:
    log = hub.hub.context.stores.audit_log
    assert isinstance(log, MemoryAuditLog)
    return log


def everything(hub: TestHub) -> object:
    """What the changes change, as text."""
    database, records = hub.memory.database, hub.hub.context.stores.policy
    return repr((database.sites, database.cameras, database.dead_letters, records.found))  # type: ignore[attr-defined]


async def test_every_change_is_recorded_once_and_none_is_made_without_its_record(
    hub: TestHub,
) -> None:
    log = log_of(hub)
    async with client(hub) as http:
        for (method, path, body), told in CHANGES:
            log.away, before, told_before = True, everything(hub), len(log.entries)
            refused = await http.request(method, path, json=body)
            assert (refused.status_code, refused.json()["title"]) == (503, "unavailable"), path
            assert everything(hub) == before, path
            log.away = False
            done = await http.request(method, path, json=body)
            assert done.is_success, (path, done.text)
            assert len(log.entries) == told_before + 1
            entry = log.entries[-1]
            assert (entry.who, entry.token) == ("ada", "ada-1")
            assert (entry.action, entry.target, entry.detail) == told


async def test_what_changes_nothing_is_not_recorded(hub: TestHub) -> None:
    async with client(hub) as http:
        await http.post("/v1/sites", json={"site": "west"})
        await http.post("/v1/sites", json={"site": "west"})
        await http.put("/v1/sites/west", json={}, headers={"if-match": '"9"'})
        hub.policy.denied = {("registry.write", "east"), ("token.revoke", "policy")}
        await http.post("/v1/sites", json={"site": "east"})
        await http.post("/v1/revocations", json={"jti": "x"})
    assert [entry.action for entry in log_of(hub).entries] == ["site.add"]


async def test_a_camera_that_an_edge_brings_about_is_recorded(hub: TestHub) -> None:
    log = log_of(hub)
    body = {"session": "s1", "first_seq": 1, "observations": []}
    log.away = True
    async with client(hub, sub="gate-box", typ="edge", roles=["edge"], sites=["west"]) as http:
        assert (await http.post("/v1/cameras/new-1/observations", json=body)).status_code == 503
        assert hub.memory.database.cameras == {}
        log.away = False
        await http.post("/v1/cameras/new-1/observations", json=body)
    assert [(entry.who, entry.action, entry.target, entry.detail) for entry in log.entries] == [
        ("gate-box", "camera.register", "new-1", "site west")
    ]
