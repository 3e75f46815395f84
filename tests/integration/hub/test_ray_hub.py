"""The hub as a Ray actor: over real servers and a real policy actor, it serves, says so, and ends
in order."""

import asyncio
import json
import secrets
import time
from pathlib import Path

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from actors.core.settings import HubSettings, Settings
from hub import ray_hub
from policy.actor import ray_policy
from policy.identity.tokens import issue
from storage.process.settings_files import write_resolved
from storage.stores import open_stores
from tests.support.servers.ray_head import local_ray
from tests.support.servers.store_fixtures import Servers, wipe
from tests.support.tokens import auth_settings

pytestmark = pytest.mark.ray

NAMESPACE = "hubtest"


async def _serve(servers: Servers, folder: Path) -> None:
    auth = auth_settings(folder)
    plain: Settings = msgspec.structs.replace(servers.settings, auth=auth, hub=HubSettings(port=0))
    token_file = folder / "ray-token"  # what Ray itself makes at home may be read by others
    token_file.touch(0o600)
    token_file.write_text(secrets.token_hex(32), encoding="ascii")
    ray_settings = msgspec.structs.replace(
        plain.ray, namespace=NAMESPACE, token_file=str(token_file)
    )
    settings = msgspec.structs.replace(plain, ray=ray_settings)
    path = folder / "settings.json"
    write_resolved(path, settings)
    await wipe(settings)
    stores = await open_stores(settings, name="test")
    await stores.registry.register("cam-1", "north")
    policy = ray_policy.start(str(path), 0, namespace=NAMESPACE)
    await policy.open(60)
    hub = ray_hub.start(str(path), 0, namespace=NAMESPACE)
    try:
        found = await hub.open(60)
        assert found["ready"] or found["reasons"] == ["Redis is not heard"]
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{found['private_port']}", timeout=30
        ) as http:
            deadline = time.monotonic() + 30
            while (ready := await http.get("/health/ready")).status_code != 200:
                assert time.monotonic() < deadline, ready.text
                await asyncio.sleep(0.05)
            assert "\neyrie_hub_dashboards 0.0\n" in (await http.get("/metrics")).text
        assert [record.port for record in await stores.hubs.all()] == [found["port"]]
        token = issue(
            auth,
            sub="ada",
            typ="user",
            jti="t1",
            now_s=time.time(),
            roles=["viewer"],
            sites=["north"],
        )
        async with connect(
            f"ws://127.0.0.1:{found['port']}/connection/websocket", compression=None
        ) as socket:
            await socket.send(json.dumps({"id": 1, "connect": {"token": token}}))
            assert json.loads(await socket.recv())["connect"]["client"]
            await socket.send(
                '{"id":2,"subscribe":{"channel":"site:north"}}\n{"id":3,"subscribe":{"channel":"fleet"}}'
            )
            wall = json.loads(await socket.recv())["subscribe"]["publications"][0]["data"]
            assert [camera["reason"] for camera in wall["cameras"]] == ["never_seen"]
            assert json.loads(await socket.recv())["error"]["code"] == 103
            assert await hub.stop(20.0)
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 3001
        assert await stores.hubs.all() == []
    finally:
        hub.kill()
        policy.kill()
        await stores.close()


def test_a_hub_serves_as_a_ray_actor(servers: Servers, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with local_ray(NAMESPACE):
        asyncio.run(_serve(servers, tmp_path))
