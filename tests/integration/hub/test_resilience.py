"""A hub that is full, in a hurry, or on its way out: what dashboards are told, over real
sockets."""

import asyncio
import contextlib
import json
import socket
from collections import Counter
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from actors.core.settings import HubSettings
from hub.dashboards import connection_limits
from hub.dashboards.timed import canary
from tests.support.hub.hub import TestHub, running_hub
from tests.support.waiting import until


async def close_of(connection: ClientConnection) -> tuple[int, str]:
    """How the server ended it."""
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await connection.recv()
    return connection.close_code or 0, connection.close_reason or ""


async def refusal(hub: TestHub) -> tuple[int, int]:
    """The status and the Retry-After of a refused handshake."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(hub.url, compression=None):
            pass
    response = caught.value.response
    return response.status_code, int(response.headers["Retry-After"])


async def test_limits_of_address_and_rate_answer_503_and_say_when_to_come_back(
    tmp_path: Path,
) -> None:
    limited = HubSettings(port=0, max_connections_per_address=2)
    async with (
        running_hub(tmp_path, hub=limited) as hub,
        hub.dashboard(),
        hub.dashboard("") as second,
    ):
        status, after = await refusal(hub)
        assert (status, after >= 1) == (503, True)
        assert hub.hub.node.connections.admission.refused["address"] == 1
        await second.socket.close()
        await until(lambda: len(hub.dashboards) == 1, what="the end of the second")
        async with hub.dashboard() as third:
            assert third.connected["connect"]
    async with (
        running_hub(
            tmp_path, hub=HubSettings(port=0, connections_per_s=0.001, connections_burst=1)
        ) as hub,
        hub.dashboard(),
    ):
        assert (await refusal(hub))[0] == 503
        assert hub.hub.node.connections.admission.refused["rate"] == 1


async def test_too_many_connections_of_one_user_are_closed_with_3504(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path, hub=HubSettings(port=0, max_connections_per_user=1)) as hub,
        hub.dashboard() as first,
    ):
        assert first.connected["connect"]
        async with connect(hub.url, compression=None) as socket_of_second:
            await socket_of_second.send(json.dumps({"id": 1, "connect": {"token": hub.token()}}))
            assert (await close_of(socket_of_second))[0] == 3504
        async with hub.dashboard(hub.token("bob")) as other:
            assert other.connected["connect"]


async def test_a_stopping_hub_is_first_not_ready_then_closes_its_dashboards_in_batches(
    tmp_path: Path,
) -> None:
    count = 60
    async with running_hub(tmp_path, hub=HubSettings(port=0, drain_s=0.5)) as hub:
        opened = [await connect(hub.url, compression=None) for _ in range(count)]
        await until(lambda: len(hub.dashboards) == count, what="all dashboards")
        seen: list[tuple[float, bool]] = []
        loop = asyncio.get_running_loop()

        async def watch(connection: ClientConnection) -> tuple[int, str]:
            found = await close_of(connection)
            seen.append((loop.time(), hub.hub.health.ready().ready))
            return found

        watching = [asyncio.create_task(watch(connection)) for connection in opened]
        began = loop.time()
        stopping = asyncio.create_task(hub.hub.stop(5.0))
        await until(lambda: "draining" in hub.hub.health.ready().reasons, what="readiness is off")
        assert not seen, "readiness goes first"
        ends = await asyncio.gather(*watching)
        await stopping
        assert {code for code, _ in ends} == {3001}
        delays = Counter(reason.partition("reconnect_after_ms=")[2] for _, reason in ends)
        assert len(delays) > count // 2, "everybody has a delay of its own"
        assert {ready for _, ready in seen} == {False}
        pauses = len(list(connection_limits.batches(range(count), 0.5))) - 1
        assert pauses > 0
        last = max(at for at, _ in seen)
        assert last - began >= pauses * connection_limits.STEP_S - 0.01, "not all in one moment"
        assert hub.hub.node.connections.to_drain == count
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", hub.port)) != 0


async def test_the_canary_comes_back_and_a_silent_one_makes_the_hub_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "PERIOD_S", 0.05)
    monkeypatch.setattr(canary, "LATE_S", 0.5)
    async with running_hub(tmp_path) as hub:
        singer = hub.hub.canary
        await until(lambda: singer.trip_s > 0, what="the first song")
        assert hub.hub.health.ready().ready
        assert len(hub.dashboards) == 0, "it is no dashboard"
        hub.memory.publisher.faults.down.add("echo")
        await until(
            lambda: any("canary" in reason for reason in hub.hub.health.ready().reasons),
            what="the canary is missed",
        )
        hub.memory.publisher.faults.down.clear()
        await until(lambda: hub.hub.health.ready().ready, what="the canary is back")


async def test_metrics_tell_drops_recoveries_latencies_and_the_canary(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        await hub.register("gate")
        await hub.happen("gate", 1)
        await dash.ask("subscribe", channel="camera:gate")
        asked = {"channel": "events:camera:gate", "recover": True, "offset": 1, "epoch": "e1"}
        assert (await dash.ask("subscribe", **asked))["subscribe"]["recovered"]
        await dash.ask("unsubscribe", channel="events:camera:gate")
        assert not (await dash.ask("subscribe", **asked | {"epoch": "e0"}))["subscribe"].get(
            "recovered", False
        )
        await hub.show("gate", 1)
        await dash.publication()
        hub.hub.node.fanout.stats.drop("live", "slow", 3)
        text = await hub.metrics()
    for line in (
        'eyrie_hub_dropped_total{lane="live",reason="slow"} 3.0',
        'eyrie_hub_recoveries_total{lane="events",outcome="recovered"} 1.0',
        'eyrie_hub_recoveries_total{lane="events",outcome="epoch"} 1.0',
        'eyrie_hub_latency_seconds_count{lane="live",stage="capture_to_received"} 1.0',
        "eyrie_hub_drain_left 0.0",
        "eyrie_hub_canary_age_seconds ",
    ):
        assert line in text, line
    assert 'eyrie_hub_latency_seconds_count{lane="all",stage="hub_to_socket"}' in text


async def test_nobody_else_is_taken_for_the_canary(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        with pytest.raises(InvalidStatus) as caught:
            async with connect(hub.url, compression=None, origin=Origin("canary://" + "0" * 32)):
                pass
        assert caught.value.response.status_code == 403


async def test_a_canary_that_has_not_said_its_key_yet_is_counted_as_no_dashboard_either(
    tmp_path: Path,
) -> None:
    """It connects while the hub starts and after every loss: who counts dashboards then, or may
    open one, does not meet it."""
    async with running_hub(tmp_path, hub=HubSettings(port=0, max_connections_per_address=1)) as hub:
        private = f"ws://127.0.0.1:{hub.hub.private_port}/connection/websocket"
        async with connect(
            private, compression=None, origin=canary.origin(hub.hub.node.canary.key)
        ):
            assert "\neyrie_hub_dashboards 0.0\n" in await hub.metrics()
            async with hub.dashboard() as dash:
                assert dash.connected["connect"]
                assert "\neyrie_hub_dashboards 1.0\n" in await hub.metrics()
