"""One POST of HTTP/1.1 with a bounded answer and a deadline; no redirects, no proxies."""

import asyncio
import contextlib
import ssl
from urllib.parse import urlsplit

import msgspec

from actors.core.errors import Unavailable
from edge.sources.bounded_xml import MAX_BYTES

MAX_HEADERS = 64
MAX_LINE = 8_192  # bytes


class DeviceAnswer(msgspec.Struct, frozen=True):
    """`body`: at most `MAX_BYTES` and one, which tells that there was more."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for key, value in self.headers if key == name]


async def post(
    address: str, headers: dict[str, str], body: bytes, tls: ssl.SSLContext | None, within_s: float
) -> DeviceAnswer:
    """The answer. Raises :class:`Unavailable`."""
    parts = urlsplit(address)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    lines = [
        f"POST {target(address)} HTTP/1.1",
        f"Host: {parts.netloc.rpartition('@')[2]}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(
                host, port, ssl=tls if secure else None, limit=MAX_LINE
            )
            try:
                writer.write("\r\n".join([*lines, "", ""]).encode("utf-8") + body)
                await writer.drain()
                return await _answer(reader)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError as error:
        raise Unavailable(f"{host}:{port} does not answer within {within_s:g} s") from error
    except (OSError, EOFError) as error:
        raise Unavailable(f"{host}:{port} cannot be reached: {error}"[:200]) from error
    except (ValueError, asyncio.LimitOverrunError) as error:
        raise Unavailable(f"{host}:{port} does not answer in HTTP: {error}"[:200]) from error


def target(address: str) -> str:
    """What stands in the request line."""
    parts = urlsplit(address)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


async def _answer(reader: asyncio.StreamReader) -> DeviceAnswer:
    while True:
        first = (await _line(reader)).split(None, 2)
        if len(first) < 2 or not first[0].startswith("HTTP/1.") or not first[1].isdigit():
            raise ValueError("no status line")
        headers = await _headers(reader)
        if first[1] != "100":
            break
    named = dict(headers)
    if named.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    elif "content-length" in named:
        size = int(named["content-length"])
        body = await _exactly(reader, size) if size <= MAX_BYTES else await _some(reader)
    else:
        body = await _some(reader)
    return DeviceAnswer(int(first[1]), headers, body)


async def _headers(reader: asyncio.StreamReader) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    while line := await _line(reader):
        name, _, value = line.partition(":")
        headers.append((name.strip().lower(), value.strip()))
        if len(headers) > MAX_HEADERS:
            raise ValueError("too many headers")
    return headers


async def _line(reader: asyncio.StreamReader) -> str:
    line = await reader.readuntil(b"\n")
    return line.decode("utf-8", "replace").rstrip("\r\n")


async def _exactly(reader: asyncio.StreamReader, size: int) -> bytes:
    if size < 0:
        raise ValueError("a negative length")
    return await reader.readexactly(size)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await _line(reader)).partition(";")[0], 16):
        if size < 0:
            raise ValueError("a negative length")
        body += await reader.readexactly(min(size, MAX_BYTES + 1 - len(body)))
        if len(body) > MAX_BYTES:
            return body
        await reader.readexactly(2)
    return body


async def _some(reader: asyncio.StreamReader) -> bytes:
    """To the end, or until it is too much."""
    parts: list[bytes] = []
    length = 0
    while length <= MAX_BYTES and (part := await reader.read(65_536)):
        parts.append(part)
        length += len(part)
    return b"".join(parts)[: MAX_BYTES + 1]
