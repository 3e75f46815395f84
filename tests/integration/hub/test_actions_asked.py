"""What policy is really asked on every way into a hub, against what the tables and the OpenAPI
document say: one call or more to each.

Who asks has a scope that names the way, so that every question is told apart. Each way is gone
twice: where policy allows all, and none.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from cluster.api import endpoints as table
from hub.access.authorization import SYSTEM, Access
from hub.access.redaction import View
from hub.rest import table as rest_table
from hub.special_table import SPECIALS
from hub.web import openapi
from hub.web.openapi import Endpoint
from policy.decision.model import Decision, DecisionInput
from tests.support.cluster.cluster_api import NODE, running_api
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub import alert_routes, more_routes
from tests.support.hub.compatible_hubs import compatible_hub
from tests.support.hub.hub import TestHub, running_hub
from tests.support.servers.store_servers import redis

NAMES = (
    {
        "camera": "gate",
        "site": "north",
        "zone": "door",
        "line": "entry",
        "letter": "1",
        "revision": "0" * 64,
        "node": NODE,
        "actor": "gate.0011223344",
        "hub": "hub-0",
        "policy": "policy-0",
        "worker": "worker-0",
        "process": "hub-0",
    }
    | {"operation": "op1", "job": "1", "schedule": "events.retention", "sink": "ops"}
    | more_routes.NAMES
)
SQUARE = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5], [0.1, 0.5]]
BODIES: dict[str, Any] = {
    "addSite": {"site": "east"},
    "addCamera": {"camera": "tower", "site": "north", "tags": ["roof"]},
    "changeSite": {"name": "North"},
    "changeCamera": {"tags": ["door"]},
    "changeScene": {"zones": {"door": {"points": SQUARE}}},
    "changeZone": {"points": SQUARE},
    "changeLine": {"points": SQUARE[:2]},
    "discardDeadLetter": {"reason": "noise"},
    "uploadRevision": {"modules": {}},
    "startShadow": {"revision": "0" * 64},
    "revoke": {"jti": "somebody"},
    "postObservations": {"session": "s", "observations": []},
} | more_routes.BODIES
# What is done to the deployment itself is asked by the row, so here is once more what the rows must
# say.
OF_SYSTEM = {
    ("GET", "/v1/policy"): "policy.read",
    ("POST", "/v1/policy"): "policy.change",
    ("PUT", "/v1/policy"): "policy.change",
    ("DELETE", "/v1/policy"): "policy.change",
    ("GET", "/v1/audit"): "audit.read",
    ("GET", "/v1/revocations"): "token.revoke",
    ("POST", "/v1/revocations"): "token.revoke",
}
EMPTY_LISTS = {"listSites", "listCameras", "listDeadLetters"}  # of nothing to see
OF_PEOPLE = dict.fromkeys(("openSession", "renewTicket", "closeSession"))  # of pages alone
Asked = dict[str, set[str]]


class Recorder:
    """A `Decider` that allows all, or nothing, and keeps which actions were asked for each
    scope."""

    def __init__(self, *, allow: bool) -> None:
        self.allow = allow
        self.asked: Asked = {}

    async def decide(self, question: DecisionInput) -> Decision:
        await asyncio.sleep(0)
        scopes: Any = question.subject["scopes"]
        for scope in scopes:
            self.asked.setdefault(scope, set()).add(question.action)
        return Decision(self.allow, "allowed" if self.allow else "denied", "r1")


@contextlib.asynccontextmanager
async def furnished(folder: Path, recorder: Recorder) -> AsyncIterator[TestHub]:
    """A hub with something of everything."""
    actor = FakeActor("actor.one")
    await asyncio.to_thread(folder.mkdir)
    async with running_hub(
        folder, decider=recorder, directory=FakeDirectory(lambda camera: actor)
    ) as hub:
        scene = {"zones": {"door": {"points": SQUARE}}, "lines": {"entry": {"points": SQUARE[:2]}}}
        await hub.register("gate", scene=msgspec.json.encode(scene))
        await hub.register("dock", site="south")
        await hub.memory.registry.add_site("spare")
        await hub.show("gate", 1)
        await hub.happen("gate", 1)
        await hub.memory.dead_letters.add("gate", "s1", "bad", "why", b"{", 1)
        alert_routes.raise_alert(hub, "gate")
        yield hub


async def call(http: httpx.AsyncClient, endpoint: Endpoint, token: str) -> int:
    """The status of one call of an endpoint."""
    path = endpoint.path.format(**NAMES)
    if endpoint.id == "removeSite":
        path = "/v1/sites/spare"
    body = {"json": BODIES.get(endpoint.id, {})} if endpoint.method in ("POST", "PUT") else {}
    headers = {"If-Match": "*"} | ({"Authorization": f"Bearer {token}"} if endpoint.action else {})
    return (await http.request(endpoint.method, path, headers=headers, **body)).status_code


def ordered(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """What takes something away comes last."""
    return sorted(endpoints, key=lambda endpoint: endpoint.method == "DELETE")


async def rest(hub: TestHub, *, allow: bool) -> dict[str, int]:
    """Every endpoint; the statuses."""
    found = {}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", timeout=30) as http:
        for endpoint in ordered(rest_table.ENDPOINTS):
            kind = {"typ": "edge", "roles": ["edge"]} if endpoint.token == "edge" else {}
            token = hub.token(f"of-{endpoint.id}", scopes=[endpoint.id], **kind)
            status = found[endpoint.id] = await call(http, endpoint, token)
            if endpoint.action and not allow:
                assert status == (200 if endpoint.id in EMPTY_LISTS else 403), endpoint.id
    return found


async def dashboard(hub: TestHub) -> None:
    """The websocket."""
    token = hub.token(scopes=["dashboard"])
    with contextlib.suppress(ConnectionClosed):
        async with hub.dashboard(token) as dash:
            await dash.ask("subscribe", channel="camera:gate")
            await dash.ask("subscribe", channel="cluster:operations")
            await dash.ask("subscribe", channel="events:camera:gate")
            await dash.ask("history", channel="events:camera:gate", limit=1)


async def stream(hub: TestHub, id: str, path: str, recorder: Recorder) -> None:
    """A stream, and the later commands by ``/emulation``."""
    first = json.dumps({"id": 1, "connect": {"token": hub.token(scopes=[id])}})
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", timeout=30) as http,
        http.stream("POST", path, content=first) as answer,
    ):
        lines = answer.aiter_lines()
        connected = await told(lines, 1)
        if connected is None or "connect" not in connected:
            return
        before = recorder.asked.pop(id)
        commands = [
            ("subscribe", "camera:gate"),
            ("subscribe", "cluster:operations"),
            ("subscribe", "events:camera:gate"),
        ]
        for number, (method, channel) in enumerate(
            [*commands, ("history", "events:camera:gate")], 2
        ):
            data = json.dumps(
                {
                    "id": number,
                    method: {"channel": channel, **({"limit": 1} if method == "history" else {})},
                }
            )
            sent = {key: connected["connect"][key] for key in ("session", "node")} | {"data": data}
            assert (await http.post("/emulation", json=sent)).status_code == 204
            await told(lines, number)
        # A review of the connection itself may come at any moment: it belongs to no command.
        later = recorder.asked[id] - {"connect"}
        recorder.asked.setdefault("emulation", set()).update(later)
        recorder.asked[id] = before | later


async def told(lines: AsyncIterator[str], number: int) -> dict[str, Any] | None:
    """The reply to one command of a stream, None when the stream ends."""
    async with asyncio.timeout(30):
        async for line in lines:
            for text in line.removeprefix("data: ").split("\n"):
                message = json.loads(text) if text.startswith("{") else {}
                if message.get("id") == number:
                    return dict(message)
    return None


async def edge(hub: TestHub) -> None:
    """The edge socket."""
    headers = {
        "authorization": "Bearer "
        f"{hub.token('edge-1', typ='edge', roles=['edge'], scopes=['edge'])}"
    }
    url = f"ws://127.0.0.1:{hub.port}/v1/edge"
    async with connect(
        url,
        subprotocols=["eyrie.edge.v1+json"],  # type: ignore[list-item]
        additional_headers=headers,
        proxy=None,
    ) as socket:
        await socket.send(json.dumps({"type": "hello", "camera": "gate", "session": "s1"}))
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(30):
                while json.loads(await socket.recv())["type"] not in ("welcome", "error", "bye"):
                    pass


async def everything(folder: Path, *, allow: bool) -> Asked:
    """What was asked by way."""
    recorder = Recorder(allow=allow)
    async with furnished(folder, recorder) as hub:
        await dashboard(hub)
        await stream(hub, "sse", "/connection/sse", recorder)
        await stream(hub, "httpStream", "/connection/http_stream", recorder)
        await edge(hub)
        statuses = await rest(hub, allow=allow)  # last: it deletes the camera
        refused = {id for id, status in statuses.items() if status in (401, 403, 405, 500)}
        assert not allow or refused == OF_PEOPLE.keys()
    return recorder.asked


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """What every way of a hub asked, over both runs."""
    folder = tmp_path_factory.mktemp("asked")
    runs = [asyncio.run(everything(folder / str(allow), allow=allow)) for allow in (True, False)]
    return {way: runs[0].get(way, set()) | runs[1].get(way, set()) for way in {*runs[0], *runs[1]}}


def wrong(endpoints: Iterable[Endpoint], asked: Asked) -> set[str]:
    """The endpoints whose rows say something else than what was asked."""
    return {
        endpoint.id
        for endpoint in endpoints
        if set(endpoint.actions) != asked.get(endpoint.id, set())
    }


def test_every_row_says_what_is_asked(asked: Asked) -> None:
    assert wrong(rest_table.ENDPOINTS, asked) == set()
    assert {row.id: set(row.actions) for row in SPECIALS if row.actions} == {
        row.id: asked.get(row.id) for row in SPECIALS if row.actions
    }
    rows = {endpoint.id for endpoint in rest_table.ENDPOINTS} | {row.id for row in SPECIALS}
    assert set(asked) - rows == set(), "no question without a row"


def test_the_document_says_what_the_rows_say() -> None:
    document = rest_table.openapi("1.0.0")
    for endpoint in rest_table.ENDPOINTS:
        operation = document["paths"][endpoint.path][endpoint.method.lower()]
        assert operation.get(openapi.ACTIONS, []) == list(endpoint.actions)
        assert [
            action for action in endpoint.actions if f"`{action}`" not in operation["description"]
        ] == []


def test_a_row_that_says_another_action_is_found(asked: Asked) -> None:
    for endpoint in rest_table.ENDPOINTS:
        changed = [
            msgspec.structs.replace(one, action="another.action") if one.id == endpoint.id else one
            for one in rest_table.ENDPOINTS
        ]
        assert wrong(changed, asked) == {endpoint.id}


async def test_a_handler_that_asks_another_action_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = Access.view

    async def another(
        self: Access, use: Any, *rest: Any, **options: Any
    ) -> tuple[View, float | None]:
        return await view(self, "history" if use == "subscribe" else "subscribe", *rest, **options)

    monkeypatch.setattr(Access, "view", another)
    recorder = Recorder(allow=True)
    async with furnished(tmp_path / "hub", recorder) as hub:
        await rest(hub, allow=True)
    views = ("subscribe", "history")
    of_views = {endpoint.id for endpoint in rest_table.ENDPOINTS if endpoint.action in views}
    assert wrong(rest_table.ENDPOINTS, recorder.asked) >= of_views
    assert len(of_views) == 12


def test_rows_about_the_deployment_ask_what_they_are_for() -> None:
    rows = [
        endpoint
        for endpoint in rest_table.ENDPOINTS
        if endpoint.path.startswith(("/v1/policy", "/v1/audit", "/v1/revocations"))
    ]
    found = {(row.method, "/".join(row.path.split("/")[:3])): row.action for row in rows}
    assert found == OF_SYSTEM
    assert {row.action for row in rows} <= set(SYSTEM)
    assert [row.id for row in rows if row.also] == []
    assert [
        row.id for row in rest_table.ENDPOINTS if row.path.startswith("/v1/") and not row.action
    ] == ["signIn", *OF_PEOPLE]  # a code, a password, the cookie is the credential


async def test_ways_without_an_action_ask_nothing(tmp_path: Path) -> None:
    recorder = Recorder(allow=False)
    async with furnished(tmp_path / "hub", recorder) as hub, httpx.AsyncClient(timeout=30) as http:
        for path in [row.path for row in SPECIALS if not row.actions and row.id != "serverApi"] + [
            "/health/live",
            "/health/ready",
        ]:
            port = hub.hub.private_port if path.startswith("/metrics") else hub.port
            answer = await http.get(
                f"http://127.0.0.1:{port}{path.replace('{rest:path}', 'v1/scene.json')}"
            )
            status = 404 if path == "/v1/{rest:path}" else 200
            assert answer.status_code == status, path
        public = [row.path for row in SPECIALS if row.path.startswith("/metrics")]
        assert {
            (await http.get(f"http://127.0.0.1:{hub.port}{path}")).status_code for path in public
        } == {404}
    assert recorder.asked == {}


async def test_the_server_api_goes_by_its_key_alone(tmp_path: Path) -> None:
    with redis() as (_, url):
        async with (
            compatible_hub(tmp_path, url, "hub-a") as hub,
            httpx.AsyncClient(timeout=30) as http,
        ):
            for headers, status in (
                ({}, 401),
                ({"x-api-key": "wrong"}, 401),
                ({"x-api-key": "key"}, 200),
            ):
                answer = await http.post(
                    f"http://127.0.0.1:{hub.port}/api/info", json={}, headers=headers
                )
                assert answer.status_code == status
            assert hub.policy.asked == []


async def test_the_routes_are_those_of_the_tables(tmp_path: Path) -> None:
    async with furnished(tmp_path / "hub", Recorder(allow=True)) as hub:
        routes = hub.hub.app.app.routes
    found = {
        (method, route.path)
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or ())
    }
    rows: set[tuple[str, str]] = {
        (endpoint.method, endpoint.path) for endpoint in rest_table.ENDPOINTS
    }
    rows |= {
        (method, row.path)
        for row in SPECIALS
        if row.kind == "http" and row.id != "serverApi"
        for method in row.methods
    }
    files = {("GET", "/")} if not any(isinstance(route, Mount) for route in routes) else set()
    rows |= files
    rows |= {("HEAD", path) for method, path in rows if method == "GET"}
    assert found == rows
    sockets = [row.path for row in SPECIALS if row.kind == "websocket"]
    assert [route.path for route in routes if isinstance(route, WebSocketRoute)] == sockets


async def test_the_cluster_api_asks_what_its_document_says(tmp_path: Path) -> None:
    for allow in True, False:
        recorder = Recorder(allow=allow)
        folder = tmp_path / str(allow)
        await asyncio.to_thread(folder.mkdir)
        async with (
            running_api(folder, decider=recorder) as api,
            httpx.AsyncClient(base_url=api.url, timeout=30) as http,
        ):
            for endpoint in ordered(table.ENDPOINTS):
                token = api.token(f"of-{endpoint.id}", scopes=[endpoint.id])
                status = await call(http, endpoint, token)
                assert (status == 403) is not allow, endpoint.id
        assert wrong(table.ENDPOINTS, recorder.asked) == set()
