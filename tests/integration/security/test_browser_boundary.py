"""What stands between a hub and a hostile page in somebody's browser (checks 10, 11, 14, 15, 17,
18, 28)."""

import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from actors.core.settings import HubSettings
from hub.dashboards.connection import MAX_FIRST_BYTES
from tests.support.hub.hub import TestHub, running_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")

WALL = "https://wall.example:8443"
TOKEN = re.compile("eyJ[A-Za-z0-9_-]{8,}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestHub]:
    settings = HubSettings(port=0, allowed_origins=[WALL], first_message_s=0.5)
    async with running_hub(tmp_path_factory.mktemp("hub"), hub=settings) as running:
        await running.register("gate")
        yield running


def client(hub: TestHub, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{hub.port}", timeout=30, headers=headers, trust_env=False
    )


ORIGINS: dict[str, tuple[list[str], bool]] = {
    "the one that is allowed": ([WALL], True),
    "its scheme and host in capitals": (
        [WALL.replace("https", "HTTPS").replace("wall", "WALL")],
        True,
    ),
    "the console's own": (["http://127.0.0.1:{port}"], True),
    "none: no browser": ([], True),
    "another host": (["https://evil.example"], False),
    "a suffix": (["https://wall.example.evil.example:8443"], False),
    "a prefix": (["https://evil-wall.example:8443"], False),
    "another port": (["https://wall.example:8444"], False),
    "no port": (["https://wall.example"], False),
    "another scheme": (["http://wall.example:8443"], False),
    "null": (["null"], False),
    "two headers": ([WALL, WALL], False),
    "with a path": ([WALL + "/"], False),
    "with a user": (["https://wall.example:8443@evil.example"], False),
}


@pytest.mark.parametrize("path", ["/connection/websocket", "/v1/edge"])
@pytest.mark.parametrize("case", ORIGINS)
async def test_check_14_a_page_of_another_origin_is_refused(
    hub: TestHub, path: str, case: str
) -> None:
    origins, welcome = ORIGINS[case]
    headers = [("Origin", origin.replace("{port}", str(hub.port))) for origin in origins]
    subprotocols = ["eyrie.edge.v1+json"] if path == "/v1/edge" else None
    url = f"ws://127.0.0.1:{hub.port}{path}"
    status = 101
    try:
        async with connect(
            url,
            additional_headers=headers,
            subprotocols=subprotocols,  # type: ignore[arg-type]
            compression=None,
            proxy=None,
        ):
            pass
    except InvalidStatus as refused:
        status = refused.response.status_code
    assert status == (101 if welcome else 403)


async def test_check_15_a_cookie_is_no_credential_and_none_is_set(hub: TestHub) -> None:
    token = hub.token(roles=["admin"])
    cookies = "; ".join(
        f"{name}={token}"
        for name in ("token", "session", "authorization", "Authorization", "eyrie")
    )
    async with client(hub, cookie=cookies, origin=f"http://127.0.0.1:{hub.port}") as http:
        for path in ("/v1/cameras", "/v1/sites", "/v1/policy", "/v1/fleet/state", "/v1/audit"):
            answer = await http.get(path)
            assert answer.status_code == 401, path
            assert "set-cookie" not in answer.headers
        assert (
            await http.put("/v1/cameras/gate", json={"name": "taken"}, headers={"if-match": "*"})
        ).status_code == 401
        assert "set-cookie" not in (await http.get("/")).headers
    async with connect(
        hub.url, additional_headers={"cookie": cookies}, compression=None, proxy=None
    ) as socket:
        await socket.send(json.dumps({"id": 1, "connect": {}}))
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code in (3500, 3501)


async def test_check_17_no_origin_is_let_in_by_reflection(hub: TestHub) -> None:
    token = hub.token(roles=["admin", "privacy"])
    paths = [
        "/",
        "/v1/cameras",
        "/v1/policy",
        "/v1/audit",
        "/v1/nothing",
        "/health/live",
        "/v1/cameras/gate/state",
        "/connection/http_stream",
    ]
    for origin in ("https://evil.example", WALL + ".evil.example", WALL, "null"):
        welcome = WALL if origin == WALL else None
        async with client(hub, origin=origin, authorization=f"Bearer {token}") as http:
            for path in paths:
                for answer in (
                    await http.get(path),
                    await http.options(path, headers={"access-control-request-method": "PUT"}),
                ):
                    assert answer.headers.get("access-control-allow-origin") == welcome, (
                        origin,
                        path,
                    )
                    assert "access-control-allow-credentials" not in answer.headers
                    assert "origin" in answer.headers["vary"].lower()
            # The schemas, which are no secret, may be read by everybody, without credentials too.
            schemas = await http.get("/schemas/")
            assert schemas.headers["access-control-allow-origin"] == (welcome or "*")
            assert "access-control-allow-credentials" not in schemas.headers


async def test_check_18_every_answer_says_what_a_page_may_do(hub: TestHub) -> None:
    async with client(hub) as http:
        for path in (
            "/",
            "/v1/cameras",
            "/v1/nothing",
            "/health/ready",
            "/schemas/",
            "/index.html",
            "/v1/%00",
        ):
            headers = (await http.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self';" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert (
                headers["x-content-type-options"],
                headers["x-frame-options"],
                headers["referrer-policy"],
            ) == (
                "nosniff",
                "DENY",
                "no-referrer",
            )
        page = (await http.get("/")).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son[a-z]+=|<style|style=", page)


async def test_check_10_the_first_message_has_a_deadline_a_size_and_a_kind(hub: TestHub) -> None:
    async def closed(*messages: str) -> int:
        async with connect(hub.url, compression=None, proxy=None) as socket:
            for message in messages:
                await socket.send(message)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            return socket.close_code or 0

    assert await closed() == 3502, "nothing was said in first_message_s"
    for first in (
        '{"id":1,"subscribe":{"channel":"camera:gate"}}',
        '{"id":1,"ping":{}}',
        '{"id":1,"history":{"channel":"fleet"}}',
        "{}",
    ):
        assert await closed(first) in (3501, 3502, 3500), first
    assert await closed('{"id":1,"connect":{"token":"' + "x" * MAX_FIRST_BYTES + '"}}') == 3501
    assert MAX_FIRST_BYTES <= 16_384, "one token of 8 KiB, with room"
    # What stands behind a refused connect is never looked at.
    assert (
        await closed(
            '{"id":1,"connect":{"token":"x"}}\n{"id":2,"subscribe":{"channel":"camera:gate"}}'
        )
        == 3500
    )
    async with connect(
        f"ws://127.0.0.1:{hub.port}/v1/edge",
        subprotocols=["eyrie.edge.v1+json"],  # type: ignore[list-item]
        compression=None,
        proxy=None,
    ) as edge:
        await edge.wait_closed()
        assert edge.close_code == 4005


async def test_check_11_tokens_are_in_no_log_no_answer_and_no_address(
    hub: TestHub, caplog: pytest.LogCaptureFixture
) -> None:
    token, bad = hub.token(roles=["viewer"]), hub.token(now_s=1_000_000_000)
    with caplog.at_level(logging.DEBUG):
        async with client(hub) as http:
            answers = [
                await http.get("/v1/cameras", headers={"authorization": f"Bearer {one}"})
                for one in (token, bad, token + "x")
            ]
            answers += [
                await http.get(path, params={"token": token, "access_token": token})
                for path in ("/v1/cameras", "/", "/v1/x")
            ]
            answers.append(await http.get("/connection/sse", params={"cf_connect": "x" + token}))
        for one in (token, bad, token[:-3]):
            async with connect(f"{hub.url}?token={one}", compression=None, proxy=None) as socket:
                await socket.send(json.dumps({"id": 1, "connect": {"token": one}}))
                with contextlib.suppress(ConnectionClosed):
                    assert not TOKEN.search(str(await socket.recv()))
                assert not TOKEN.search(socket.close_reason or "")
    assert [answer.status_code for answer in answers[:4]] == [200, 401, 401, 401], (
        "no token is read from a query"
    )
    assert not any(
        TOKEN.search(answer.text) or TOKEN.search(str(answer.headers)) for answer in answers
    )
    ours = [
        record
        for record in caplog.records
        if not record.name.startswith(("httpx", "httpcore", "websockets.client"))
    ]
    assert not any(TOKEN.search(record.getMessage()) for record in ours)
    assert not TOKEN.search(await hub.metrics())


async def test_check_28_the_public_port_serves_nothing_of_the_cluster(hub: TestHub) -> None:
    token = hub.token(roles=["admin", "privacy", "operator"])
    async with client(hub, authorization=f"Bearer {token}") as http:
        for path in (
            "/v1/cluster",
            "/v1/cluster/",
            "/v1/cluster/nodes",
            "/v1/cluster/hubs",
            "/v1/cluster/operations",
            "/v1/nodes",
            "/v1/hubs",
        ):
            for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
                assert (await http.request(method, path, json={})).status_code == 404, (
                    method,
                    path,
                )
        assert (await http.get("/metrics")).status_code == 404
    routes = [route.path for route in hub.hub.app.app.routes if isinstance(route, Route)]
    assert not [path for path in routes if "cluster" in path]
