"""What happens to one client, one read or one store harms no other: the hub's own loops go on."""

import asyncio
import socket
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from actors.core.settings import HubSettings
from hub.fanout import live_states
from hub.protocol.disconnects import INTERNAL_ERROR
from storage.ports.live import BrokerMessage
from storage.ports.registry import CameraRecord
from tests.support.hub.hub import running_hub
from tests.support.waiting import until


async def test_a_slow_reader_who_is_alone_in_its_group_is_closed_and_the_hub_goes_on(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path, hub=HubSettings(port=0, queue_bytes=65_536)) as hub:
        await hub.register("cam-1")
        await hub.happen("cam-1", 1)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", hub.port))
        async with connect(
            hub.url, sock=sock, compression=None, max_queue=1, close_timeout=0.5
        ) as slow:
            command = f'{{"id":1,"connect":{{"token":"{hub.token("slow")}"}}}}\n{{"id":2,"subscribe":{{"channel":"events:fleet"}}}}'  # noqa: E501
            await slow.send(command)
            await until(lambda: any(d.groups for d in hub.dashboards), what="the subscription")
            slow.transport.pause_reading()
            offset = 1
            while not hub.hub.node.fanout.stats.slow_closed:
                offset += 1
                await hub.happen("cam-1", offset, data={"text": "x" * 20_000})
                await asyncio.sleep(0)
                assert offset < 2_000
            await until(lambda: not hub.dashboards, what="the slow one is forgotten")
            async with hub.dashboard() as fast:
                await fast.ask("subscribe", channel="events:fleet")
                await hub.happen("cam-1", offset + 1)
                assert (await fast.publication())["data"]["offset"] == offset + 1
            assert hub.hub.node.tasks.failed == ""


async def test_history_of_a_site_leaves_out_the_cameras_that_policy_hides(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        await hub.register("cam-1")
        await hub.register("vault", tags=["restricted"])
        hub.policy.denied |= {("subscribe", "vault"), ("history", "vault")}
        await dash.ask("subscribe", channel="events:site:north")
        await hub.happen("vault", 1)
        await hub.happen("cam-1", 1)
        for asked in (
            {"limit": -1},
            {"limit": 10, "since": {"offset": 0, "epoch": ""}},
            {"limit": 10, "reverse": True},
        ):
            result = (await dash.ask("history", channel="events:site:north", **asked))["history"]
            assert [publication["data"]["camera"] for publication in result["publications"]] == [
                "cam-1"
            ], asked


async def test_an_error_nobody_foresaw_closes_the_one_it_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as unlucky, hub.dashboard() as other:
        await hub.register("cam-1")

        async def broken(camera: str) -> CameraRecord | None:
            raise ZeroDivisionError(camera)

        with monkeypatch.context() as patch:
            patch.setattr(hub.memory.registry, "camera", broken)
            await unlucky.socket.send('{"id":9,"subscribe":{"channel":"camera:cam-1"}}')
            async with asyncio.timeout(30):
                await unlucky.socket.wait_closed()
            assert unlucky.socket.close_code == INTERNAL_ERROR.code
        assert "subscribe" in await other.ask("subscribe", channel="camera:cam-1")


async def test_a_registry_that_hangs_does_not_keep_staleness_or_pings_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_states, "STALE_AFTER_S", 1.5)
    async with (
        running_hub(tmp_path, hub=HubSettings(port=0, ping_s=1.0)) as hub,
        hub.dashboard() as dash,
    ):
        await hub.register("cam-1")
        await hub.show("cam-1", 1)
        await dash.ask("subscribe", channel="fleet")

        async def hangs(site: str | None = None) -> list[CameraRecord]:
            await asyncio.Event().wait()
            return []

        monkeypatch.setattr(hub.hub.cameras, "cameras", hangs)
        seen = await dash.publication(within_s=30)
        assert seen["data"]["cameras"][0]["status"] == "stale"


async def test_a_hub_whose_reader_has_failed_says_so_and_asks_to_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        await hub.register("cam-1")
        await dash.ask("subscribe", channel="site:north")

        def broken(publication: BrokerMessage) -> None:
            raise ZeroDivisionError(publication.kind)

        monkeypatch.setattr(hub.hub.node.feed, "receive", broken)
        await hub.show("cam-1", 1)
        async with asyncio.timeout(30):
            await hub.hub.node.broken.wait()
        assert hub.hub.health.ready().reasons == ["task broker has failed"]
