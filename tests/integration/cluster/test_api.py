"""The cluster API over real HTTP, on a cluster that stands still: what it shows, what it changes,
and what it writes down about that."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from schemathesis.core.failures import FailureGroup

from actors.core.errors import ConfigError, EyrieError, StartError
from actors.core.settings import ClusterSettings, Settings
from cluster.api import endpoints
from cluster.api.app import ACTIONS, handlers_of
from cluster.api.server import tls_of
from cluster.supervisor.models import ClusterSnapshot
from hub.server.listeners import open_alone
from storage.ports.cluster import ClusterDecision, RequestedOperation
from tests.support.cluster.cluster_api import NODE, OTHER, StillSupervisor, TestApi, running_api
from tests.support.cluster.filled_sinks import MORE_BODIES, MORE_NAMES, fill_more
from tests.support.hub.api_fuzz import Known, fuzz, in_thread
from tests.unit.hub.web.test_openapi import check_document, routes_of, told

SEED = 20260301
ELSEWHERE = {("GET", "/health/live")}
MOVE = {"kind": "move", "target": "gate", "params": {"node": OTHER}}


async def test_what_runs_is_shown_with_why_and_the_last_decisions(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, api.client() as http:
        await api.store.decided(
            [
                ClusterDecision("camera:gate", "placed on dock.0011223344", "most room"),
                ClusterDecision("hub:1", "started", "wanted"),
            ]
        )
        shown = (await http.get(f"{api.url}/v1/cluster")).json()
        assert (
            shown["nodes"],
            shown["hubs"],
            shown["hubs_ready"],
            shown["cameras_hosted"],
            shown["troubles"],
        ) == (2, 2, 1, 2, 1)
        gate = (await http.get("/cameras/gate")).json()
        assert (
            gate["camera"]["generation"],
            gate["camera"]["mailbox"],
            gate["camera"]["restarts"],
        ) == (7, 4, 1)
        assert [(d["what"], d["why"]) for d in gate["decisions"]] == [
            ("placed on dock.0011223344", "most room")
        ]
        assert (await http.get("/cameras/attic")).json()["camera"]["phase"] == "idle"
        assert (await http.get("/hubs/hub-1")).json()["decisions"][0]["what"] == "started"
        assert (await http.get("/policies")).json()["services"][0]["name"] == "policy-0"
        assert [
            c["camera"] for c in (await http.get("/cameras?phase=quarantined")).json()["cameras"]
        ] == ["yard"]
        assert [
            d["subject"] for d in (await http.get("/decisions?limit=1")).json()["decisions"]
        ] == ["hub:1"]
        missing = await http.get("/nodes/nobody")
        assert (missing.status_code, missing.headers["content-type"]) == (
            404,
            "application/problem+json",
        )


async def test_lists_are_read_page_by_page(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, api.client() as http:
        first = (await http.get("/cameras?limit=2")).json()
        second = (await http.get(f"/cameras?limit=2&after={first['next']}")).json()
        assert [c["camera"] for c in first["cameras"] + second["cameras"]] == [
            "dock",
            "gate",
            "yard",
        ]
        assert "next" not in second
        for index in range(3):
            await api.store.ask(RequestedOperation(f"op{index}", "move", "gate", {}, "olga"))
        newest = (await http.get("/operations?limit=2")).json()
        oldest = (await http.get(f"/operations?limit=2&before={newest['next']}")).json()
        assert [o["id"] for o in newest["operations"] + oldest["operations"]] == [
            "op2",
            "op1",
            "op0",
        ]


@pytest.mark.parametrize(
    ("method", "path", "action", "target"),
    [
        ("PUT", f"/nodes/{OTHER}/cordon", "cluster.cordon", OTHER),
        ("DELETE", f"/nodes/{OTHER}/cordon", "cluster.uncordon", OTHER),
        ("PUT", "/cameras/gate/quarantine", "cluster.quarantine", "gate"),
        ("PUT", "/cameras/gate/pause", "cluster.pause", "camera:gate"),
        ("PUT", "/sites/north/pause", "cluster.pause", "site:north"),
        ("PUT", "/cameras/gate/placement", "cluster.place", "gate"),
        ("PUT", "/shape", "cluster.shape", "cluster"),
        ("PUT", "/room", "cluster.room", "cluster"),
        ("PUT", "/processes/hub-0/log-level", "cluster.log_level", "hub-0"),
        ("POST", "/processes/hub-0/profile", "cluster.profile", "hub-0"),
        ("POST", "/operations", "cluster.move", "gate"),
    ],
)
async def test_every_change_is_recorded_and_what_cannot_be_recorded_is_not_done(
    tmp_path: Path, method: str, path: str, action: str, target: str
) -> None:
    bodies: dict[str, Any] = {
        "/room": {"cameras": 40},
        "/processes/hub-0/log-level": {"level": "debug"},
        "/operations": MOVE,
        "/shape": {"hubs": {"count": 2}},
        "/cameras/gate/placement": {"alone": True},
    }
    content = None if method == "DELETE" else bodies.get(path, {})
    async with running_api(tmp_path) as api, api.client() as http:
        if method == "DELETE":
            await api.store.cordon(OTHER, reason="", who="olga")
        api.audit.away = True
        refused = await http.request(method, path, json=content, headers={"If-Match": "*"})
        assert refused.status_code == 503, refused.text
        assert (
            api.supervisor.woken,
            api.rooms.cameras,
            api.inspector.levels,
            api.inspector.profiles,
            api.store.asked,
        ) == (0, 0, {}, 0, {})
        before = await api.store.orders()
        api.audit.away = False
        done = await http.request(method, path, json=content, headers={"If-Match": "*"})
        assert done.status_code in (200, 202), done.text
        assert [entry[:2] for entry in api.audited()] == [(action, target)]
        changed = (
            (await api.store.orders()) != before
            or api.rooms.cameras
            or api.inspector.levels
            or api.inspector.profiles
        )
        assert changed or api.store.asked


async def test_who_may_not_operate_changes_nothing(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, api.client() as http:
        api.policy.denied.add(("cluster.operate", "cluster"))
        assert (await http.put(f"/nodes/{NODE}/cordon", json={})).status_code == 403
        assert (await http.post("/operations", json=MOVE)).status_code == 403
        assert (await http.get("/nodes")).status_code == 200
        api.policy.denied.add(("cluster.read", "cluster"))
        assert (await http.get("/nodes")).status_code == 403
        api.policy.unavailable = True
        assert (await http.get("/nodes")).status_code == 503
        assert (await http.get("/nodes", headers={"Authorization": "Bearer no"})).status_code == 401
        assert {endpoint.action for endpoint in endpoints.ENDPOINTS} == set(ACTIONS)
        assert [
            e.id for e in endpoints.ENDPOINTS if e.method != "GET" and e.action.endswith(".read")
        ] == ["plan"]
        assert (api.audited(), (await api.store.orders()).cordons) == ([], [])


async def test_the_shape_is_changed_under_its_etag(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, api.client() as http:
        read = await http.get("/shape")
        assert (read.headers["etag"], read.json()["hubs"]["count"]) == ('"0"', 1)
        assert (await http.put("/shape", json={"hubs": {"count": 3}})).status_code == 428
        wide = {"hubs": {"count": 3, "min": 1, "max": 4, "auto": True}}
        changed = await http.put("/shape", json=wide, headers={"If-Match": '"0"'})
        assert (changed.status_code, changed.headers["etag"]) == (200, '"1"')
        assert (await http.put("/shape", json=wide, headers={"If-Match": '"0"'})).status_code == 412
        dense = await http.put(
            "/shape",
            json={"density": {"default": 16, "sites": {"north": 4}}},
            headers={"If-Match": '"1"'},
        )
        assert (dense.json()["hubs"]["count"], dense.json()["density"]["sites"]) == (
            3,
            {"north": 4},
        )
        for wrong, status in (
            ({"policies": {"count": 0}}, 409),
            ({"hubs": {"count": 9, "max": 4, "auto": True}}, 400),
        ):
            assert (
                await http.put("/shape", json=wrong, headers={"If-Match": "*"})
            ).status_code == status
        assert "density 16, north 4" in api.audited()[-1][2]


async def test_an_operation_is_asked_for_once_under_its_key(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, api.client() as http, api.client("otto") as other:
        key = {"Idempotency-Key": "monday-1"}
        first, again = [await http.post("/operations", json=MOVE, headers=key) for _ in range(2)]
        assert (first.status_code, first.json()) == (202, again.json())
        assert first.headers["location"] == f"/v1/cluster/operations/{first.json()['id']}"
        differs = await http.post(
            "/operations", json={"kind": "drain", "target": OTHER}, headers=key
        )
        assert (differs.status_code, differs.json()["title"]) == (422, "key_reused")
        assert list(api.store.keys) == [("olga", "monday-1")]  # it outlives this process
        api.supervisor.problem = "it is there already"
        assert (await http.post("/operations", json=MOVE, headers=key)).json() == first.json(), (
            "what is done cannot be done again"
        )
        api.supervisor.problem = ""
        theirs = await other.post("/operations", json=MOVE, headers=key)
        assert theirs.json()["id"] != first.json()["id"]
        assert (
            await http.post("/operations", json=MOVE, headers={"Idempotency-Key": "not a key"})
        ).status_code == 400
        assert [action for action, _, _ in api.audited()] == ["cluster.move"] * 2


async def test_what_cannot_be_done_is_refused_and_a_plan_says_so(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, api.client() as http:
        plan = (await http.post("/plans", json=MOVE)).json()
        assert (plan["steps"][0]["interrupts"], plan["duration_s"], plan["problem"]) == (
            ["gate"],
            1.5,
            "",
        )
        assert (
            await http.post("/operations", json={"kind": "move", "target": "nobody"})
        ).status_code == 404
        assert (
            await http.post("/operations", json={"kind": "explode", "target": "gate"})
        ).status_code == 400
        api.supervisor.problem = "there is no other node"
        refused = await http.post("/operations", json=MOVE)
        assert (refused.status_code, refused.json()["detail"]) == (409, "there is no other node")
        assert (api.store.asked, api.audited()) == ({}, [])


async def test_an_operation_is_cancelled_once(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, api.client() as http:
        path = (
            (await http.post("/operations", json=MOVE))
            .headers["location"]
            .removeprefix("/v1/cluster")
        )
        key = {"Idempotency-Key": "stop"}
        first, again = [await http.post(f"{path}/cancel", headers=key) for _ in range(2)]
        assert (first.status_code, first.json()["state"], again.json()) == (
            200,
            "cancelled",
            first.json(),
        )
        assert (await http.post(f"{path}/cancel")).status_code == 409
        assert (await http.get(path)).json()["finished"] is not None


async def test_levels_and_profiles_of_processes(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, api.client() as http:
        level = (
            await http.put("/processes/hub-0/log-level", json={"level": "debug", "for_s": 60})
        ).json()
        assert level == {"process": "hub-0", "level": "debug", "base": "info", "left_s": 60.0}
        assert (await http.delete("/processes/hub-0/log-level")).json()["level"] == "info"
        profile = (
            await http.post(
                "/processes/supervisor/profile",
                json={"for_s": 0.1},
                headers={"Idempotency-Key": "p"},
            )
        ).json()
        assert profile["stacks"] == "MainThread;a.b 2\n"
        await http.post(
            "/processes/supervisor/profile", json={"for_s": 0.1}, headers={"Idempotency-Key": "p"}
        )
        assert api.inspector.profiles == 1
        assert (await http.get("/processes/nobody/log-level")).status_code == 404
        assert "supervisor" in [
            p["name"] for p in (await http.get("/processes")).json()["processes"]
        ]
        api.inspector.away = True
        assert (await http.get("/processes/hub-0/log-level")).status_code == 503


async def test_requests_are_bounded_in_size_time_and_number(tmp_path: Path) -> None:
    async with running_api(tmp_path, deadline_s=0.1) as api, api.client() as http:
        assert (
            await http.put(f"/nodes/{NODE}/cordon", json={"reason": "x" * 70_000})
        ).status_code == 400
        assert (await http.patch("/nodes")).status_code == 405
        assert (await http.get("/nowhere")).json()["title"] == "not_found"
        stuck = asyncio.Event()

        async def hang(*_: object, **__: object) -> Any:
            await stuck.wait()

        api.store.operations = hang  # type: ignore[method-assign]
        late = await http.get("/operations")
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")


async def test_a_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        with pytest.raises(StartError, match="in use") as told_so:
            open_alone("127.0.0.1", api.server.port, setting="cluster.api_port")
        assert "EYRIE_CLUSTER_API_PORT" in told_so.value.next_step
        assert ClusterSettings().api_host == "127.0.0.1"


def test_the_api_is_not_offered_to_others_in_plain_text() -> None:
    with pytest.raises(ConfigError, match="nothing there is encrypted"):
        tls_of(Settings(cluster=ClusterSettings(api_host="0.0.0.0")))
    assert tls_of(Settings()) is None


async def test_the_document_tells_of_every_route_and_the_page_is_plain(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, httpx.AsyncClient(base_url=api.url) as http:
        document = (await http.get("/openapi.json")).json()
        check_document(document)
        assert routes_of(api.server.app.app.routes) - ELSEWHERE == told(document)
        assert {endpoint.id for endpoint in endpoints.ENDPOINTS} == set(
            handlers_of(api.server.context)
        )
        page = await http.get("/docs")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "/v1/cluster/operations" in page.text


def fuzzed(folder: Path, examples: int) -> None:
    with in_thread(lambda: running_api(folder)) as api:
        names = {
            "node": [NODE, OTHER],
            "actor": ["gate.0011223344"],
            "hub": ["hub-0", "hub-1"],
            "policy": ["policy-0"],
            "worker": ["worker-0"],
            "site": ["north"],
            "camera": ["gate", "dock", "attic"],
            "operation": ["op1", "op2"],
            "process": ["hub-0", "supervisor"],
        } | MORE_NAMES
        bodies = {
            "cordon": {"reason": "new disk"},
            "beginQuarantine": {},
            "pauseCamera": {},
            "pauseSite": {},
            "placeCamera": {"alone": True},
            "makeRoom": {"cameras": 3},
            "changeShape": {"hubs": {"count": 2}},
            "askOperation": MOVE,
            "plan": {"kind": "drain", "target": NODE},
            "setLogLevel": {"level": "debug"},
            "profile": {"for_s": 0.1},
        } | MORE_BODIES
        asked(api, "op1", "op2")
        asyncio.run(fill_more(api))
        found = fuzz(
            api.url,
            Known(names, bodies, lambda method, path: api.token()),
            examples=examples,
            seed_number=SEED,
        )
        assert (found.never_good(), found.calls > 2 * examples * 20) == ([], True)


def asked(api: TestApi, *operations: str) -> None:
    async def ask() -> None:
        for operation in operations:
            await api.store.ask(RequestedOperation(operation, "move", "gate", {}, "olga"))

    asyncio.run(ask())


def test_no_500_and_no_undocumented_answer(tmp_path: Path) -> None:
    fuzzed(tmp_path, 5)


class Odd(EyrieError):
    """An error that no document tells of."""

    status = 418


@pytest.mark.parametrize(
    ("broken", "status"), [(RuntimeError("a bug"), 500), (Odd("a teapot"), 418)]
)
def test_a_broken_server_is_found(
    tmp_path: Path, broken: Exception, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def snapshot(self: StillSupervisor) -> ClusterSnapshot:
        raise broken

    monkeypatch.setattr(StillSupervisor, "snapshot", snapshot)
    with pytest.raises(FailureGroup, match=rf"\[{status}\]"):
        fuzzed(tmp_path, 1)


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_the_same_for_longer(tmp_path: Path) -> None:
    fuzzed(tmp_path, 150)
