"""SSE and HTTP streaming: the same session, over answers that never end and requests of their own,
through one hub and through two."""

import asyncio
import gc
import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.core.settings import HubSettings
from hub.protocol.stream_codecs import PROTOBUF_STREAM
from hub.server.http_protocol import BoundedHttp
from tests.support.doubles.stores import memory_stores
from tests.support.hub.hub import running_hub
from tests.support.hub.stream_client import TRANSPORTS, stream
from tests.support.waiting import until


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_dashboard_lives_on_a_stream_and_requests(tmp_path: Path, transport: str) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        await hub.show("cam-1", 7)
        for offset in (1, 2, 3):
            await hub.happen("cam-1", offset)
        async with stream(hub, transport) as dash:
            assert dash.connected["session"] != dash.connected["client"]
            reply = (await dash.ask("subscribe", channel="camera:cam-1"))["subscribe"]
            assert (reply["offset"], reply["publications"][0]["data"]["version"]) == (7, 7)
            await hub.show("cam-1", 8)
            pushed = await dash.until(
                lambda message: message.get("push", {}).get("channel") == "camera:cam-1"
            )
            assert pushed["push"]["pub"]["offset"] == 8
            since: dict[str, Any] = {"recover": True, "epoch": "e1", "offset": 1}
            recovered = (await dash.ask("subscribe", channel="events:camera:cam-1", **since))[
                "subscribe"
            ]
            assert recovered["recovered"]
            assert [pub["offset"] for pub in recovered["publications"]] == [2, 3]
        await until(lambda: not hub.dashboards, what="the hub forgetting a client that went")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_commands_reach_the_stream_through_another_hub(
    tmp_path: Path, transport: str
) -> None:
    memory = memory_stores()
    async with (
        running_hub(tmp_path, memory=memory, name="hub-a") as first,
        running_hub(tmp_path, memory=memory, name="hub-b") as second,
        stream(first, transport) as dash,
    ):
        await first.register("cam-1")
        await first.show("cam-1", 7)
        await until(
            lambda: all(broker.name for broker in memory.redis.brokers),
            what="both canaries singing",
        )
        reply = await dash.ask("subscribe", second.port, channel="camera:cam-1")
        assert reply["subscribe"]["offset"] == 7
        assert await dash.post("{}", second.port, node="hub-z") == 404


async def test_strangers_cannot_make_redis_busy_through_a_hub(tmp_path: Path) -> None:
    memory = memory_stores()
    async with (
        running_hub(tmp_path, memory=memory, name="hub-a") as first,
        running_hub(tmp_path, memory=memory, name="hub-b") as second,
        stream(first, "sse-post") as dash,
    ):
        await until(
            lambda: all(broker.name for broker in memory.redis.brokers),
            what="both canaries singing",
        )
        session = dash.connected["session"]
        for guess in (
            "s",
            "ä" * 32,
            session[:-1] + ("0" if session[-1] != "0" else "1"),
            session[:32],
            "0" * 32 + session[32:],
        ):
            assert await dash.post("{}", second.port, session=guess) == 404
        assert await dash.post("{}", second.port, node="hub-c") == 404, (
            "it is sealed for the hub that gave it out"
        )
        assert await dash.post("{}", second.port) == 204


async def test_protobuf_on_http_streaming(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path) as hub,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", timeout=30) as http,
    ):
        connect = bytes([8, 1, 34]) + _field(
            1, hub.token().encode()
        )  # Command{id: 1, connect: ConnectRequest{token}}
        content = PROTOBUF_STREAM.delimited([connect])
        headers = {"content-type": "application/octet-stream"}
        async with http.stream(
            "POST", "/connection/http_stream", content=content, headers=headers
        ) as answer:
            assert answer.headers["content-type"] == "application/octet-stream"
            first = await anext(answer.aiter_raw())
            assert first[1:3] == bytes([8, 1])  # after its length: Reply{id: 1
            assert b"hub-test" in first


def _field(number: int, value: bytes) -> bytes:
    """A message of one bytes field, after its length."""
    message = PROTOBUF_STREAM.delimited([value])
    return PROTOBUF_STREAM.delimited([bytes([number << 3 | 2]) + message])


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_end_is_told_as_a_push(tmp_path: Path, transport: str) -> None:
    async with running_hub(tmp_path) as hub:
        async with stream(hub, transport) as dash:
            next(iter(hub.dashboards)).drop(_close(4321, "go"))
            assert (await dash.message())["push"]["disconnect"] == {"code": 4321, "reason": "go"}
            with pytest.raises(StopAsyncIteration):
                await dash.message()
        async with stream(hub, transport, token="nonsense") as refused:
            assert refused.connected == {}
        async with stream(hub, transport) as dash:
            await dash.post("not json")
            assert (await dash.message())["push"]["disconnect"]["code"] == 3501


def _close(code: int, reason: str) -> Any:
    from hub.protocol.disconnects import CloseCode

    return CloseCode(code, reason)


async def test_pings_are_answered_by_requests_and_silence_ends_the_stream(tmp_path: Path) -> None:
    settings = HubSettings(port=0, ping_s=0.4, pong_s=0.3)
    async with running_hub(tmp_path, hub=settings) as hub, stream(hub, "sse-get") as dash:
        for _ in range(3):
            assert await dash.until(lambda message: not message) == {}
            assert await dash.post("{}") == 204
        assert (await dash.until(lambda message: "push" in message))["push"]["disconnect"][
            "code"
        ] == 3012


@pytest.mark.parametrize("path", ["/connection/sse", "/connection/http_stream", "/emulation"])
async def test_pages_of_other_origins_stay_outside(tmp_path: Path, path: str) -> None:
    settings = HubSettings(port=0, allowed_origins=["https://wall.example"])
    async with (
        running_hub(tmp_path, hub=settings) as hub,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", timeout=30) as http,
    ):
        evil, good = {"origin": "https://evil.example"}, {"origin": "https://wall.example"}
        assert (await http.post(path, content=b"{}", headers=evil)).status_code == 403
        asks = {
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        }
        assert (
            "access-control-allow-origin"
            not in (await http.options(path, headers=evil | asks)).headers
        )
        preflight = await http.options(path, headers=good | asks)
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (
            200,
            "https://wall.example",
        )


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/connection/sse", b"x" * 20_000, 400),
        ("/connection/http_stream", b"x" * 20_000, 400),
        ("/connection/http_stream", b"", 400),
        ("/emulation", b"x" * 200_000, 400),
        ("/emulation", b"{", 400),
        ("/emulation", b'{"session":"s","data":5}', 400),
        ("/emulation", b'{"session":"nobody","data":"{}"}', 404),
    ],
)
async def test_bad_requests_are_answered(
    tmp_path: Path, path: str, content: bytes, status: int
) -> None:
    async with (
        running_hub(tmp_path) as hub,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", timeout=30) as http,
    ):
        assert (await http.post(path, content=content)).status_code == status
        assert hub.dashboards == {}


async def test_a_reader_that_stalls_is_conflated_and_harms_nobody(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, stream(hub, "http_stream") as well:
        await hub.register("cam-1")
        await hub.show("cam-1", 1)
        await well.ask("subscribe", channel="camera:cam-1")
        command = json.dumps({"id": 1, "connect": {"token": hub.token("eve")}}).encode()
        stalled = socket.create_connection(("127.0.0.1", hub.port))
        head = (
            "POST /connection/http_stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
            f"{len(command)}\r\n\r\n"
        )
        stalled.sendall(head.encode() + command)
        answer = b""
        while b'"session":"' not in answer:
            answer += await asyncio.to_thread(stalled.recv, 65_536)
        session = answer.split(b'"session":"')[1].split(b'"')[0].decode()
        assert (
            await well.post('{"id":2,"subscribe":{"channel":"camera:cam-1"}}', session=session)
            == 204
        )
        version = 1
        async with asyncio.timeout(60):
            while not hub.hub.node.fanout.stats.conflated:
                version += 1
                await hub.show("cam-1", version, tracks=[], health={"filler": "x" * 20_000})
                shown = await well.until(lambda message: "push" in message)
                assert shown["push"]["pub"]["offset"] <= version
        stalled.close()


async def test_a_websocket_keeps_nothing_of_the_request_it_came_from(tmp_path: Path) -> None:
    """Its HTTP protocol would cost as much memory as the whole of an idle dashboard."""
    async with running_hub(tmp_path) as hub, hub.dashboard():
        gc.collect()
        kept = [
            found
            for found in gc.get_objects()
            if isinstance(found, BoundedHttp) and found.taken is None and found.cycle is None
        ]
        assert kept == []
