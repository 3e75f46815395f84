"""Two sites, and every id of the one tried by everybody of the other: the answer is the one for an
id that nobody has (check 22)."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.routing import Route
from websockets.asyncio.client import connect

from actors.core.messages.edge_protocol import SUBPROTOCOL_JSON
from actors.core.settings import RegistrySettings
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub import alert_routes
from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.real_policy import real_policy

SQUARE = {"points": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]}
LINE = {"points": [[0.5, 0.0], [0.5, 1.0]]}
ROLES = ("guest", "viewer", "operator", "admin", "privacy")

# What is there in the other site, in its place an id that nobody has, and one of the own site that
# shows the question can be answered.
THERE = {"camera": ("dock", "vault"), "site": ("south",), "letter": ("1", "2")}
NOWHERE = {"camera": "nobody", "site": "nowhere", "letter": "999"}
OWN = {"camera": "gate", "site": "north", "letter": "3"}

# Method, path with one id, body.
REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "/v1/sites/{site}", None),
    ("PUT", "/v1/sites/{site}", {}),
    ("DELETE", "/v1/sites/{site}", None),
    ("GET", "/v1/sites/{site}/state", None),
    ("GET", "/v1/sites/{site}/events", None),
    ("GET", "/v1/sites/{site}/counts", None),
    ("GET", "/v1/cameras/{camera}/counts", None),
    ("GET", "/v1/sites/{site}/alerts", None),
    ("GET", "/v1/cameras/{camera}/alerts", None),
    ("GET", "/v1/cameras/{camera}/alerts/{rule}", None),
    ("POST", "/v1/cameras/{camera}/alerts/{rule}/{act}", {"note": "a test"}),
    ("GET", "/v1/cameras?site={site}", None),
    ("POST", "/v1/cameras@{site}", None),
    ("GET", "/v1/cameras/{camera}", None),
    ("PUT", "/v1/cameras/{camera}", {}),
    ("DELETE", "/v1/cameras/{camera}", None),
    ("GET", "/v1/cameras/{camera}/state", None),
    ("GET", "/v1/cameras/{camera}/events", None),
    ("GET", "/v1/cameras/{camera}/events?epoch=e1&after=0", None),
    ("GET", "/v1/cameras/{camera}/scene", None),
    ("PUT", "/v1/cameras/{camera}/scene", {}),
    ("GET", "/v1/cameras/{camera}/scene/zones/{zone}", None),
    ("PUT", "/v1/cameras/{camera}/scene/zones/{zone}", SQUARE),
    ("DELETE", "/v1/cameras/{camera}/scene/zones/{zone}", None),
    ("GET", "/v1/cameras/{camera}/scene/lines/{line}", None),
    ("PUT", "/v1/cameras/{camera}/scene/lines/{line}", LINE),
    ("DELETE", "/v1/cameras/{camera}/scene/lines/{line}", None),
    ("POST", "/v1/cameras/{camera}/counts/reset", {}),
    ("POST", "/v1/cameras/{camera}/observations", {}),
    ("GET", "/v1/dead-letters?camera={camera}", None),
    ("GET", "/v1/dead-letters/{letter}", None),
    ("POST", "/v1/dead-letters/{letter}/replay", {}),
    ("POST", "/v1/dead-letters/{letter}/discard", {"reason": "a test"}),
]
CHANNELS = (
    "camera:{camera}",
    "events:camera:{camera}",
    "site:{site}",
    "events:site:{site}",
    "#{sub}",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestHub]:
    """North has a gate, south a dock and a restricted vault, each with a scene, a state, an event
    and a dead letter."""
    actor = FakeActor("actor-1")
    registry = RegistrySettings(auto_register=False)
    async with running_hub(
        tmp_path_factory.mktemp("hub"),
        directory=FakeDirectory(lambda name: actor),
        decider=real_policy(),
        registry=registry,
    ) as running:
        scene = json.dumps({"zones": {"door": SQUARE}, "lines": {"entry": LINE}}).encode()
        await running.register("gate", site="north", scene=scene)
        await running.register("dock", site="south", scene=scene)
        await running.register("vault", site="south", scene=scene, tags=["restricted"])
        for camera in ("dock", "vault", "gate"):
            site = "north" if camera == "gate" else "south"
            await running.show(camera, 1, site=site)
            await running.happen(camera, 1, site=site)
            alert_routes.raise_alert(running, camera, site=site)
            await running.memory.dead_letters.add(
                camera, "s1", "bad_input", "why", b"{}", 1_790_000_000_000_000
            )
        yield running


def client(hub: TestHub, token: str) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {token}", "if-match": "*"}
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", timeout=30, headers=headers)


def ids_of(path: str) -> str:
    (kind,) = {kind for kind in THERE if f"{{{kind}}}" in path}
    return kind


async def shape(
    http: httpx.AsyncClient, method: str, path: str, body: Any, value: str
) -> tuple[Any, ...]:
    """Everything a client can tell of the answer, with the id taken out."""
    kind = ids_of(path)
    if "@" in path:
        path, body = "/v1/cameras", {"camera": "fresh", "site": value}
    url = path.replace(f"{{{kind}}}", value)
    for name, own in {"zone": "door", "line": "entry", **alert_routes.NAMES}.items():
        url = url.replace(f"{{{name}}}", own)
    answer = await http.request(method, url, json=body)
    headers = {
        name: text
        for name, text in answer.headers.items()
        if name not in ("date", "content-length")
    }
    return answer.status_code, re.sub(rf"\b{re.escape(value)}\b", "ID", answer.text), headers


@pytest.mark.asyncio(loop_scope="module")
async def test_check_22_the_sweep_knows_every_route_with_an_id(hub: TestHub) -> None:
    routes = [route for route in hub.hub.app.app.routes if isinstance(route, Route)]
    with_ids = {
        (method, route.path)
        for route in routes
        if re.search(r"\{(camera|site|letter)\}", route.path)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert len(with_ids) > 20
    assert with_ids - {(method, path.partition("?")[0]) for method, path, _ in REQUESTS} == set()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("role", "cameras"), [*((role, None) for role in ROLES), ("operator", ["gate"])]
)
async def test_check_22_another_sites_ids_are_answered_as_ids_that_nobody_has(
    hub: TestHub, role: str, cameras: list[str] | None
) -> None:
    before = repr(
        (hub.memory.database.cameras, hub.memory.database.sites, hub.memory.database.dead_letters)
    )
    async with client(
        hub, hub.token("ada", roles=[role], sites=["north"], cameras=cameras)
    ) as http:
        for method, path, body in REQUESTS:
            kind = ids_of(path)
            nobody = await shape(http, method, path, body, NOWHERE[kind])
            for value in THERE[kind]:
                assert await shape(http, method, path, body, value) == nobody, (method, path, value)
            if "?" not in path or "after=" in path:
                assert nobody[0] in ((401,) if path.endswith("/observations") else (403,)), (
                    method,
                    path,
                    nobody,
                )
    after = repr(
        (hub.memory.database.cameras, hub.memory.database.sites, hub.memory.database.dead_letters)
    )
    assert after == before


@pytest.mark.asyncio(loop_scope="module")
async def test_check_22_who_sees_every_site_is_not_told_of_a_restricted_camera(
    hub: TestHub,
) -> None:
    async with client(hub, hub.token("ada", roles=["admin", "operator"], sites=["*"])) as http:
        for method, path, body in REQUESTS:
            if "{camera}" in path and not path.endswith("/observations"):
                nobody = await shape(http, method, path, body, "nobody")
                assert await shape(http, method, path, body, "vault") == nobody, (method, path)
        for method, path, body in REQUESTS:
            if "{letter}" in path:
                assert await shape(http, method, path, body, "2") == await shape(
                    http, method, path, body, "999"
                )


@pytest.mark.asyncio(loop_scope="module")
async def test_check_22_lists_hold_nothing_of_another_site(hub: TestHub) -> None:
    async with client(
        hub, hub.token("ada", roles=["admin", "operator", "privacy"], sites=["north"])
    ) as http:
        for path in ("/v1/cameras", "/v1/sites", "/v1/dead-letters"):
            answer = await http.get(path)
            assert answer.status_code == 200
            assert not re.search("dock|vault|south", answer.text), path
        for path in ("/v1/fleet/state", "/v1/fleet/events"):
            assert (await http.get(path)).status_code == 403


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("role", ROLES)
async def test_check_22_channels_of_another_site_are_answered_as_channels_that_nobody_has(
    hub: TestHub, role: str
) -> None:
    async with hub.dashboard(hub.token("ada", roles=[role], sites=["north"])) as dash:
        for channel in CHANNELS:
            kind = next((kind for kind in THERE if f"{{{kind}}}" in channel), "sub")
            there, nowhere = (THERE[kind], NOWHERE[kind]) if kind != "sub" else (("ben",), "nobody")
            for method in ("subscribe", "history"):
                unknown = await dash.ask(method, channel=channel.replace(f"{{{kind}}}", nowhere))
                assert unknown["error"]["code"] in (103, 108), (method, channel)
                for value in there:
                    known = await dash.ask(method, channel=channel.replace(f"{{{kind}}}", value))
                    assert known["error"] == unknown["error"], (method, channel, value)
        assert dash.pushes == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("cameras", [None, ["gate"]], ids=["site", "camera"])
async def test_check_32_an_edge_is_answered_about_another_sites_camera_as_about_none(
    hub: TestHub, cameras: list[str] | None
) -> None:
    token = hub.token("box", typ="edge", roles=["edge"], sites=["north"], cameras=cameras)
    url = f"ws://127.0.0.1:{hub.port}/v1/edge"
    told = []
    for camera in ("nobody", "dock", "vault"):
        headers = {"authorization": f"Bearer {token}"}
        async with connect(
            url,
            subprotocols=[SUBPROTOCOL_JSON],  # type: ignore[list-item]
            additional_headers=headers,
            compression=None,
            proxy=None,
        ) as socket:
            await socket.send(json.dumps({"type": "hello", "camera": camera, "session": "s1"}))
            bye = (await socket.recv()).replace(camera, "ID")  # type: ignore[arg-type]
            await socket.wait_closed()
            told.append((bye, socket.close_code, (socket.close_reason or "").replace(camera, "ID")))
    assert told[0] == told[1] == told[2]
    assert told[0][1] == 4503
    async with client(hub, token) as http:
        path, body = (
            "/v1/cameras/{camera}/observations",
            {"session": "s1", "first_seq": 1, "observations": []},
        )
        nobody = await shape(http, "POST", path, body, "nobody")
        assert nobody[0] == 403
        for camera in ("dock", "vault"):
            assert await shape(http, "POST", path, body, camera) == nobody


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_denied_is_still_allowed_at_home(hub: TestHub) -> None:
    """The sweep would pass on a hub that refuses everything."""
    async with client(hub, hub.token("ada", roles=["admin", "operator"], sites=["north"])) as http:
        for method, path, body in REQUESTS:
            if method == "GET":
                found = await shape(http, method, path, body, OWN[ids_of(path)])
                assert found[0] == 200, (path, found)
