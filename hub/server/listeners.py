"""The sockets a hub listens on: the shared public port, and a private one on loopback for health,
metrics and its canary.

Several hubs share the public port by SO_REUSEPORT. Any program of the same user that sets the
option could join, and Linux would hand it a part of our clients; so a port is probed before it is
shared.
"""

import asyncio
import errno
import socket
import ssl

import msgspec

from actors.core.errors import StartError
from hub.web.health import SERVICE, HubHealth

PROBE_S = 2.0
MAX_ANSWER = 65_536  # bytes read of a probed server's answer
BACKLOG = 2048


async def open_public(host: str, port: int, instance: str, *, tls: bool = False) -> socket.socket:
    """Listen on `host`:`port`, sharing it with hubs of the same `instance` only. Raises StartError
    that says who is in the way."""
    if port and _taken(host, port):
        found = await probe(host, port, tls=tls)
        if found is None or found.instance != instance:
            who = "another Eyrie" if found is not None else "another program"
            raise StartError(
                f"port {port} on {host} is in use by {who}",
                hint="Stop it, or set hub.port (EYRIE_HUB_PORT) to a free port.",
            )
    return _bind(host, port, share=True)


def open_alone(host: str, port: int, *, setting: str) -> socket.socket:
    """Listen on `host`:`port` and share it with nobody. Raises StartError that names `setting`,
    which says the port."""
    if port and _taken(host, port):
        variable = f"EYRIE_{setting.replace('.', '_').upper()}"
        raise StartError(
            f"port {port} on {host} is in use",
            hint=f"Stop who has it, or set {setting} ({variable}) to a free port.",
        )
    return _bind(host, port, share=False)


def open_private() -> socket.socket:
    """Listen on a free port of loopback."""
    return _bind("127.0.0.1", 0, share=False)


async def probe(host: str, port: int, *, tls: bool = False) -> HubHealth | None:
    """Who answers there, None when it is no hub. `host` may be a wildcard address. With `tls` it
    may show any certificate."""
    target = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    try:
        async with asyncio.timeout(PROBE_S):
            reader, writer = await asyncio.open_connection(
                target, port, ssl=_any_certificate() if tls else None
            )
            try:
                writer.write(
                    b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                )
                answer = await reader.read(MAX_ANSWER)
                while chunk := await reader.read(MAX_ANSWER):
                    answer += chunk
                    if len(answer) > MAX_ANSWER:
                        return None
            finally:
                writer.close()
        health = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2], type=HubHealth)
    except (OSError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return health if health.service == SERVICE else None


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _taken(host: str, port: int) -> bool:
    """Whether somebody listens there: an exclusive bind fails."""
    with socket.socket(_family(host), socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
            trial.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise StartError(
                f"cannot listen on {host}:{port}: {error.strerror}",
                hint="Mend hub.host and hub.port.",
            ) from error
    return False


def _bind(host: str, port: int, *, share: bool) -> socket.socket:
    sock = socket.socket(_family(host), socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise StartError(
            f"cannot listen on {host}:{port}: {error.strerror}", hint="Mend hub.host and hub.port."
        ) from error
    return sock


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
