"""An HTTP receiver on loopback that does what a script says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True)
class Request:
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Of the event."""
        told = self.headers.get("ce-id")
        return told or str(msgspec.json.decode(self.body)["id"])

    @property
    def camera(self) -> str:
        return self.id.split("/")[0]


# What to do: a status with headers, or a word
Action = int | tuple[int, dict[str, str]] | str
Script = Callable[[Request], Action]


@dataclass
class Receiver:
    """`taken` those answered with 2xx, in that order; `seen` all of them. Words: ``reset`` (no
    answer), ``hang`` (none for ever), ``flood`` (200 and a body without end), ``drip``."""

    script: Script
    url: str = ""
    seen: list[Request] = field(default_factory=list)
    taken: list[Request] = field(default_factory=list)
    at_once: dict[str, int] = field(default_factory=dict)
    most_at_once: int = 0
    serving: set[asyncio.Task[Any]] = field(default_factory=set)

    def ids(self) -> dict[str, list[str]]:
        """What was taken: camera → ids, each where it came first."""
        found: dict[str, list[str]] = {}
        for request in self.taken:
            of_camera = found.setdefault(request.camera, [])
            if request.id not in of_camera:
                of_camera.append(request.id)
        return found

    def documents(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(one.body) for one in self.taken]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self.serving.add(task)
            task.add_done_callback(self.serving.discard)
        try:
            request = await _read(reader)
            self.seen.append(request)
            camera = request.camera
            self.at_once[camera] = self.at_once.get(camera, 0) + 1
            self.most_at_once = max(self.most_at_once, self.at_once[camera])
            try:
                await self._act(request, writer)
            finally:
                self.at_once[camera] -= 1
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        finally:
            writer.transport.abort()

    async def _act(self, request: Request, writer: asyncio.StreamWriter) -> None:
        action = self.script(request)
        if action == "reset":
            return
        if action == "hang":
            await asyncio.sleep(3_600)
        if isinstance(action, str):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
            if action == "flood":
                self.taken.append(request)
            while action == "flood":
                writer.write(b"x" * 65_536)
                await writer.drain()
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        status, extra = action if isinstance(action, tuple) else (action, {})
        if 200 <= status < 300:
            self.taken.append(request)
        head = "".join(f"{name}: {value}\r\n" for name, value in extra.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{head}connection: close\r\n\r\nok".encode())
        await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:]
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head if line)
    }
    return Request(headers, await reader.readexactly(int(headers["content-length"])))


@contextlib.asynccontextmanager
async def receiving(script: Script) -> AsyncIterator[Receiver]:
    """One on a port of the system's choice."""
    receiver = Receiver(script)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in"
    try:
        yield receiver
    finally:
        server.close()
        for task in receiver.serving:
            task.cancel()
        await asyncio.gather(*receiver.serving, return_exceptions=True)
        await server.wait_closed()
