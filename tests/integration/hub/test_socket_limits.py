"""Traps of the libraries and hostile peers, each against a real hub: handshakes, frames, floods,
slow readers, slow writers.

The U-numbers are those of the reliability reference, section 0.3.
"""

import asyncio
import base64
import os
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from actors.core.settings import HubSettings
from hub.server import websocket_protocol
from hub.server.http_protocol import BoundedHttp
from tests.support.hub.hub import TestHub, running_hub
from tests.support.waiting import until

PATH = "/connection/websocket"


class Raw:
    """A TCP client that says exactly what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def handshake(self, *headers: str, path: str = PATH) -> str:
        """Ask for a websocket; the answer's head."""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            "Host: localhost",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            *headers,
            "",
            "",
        ]
        self.writer.write("\r\n".join(lines).encode())
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def frame(self) -> tuple[int, bytes]:
        """The next frame of the server: (first byte, payload)."""
        first, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first, await self.reader.readexactly(size)

    async def close_code(self, within_s: float = 5.0) -> int | None:
        """The code the server closes with; None when it just ends the connection."""
        async with asyncio.timeout(within_s):
            try:
                while True:
                    first, payload = await self.frame()
                    if first & 15 == 8:
                        return int(struct.unpack("!H", payload[:2])[0])
            except (asyncio.IncompleteReadError, ConnectionError):
                return None


def masked(first: int, payload: bytes, *, mask: bool = True, length: int | None = None) -> bytes:
    """A client's frame."""
    size = len(payload) if length is None else length
    bit = 0x80 if mask else 0
    head = bytes((first, bit | size)) if size < 126 else struct.pack("!BBH", first, bit | 126, size)
    key = b"\x01\x02\x03\x04"
    body = bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))
    return head + (key + body if mask else payload)


@asynccontextmanager
async def raw(hub: TestHub) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def ping_pong(hub: TestHub) -> None:
    """The hub still serves a well-behaved neighbour."""
    async with hub.dashboard() as dash:
        assert (await dash.ask("ping"))["ping"] == {}


async def test_check_20_an_empty_subprotocol_header_is_tolerated_and_a_known_one_chosen(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path) as hub:
        async with raw(hub) as client:
            answer = await client.handshake("Sec-WebSocket-Protocol: ")
            assert answer.startswith("HTTP/1.1 101")
        async with raw(hub) as client:
            answer = await client.handshake("Sec-WebSocket-Protocol: centrifuge-json")
            assert "sec-websocket-protocol: centrifuge-json" in answer.lower()
        async with raw(hub) as client:
            assert (await client.handshake("Sec-WebSocket-Protocol: soap")).startswith(
                "HTTP/1.1 400"
            )


async def test_deflate_is_never_negotiated(tmp_path: Path) -> None:  # U3
    async with running_hub(tmp_path) as hub, raw(hub) as client:
        answer = await client.handshake("Sec-WebSocket-Extensions: permessage-deflate")
        assert answer.startswith("HTTP/1.1 101")
        assert "extensions" not in answer.lower()


@pytest.mark.parametrize("path", [PATH, "/v1/edge"])
async def test_a_foreign_origin_is_refused_before_the_socket_is_accepted(
    tmp_path: Path, path: str
) -> None:  # U8
    async with running_hub(tmp_path) as hub:
        for origin in ("http://evil.example", "null", f"http://127.0.0.1:{hub.port}.evil.example"):
            async with raw(hub) as client:
                assert (await client.handshake(f"Origin: {origin}", path=path)).startswith(
                    "HTTP/1.1 403"
                )
        async with raw(hub) as client:
            own = f"Origin: http://127.0.0.1:{hub.port}"
            assert (await client.handshake(own, own, path=path)).startswith("HTTP/1.1 403")
        async with raw(hub) as client:
            assert (await client.handshake(f"Origin: http://localhost:{hub.port}")).startswith(
                "HTTP/1.1 101"
            )


async def test_silence_after_the_handshake_is_stale(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path, hub=HubSettings(port=0, first_message_s=0.3)) as hub,
        raw(hub) as client,
    ):
        await client.handshake()
        assert await client.close_code() == 3502
    async with (
        running_hub(tmp_path, hub=HubSettings(port=0, first_message_s=0.3)) as hub,
        raw(hub) as client,
    ):
        await client.handshake()
        client.writer.write(masked(0x01, b'{"id":1,'))  # a message that never ends
        assert await client.close_code() == 3502


async def test_a_message_beyond_the_limit_closes_with_1009(tmp_path: Path) -> None:  # U3
    async with running_hub(tmp_path, hub=HubSettings(port=0, max_message_bytes=2048)) as hub:
        async with raw(hub) as client:
            await client.handshake()
            client.writer.write(masked(0x81, b"x" * 2049))
            assert await client.close_code() == 1009
        async with raw(hub) as client:
            await client.handshake()
            for first in (0x01, 0x00, 0x00):  # fragments count together
                client.writer.write(masked(first, b"x" * 1000))
            assert await client.close_code() == 1009
        await ping_pong(hub)


FRAMES = {
    "unmasked": (masked(0x81, b"{}", mask=False), 1002),
    "reserved bit 1": (masked(0xC1, b"{}"), 1002),
    "reserved bit 2": (masked(0xA1, b"{}"), 1002),
    "reserved bit 3": (masked(0x91, b"{}"), 1002),
    "opcode 3": (masked(0x83, b""), 1002),
    "opcode 11": (masked(0x8B, b""), 1002),
    "long ping": (masked(0x89, b"x" * 126), 1002),
    "fragmented ping": (masked(0x09, b""), 1002),
    "long close": (masked(0x88, b"\x03\xe8" + b"x" * 124), 1002),
    "continuation first": (masked(0x80, b"{}"), 1002),
    "text inside a message": (masked(0x01, b"{") + masked(0x81, b"}"), 1002),
    "close code 1005": (masked(0x88, struct.pack("!H", 1005)), 1002),
    "close code 999": (masked(0x88, struct.pack("!H", 999)), 1002),
    "close of one byte": (masked(0x88, b"\x03"), 1002),
    "close reason not UTF-8": (masked(0x88, b"\x03\xe8\xff"), 1007),
    "text not UTF-8": (masked(0x81, b"\xff\xfe"), 1007),
    "text not UTF-8 over fragments": (masked(0x01, b"\xc3") + masked(0x80, b"\x28"), 1007),
    "not a command": (masked(0x81, b"[]"), 3501),
    "an empty message": (masked(0x81, b""), 3501),
    "a pong nobody asked for": (masked(0x81, b"{}"), 3501),
    "binary where JSON was agreed": (masked(0x82, b"\x00\x01"), 3501),
    "many empty fragments": (masked(0x01, b"") + masked(0x00, b"") * 200, 1002),
}


@pytest.mark.parametrize("name", FRAMES)
async def test_bad_frames_close_with_a_code_and_harm_nobody(
    tmp_path: Path, name: str
) -> None:  # U12
    frame, code = FRAMES[name]
    async with running_hub(tmp_path) as hub:
        async with raw(hub) as client:
            await client.handshake()
            client.writer.write(frame)
            found = await client.close_code()
            assert found in ((1002, 1008, 1009) if name == "many empty fragments" else (code,))
        await until(lambda: not hub.dashboards, what="the connection is forgotten")
        await ping_pong(hub)


async def test_a_ping_flood_is_closed(tmp_path: Path) -> None:  # U5
    async with running_hub(tmp_path) as hub:
        async with raw(hub) as client:
            await client.handshake()
            client.writer.write(masked(0x89, b"x" * 120) * 1000)
            assert await client.close_code() == 1008
        async with raw(hub) as client:
            await client.handshake()
            client.writer.write(masked(0x89, b"x"))
            assert await client.frame() == (0x8A, b"x")
        await ping_pong(hub)


async def reading_little(hub: TestHub) -> connect:
    """A client whose kernel takes little for it; no farewell is waited for."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", hub.port))
    return connect(hub.url, sock=sock, compression=None, max_queue=1, close_timeout=0.5)


async def test_a_reader_that_stalls_is_closed_with_its_bytes_bounded_and_forgotten(
    tmp_path: Path,
) -> None:  # U6
    settings = HubSettings(port=0, queue_bytes=65_536)
    async with running_hub(tmp_path, hub=settings) as hub:
        await hub.register("cam-1")
        await hub.happen("cam-1", 1)
        async with await reading_little(hub) as slow, hub.dashboard() as fast:
            await slow.send(
                f'{{"id":1,"connect":{{"token":"{hub.token("slow")}"}}}}\n{{"id":2,"subscribe":{{"channel":"events:fleet"}}}}'
            )
            await until(lambda: any(len(d.groups) for d in hub.dashboards), what="the subscription")
            slow.transport.pause_reading()
            await fast.ask("subscribe", channel="events:fleet")
            offset = 1
            while not hub.hub.node.fanout.stats.slow_closed:
                offset += 1
                await hub.happen("cam-1", offset, data={"text": "x" * 20_000})
                assert (await fast.publication())["data"]["offset"] == offset
                held = [d.outbox.bytes for d in hub.dashboards if d.outbox is not None]
                assert all(size <= settings.queue_bytes for size in held)
                assert offset < 2_000
            await until(lambda: len(hub.dashboards) == 1, what="the slow one is forgotten")
            await hub.happen("cam-1", offset + 1)
            assert (await fast.publication())["data"]["offset"] == offset + 1


async def test_a_stalled_live_reader_is_conflated_not_queued(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        await hub.show("cam-1", 1)
        async with await reading_little(hub) as slow:
            await slow.send(
                f'{{"id":1,"connect":{{"token":"{hub.token("slow")}"}}}}\n{{"id":2,"subscribe":{{"channel":"camera:cam-1"}}}}'
            )
            await until(
                lambda: (
                    "camera:cam-1" in hub.hub.node.topics
                    and hub.hub.node.topics["camera:cam-1"].groups
                ),
                what="it is there",
            )
            slow.transport.pause_reading()
            version = 1
            while hub.hub.node.fanout.stats.conflated < 20:
                version += 1
                await hub.show("cam-1", version, health={"text": "x" * 20_000})
                await asyncio.sleep(0)
                assert version < 3_000
            assert all(d.outbox is None or d.outbox.bytes == 0 for d in hub.dashboards)
            slow.transport.resume_reading()
            async with asyncio.timeout(30):
                while f'"version":{version}' not in str(await slow.recv()):
                    pass


async def test_a_peer_that_never_answers_the_close_is_aborted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_protocol, "CLOSE_S", 0.2)
    async with running_hub(tmp_path) as hub, raw(hub) as client:
        await client.handshake()
        client.writer.write(masked(0x81, b"[]"))
        first, payload = await client.frame()
        assert (first, struct.unpack("!H", payload[:2])[0]) == (0x88, 3501)
        async with asyncio.timeout(30):
            assert await client.reader.read() == b""


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST /v1/cameras/a/observations HTTP/1.1\r\nHost: localhost\r\n",
    ],
)
async def test_a_header_that_does_not_end_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:  # U1
    monkeypatch.setattr(BoundedHttp, "header_s", 0.4)
    async with running_hub(tmp_path) as hub, raw(hub) as client:
        began = time.monotonic()
        client.writer.write(start)
        answer = asyncio.create_task(client.reader.read())
        while not answer.done() and time.monotonic() - began < 30:
            if start:
                client.writer.write(b"a")  # a byte now and then is no excuse
            await asyncio.wait([answer], timeout=0.1)
        assert b"408" in await answer
        assert time.monotonic() - began < 20


async def test_a_body_that_does_not_end_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # U1
    monkeypatch.setattr(BoundedHttp, "body_s", 0.4)
    async with running_hub(tmp_path) as hub, raw(hub) as client:
        token = hub.token("edge", typ="edge", roles=["ingester"])
        head = (
            "POST /v1/cameras/a/observations HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
            f"100\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        client.writer.write(head.encode() + b'{"half":')
        async with asyncio.timeout(30):
            answer = await client.reader.read()
        assert b" 408 " in answer or answer == b"" or b" 50" in answer or b" 40" in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Big: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
        + b"".join(b"X-%d: 1\r\n" % n for n in range(5_000))
        + b"\r\n",
    ],
)
async def test_headers_are_bounded(tmp_path: Path, head: bytes) -> None:  # U2
    async with running_hub(tmp_path) as hub, raw(hub) as client:
        client.writer.write(head)
        async with asyncio.timeout(30):
            answer = await client.reader.read(12)
        assert answer in (b"HTTP/1.1 400", b"HTTP/1.1 431")
    async with running_hub(tmp_path) as hub, raw(hub) as client:
        upgrade = await client.handshake(*(head.decode().splitlines()[2:-1]))
        assert upgrade.startswith("HTTP/1.1 431")


@pytest.mark.parametrize(
    "headers",
    [
        "Host: a/b?x",
        "Host: a b",
        "Host: a\r\nHost: b",
        "Host: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked",
    ],
)
async def test_requests_that_two_parsers_may_read_differently_are_refused(
    tmp_path: Path, headers: str
) -> None:  # U11
    async with running_hub(tmp_path) as hub, raw(hub) as client:
        client.writer.write(
            f"GET /health/live HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n".encode()
        )
        async with asyncio.timeout(30):
            answer = await client.reader.read()
        assert answer.startswith(b"HTTP/1.1 400")


async def test_stopping_ends_even_with_connections_that_do_not(tmp_path: Path) -> None:  # U7
    async with running_hub(tmp_path) as hub:
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        client = Raw(reader, writer)
        await client.handshake()
        await until(lambda: hub.dashboards, what="a dashboard")
        began = time.monotonic()
        await hub.hub.stop(0.1)
        assert time.monotonic() - began < 20
        assert await client.close_code() == 3001
        writer.close()


async def test_a_draining_hub_sends_newcomers_away(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        hub.hub.node.connections.draining = True
        with pytest.raises(InvalidStatus) as refused:
            async with connect(hub.url):
                pass
        assert refused.value.response.status_code == 503
        assert int(refused.value.response.headers["Retry-After"]) >= 1


async def test_tokens_never_reach_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # U9
    async with running_hub(tmp_path) as hub:
        token = hub.token()
        async with connect(f"{hub.url}?token={token}") as socket:
            await socket.send("{}")
            with pytest.raises(ConnectionClosed):
                await socket.recv()
    assert token not in caplog.text
