"""One setting, `hub.allowed_origins`, for sockets and every route of REST, on hubs and the cluster
API (attack 14)."""

from pathlib import Path

import httpx
import pytest
from starlette.routing import Route
from websockets.asyncio.client import connect

from actors.core.errors import ConfigError
from actors.core.settings import HubSettings
from tests.support.cluster.cluster_api import running_api
from tests.support.hub.hub import running_hub

WALL = "https://wall.example"
ASKS = {
    "origin": WALL,
    "access-control-request-method": "PUT",
    "access-control-request-headers": "authorization, content-type, if-match, idempotency-key",
}


async def test_attack_14_a_page_that_may_open_sockets_may_read_every_route(tmp_path: Path) -> None:
    async with running_hub(tmp_path, hub=HubSettings(port=0, allowed_origins=[WALL])) as hub:
        await hub.register("gate")
        async with connect(hub.url, origin=WALL, compression=None, proxy=None):  # type: ignore[arg-type]
            pass
        paths = {route.path for route in hub.hub.app.app.routes if isinstance(route, Route)}
        assert len(paths) > 20
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{hub.port}", timeout=30, trust_env=False
        ) as http:
            for path in sorted(paths):
                at = (
                    path.replace("{camera}", "gate")
                    .replace("{rest:path}", "x")
                    .replace("{path:path}", "x")
                    .replace("{", "")
                    .replace("}", "")
                )
                preflight = await http.options(at, headers=ASKS)
                assert (
                    preflight.status_code,
                    preflight.headers["access-control-allow-origin"],
                ) == (200, WALL), path
                evil = await http.options(at, headers=ASKS | {"origin": "https://evil.example"})
                assert "access-control-allow-origin" not in evil.headers, path
            token = {"authorization": f"Bearer {hub.token(roles=['admin'])}"}
            read = await http.get("/v1/cameras/gate", headers=token | {"origin": WALL})
            assert (read.status_code, read.headers["access-control-allow-origin"]) == (200, WALL)
            assert "etag" in read.headers["access-control-expose-headers"]
            refused = await http.get("/v1/cameras/gate", headers={"origin": WALL})
            assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (
                401,
                WALL,
            ), "errors can be read too"
            assert (
                "access-control-allow-origin"
                not in (
                    await http.get("/v1/cameras/gate", headers=token | {"origin": "null"})
                ).headers
            )


@pytest.mark.parametrize(
    "any_page",
    ["*", "null", "https://*.example", "https://wall.example/", "wall.example", "file://"],
)
async def test_attack_14_a_setting_that_names_any_page_is_refused(
    tmp_path: Path, any_page: str
) -> None:
    with pytest.raises(ConfigError, match="is no origin"):
        async with running_hub(tmp_path, hub=HubSettings(port=0, allowed_origins=[WALL, any_page])):
            pass
    with pytest.raises(ConfigError, match="is no origin"):
        async with running_api(tmp_path, hub=HubSettings(allowed_origins=[any_page])):
            pass


async def test_attack_14_the_cluster_api_goes_by_the_same_setting(tmp_path: Path) -> None:
    async with (
        running_api(tmp_path, hub=HubSettings(allowed_origins=[WALL])) as api,
        httpx.AsyncClient(timeout=30, trust_env=False) as http,
    ):
        for origin, welcome in ((WALL, WALL), ("https://evil.example", None)):
            for path in ("/v1/cluster", "/v1/cluster/nodes", "/health/live", "/nothing"):
                answer = await http.get(
                    f"http://127.0.0.1:{api.server.port}{path}", headers={"origin": origin}
                )
                assert answer.headers.get("access-control-allow-origin") == welcome, (origin, path)
