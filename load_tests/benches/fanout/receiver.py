"""The one lean receiver of the fan-out bench: many sockets, one epoll, no decoding. It counts bytes
and samples latencies.

It runs in a process of its own; how far it is stands in a shared file (eight bytes, little endian),
so that the server under test can wait for it without a message per delivery.
"""

import base64
import mmap
import select
import socket
import time
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

STAMP = b'"t":"'
STAMP_DIGITS = 19  # monotonic nanoseconds, in every message once
SAMPLE_EVERY = 20  # sockets whose latencies are taken
CHUNK = 262_144
CONNECT_S = 60.0


class ReceiverPlan(msgspec.Struct, frozen=True):
    """How to connect: `path` empty for bare sockets; `hello` is sent as one text message (to a bare
    socket as it is), and the answer awaited that holds `answer`."""

    port: int
    clients: int
    path: str = ""
    hello: str = ""
    answer: bytes = b""


def receive(pipe: Connection, progress: str) -> None:
    """The process: gets a :class:`ReceiverPlan`, says ``connected``, then counts until ``report``
    (sends latencies in seconds) or ``end``."""
    with Path(progress).open("r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
        plan: ReceiverPlan = pipe.recv()
        sockets = [_connect(plan) for _ in range(plan.clients)]
        pipe.send("connected")
        _count(pipe, sockets, shared)
        for sock in sockets:
            sock.close()


def _count(pipe: Connection, sockets: list[socket.socket], shared: mmap.mmap) -> None:
    poll = select.epoll()
    poll.register(pipe.fileno(), select.EPOLLIN)
    by_fd = {sock.fileno(): sock for sock in sockets}
    sampled = {sock.fileno() for sock in sockets[::SAMPLE_EVERY]}
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    total = 0
    latencies: list[float] = []
    while True:
        for fd, _ in poll.poll():
            sock = by_fd.get(fd)
            if sock is None:
                order = pipe.recv()
                if order == "end":
                    return
                pipe.send(latencies)
                latencies = []
                continue
            size = sock.recv_into(buffer)
            if not size:
                poll.unregister(fd)
                continue
            total += size
            if (
                fd in sampled
                and (at := bytes(view[:size]).rfind(STAMP)) >= 0
                and at + len(STAMP) + STAMP_DIGITS <= size
            ):
                start = at + len(STAMP)
                latencies.append(
                    (time.monotonic_ns() - int(buffer[start : start + STAMP_DIGITS])) / 1e9
                )
        shared[:] = total.to_bytes(8, "little")


def _connect(plan: ReceiverPlan) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", plan.port), timeout=CONNECT_S)
    if plan.path:
        key = base64.b64encode(b"0123456789abcdef").decode()
        sock.sendall(
            f"GET {plan.path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: "
            f"Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        _read_until(sock, b"\r\n\r\n")
    if plan.hello:
        sock.sendall(_masked(plan.hello.encode()) if plan.path else plan.hello.encode())
        _read_until(sock, plan.answer)
    sock.setblocking(False)
    return sock


def _read_until(sock: socket.socket, mark: bytes) -> None:
    seen = b""
    while mark not in seen:
        chunk = sock.recv(CHUNK)
        if not chunk:
            raise ConnectionError(f"the server closed instead of answering: {seen[:200]!r}")
        seen += chunk


def _masked(payload: bytes) -> bytes:
    """A client's text frame; a mask of zeros leaves the payload as it is."""
    size = len(payload)
    head = (
        bytes((0x81, 0x80 | size)) if size < 126 else bytes((0x81, 0xFE)) + size.to_bytes(2, "big")
    )
    return head + bytes(4) + payload
