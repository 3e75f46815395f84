"""What both ends of a link ask of their socket."""

import os
import socket
import struct
from typing import Any

from actors.core.errors import Forbidden

KEEPALIVE_S = 15  # seconds of rest after which the kernel asks whether the other machine is there
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: ucred of unix(7)


def secure(transport: Any, silent_s: float) -> None:
    """Check the peer of a Unix socket, and set the deadlines of TCP: what is not acknowledged for
    `silent_s` ends the connection. Raises Forbidden for a process of another user."""
    sock = transport.get_extra_info("socket")
    if sock.family == socket.AF_UNIX:
        told = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        uid = _CREDENTIALS.unpack(told)[1]
        if uid != os.geteuid():
            raise Forbidden(f"the peer is a process of user {uid}")
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silent_s * 1000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)
