"""A dashboard of SSE or HTTP streaming in plain JSON: an answer that never ends, and commands on
requests of their own."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.hub.hub import PLAIN, TestHub

TRANSPORTS = ["sse-get", "sse-post", "http_stream"]


class Stream:
    """A client of one transport, in plain JSON."""

    def __init__(self, http: httpx.AsyncClient, lines: AsyncIterator[str]) -> None:
        self.http = http
        self.lines = lines
        self.connected: dict[str, Any] = {}
        self.pushes: list[dict[str, Any]] = []
        self._id = 1

    async def message(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(30):
            while not (line := (await anext(self.lines)).removeprefix("data: ")):
                pass
        found = dict(json.loads(line))
        if "push" in found:
            self.pushes.append(found["push"])
        return found

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next message of a kind."""
        while not wanted(message := await self.message()):
            pass
        return message

    async def post(self, data: str, port: int | None = None, **changes: Any) -> int:
        """Send commands on a request of their own; its status."""
        asked = {
            "session": self.connected["session"],
            "node": self.connected["node"],
            "data": data,
        } | changes
        base = f"http://127.0.0.1:{port}" if port else ""
        return (await self.http.post(f"{base}/emulation", json=asked)).status_code

    async def ask(self, method: str, port: int | None = None, **fields: Any) -> dict[str, Any]:
        """A command and its reply."""
        self._id += 1
        wanted = self._id
        assert await self.post(json.dumps({"id": wanted, method: fields}), port) == 204
        return await self.until(lambda message: message.get("id") == wanted)


@asynccontextmanager
async def stream(hub: TestHub, transport: str, token: str | None = None) -> AsyncIterator[Stream]:
    """A client of one of :data:`TRANSPORTS`, connected where the token is good."""
    command = json.dumps({"id": 1, "connect": {"token": token or hub.token()}})
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{hub.port}", verify=PLAIN, timeout=30
    ) as http:
        asked = {
            "sse-get": lambda: http.stream(
                "GET", "/connection/sse", params={"cf_connect": command}
            ),
            "sse-post": lambda: http.stream("POST", "/connection/sse", content=command),
            "http_stream": lambda: http.stream("POST", "/connection/http_stream", content=command),
        }[transport]()
        async with asked as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"] == (
                "application/json" if transport == "http_stream" else "text/event-stream"
            )
            made = Stream(http, answer.aiter_lines())
            made.connected = (await made.message()).get("connect", {})
            yield made
