"""One POST to a receiver that nobody trusts: resolved once, every address looked at, connected to
the one that was looked at, no redirect, no proxy, a bounded answer within a bounded time."""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import urlsplit

import h11
import msgspec

from connectors.sinks import guard
from connectors.sinks.guard import Network

MAX_ANSWER = 64 * 1024  # bytes of a body; one that is longer is cut off, and the connection ended
KEPT = 512  # of them
MAX_HEADERS = 32 * 1024  # bytes
READ = 16 * 1024

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Limits(msgspec.Struct, frozen=True):
    """Seconds: for all of it; to connect; for a name."""

    total_s: float = 15.0
    connect_s: float = 5.0
    resolve_s: float = 5.0


class HttpAnswer(msgspec.Struct, frozen=True):
    """`status` 0: there was none, and `detail` says why; else `detail` is the beginning of the
    body. `refused`: nothing was sent, it may not be."""

    status: int
    detail: str
    retry_after: str = ""
    refused: bool = False
    ms: int = 0


async def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a name, by the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class HttpClient:
    """`allowed`: what the operator listed. `trust`: certificates in place of the system's."""

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        limits: Limits | None = None,
        *,
        look_up: Resolve = resolve,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = tuple(allowed)
        self._limits = limits or Limits()
        self._look_up = look_up
        self._trust = trust or ssl.create_default_context()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Never raises for what a receiver does."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._limits.total_s):
                answer = await self._post(url, headers, body)
        except TimeoutError:
            answer = HttpAnswer(0, f"no answer within {self._limits.total_s:g} s")
        except _Refused as refused:
            answer = HttpAnswer(0, str(refused), refused=True)
        except (OSError, ssl.SSLError, h11.ProtocolError, EOFError) as error:
            answer = HttpAnswer(0, f"{type(error).__name__}: {error}"[:300])
        took = round((time.monotonic() - began) * 1000)
        return msgspec.structs.replace(answer, ms=took)

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        reader, writer = await self._connect(host, port, secure)
        try:
            given = {"host": parts.netloc, "content-length": str(len(body)), "connection": "close"}
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            return await _talk(reader, writer, target, {**given, **headers}, body)
        finally:
            writer.transport.abort()

    async def _connect(
        self, host: str, port: int, secure: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(self._limits.resolve_s):
            addresses = await self._look_up(host, port)
        for address in addresses:  # each: which one is taken must not be a matter of luck
            if (why := guard.refusal(address, self._allowed)) is not None:
                raise _Refused(f"{host}: {why}")
            if not secure and not guard.listed(address, self._allowed):
                raise _Refused(f"{host}: plain http is for receivers that the operator listed")
        error: OSError = OSError(f"{host} has no address")
        for address in addresses[:4]:
            try:
                async with asyncio.timeout(self._limits.connect_s):
                    return await asyncio.open_connection(
                        address,
                        port,
                        ssl=self._trust if secure else None,
                        server_hostname=host if secure else None,
                        limit=READ,
                    )
            except TimeoutError:
                error = OSError(f"{address} does not answer")
            except OSError as failed:
                error = failed
        raise error


async def _talk(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
) -> HttpAnswer:
    machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADERS)
    request = h11.Request(method="POST", target=target, headers=list(headers.items()))
    for event in (request, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(machine.send(event) or b"")
    await writer.drain()
    status, after, found = 0, "", b""
    while True:
        got = machine.next_event()
        if got is h11.NEED_DATA:
            machine.receive_data(await reader.read(READ))
        elif isinstance(got, h11.Response):
            status = got.status_code
            after = next((v.decode("latin-1") for k, v in got.headers if k == b"retry-after"), "")
        elif isinstance(got, h11.Data):
            found += got.data
            if len(found) > MAX_ANSWER:
                break
        elif isinstance(got, h11.EndOfMessage | h11.ConnectionClosed):
            break
    if not status:
        raise EOFError("the connection ended without an answer")
    return HttpAnswer(status, found[:KEPT].decode("utf-8", "replace"), after)


class _Refused(Exception):
    pass
