"""A small dashboard: the Centrifuge client protocol in JSON over a websocket, for the command line
(design section 7).

One text frame carries one or more messages, one a line; an empty object is a ping and is answered
with one (https://centrifugal.dev/docs/transports/client_protocol).
"""

import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from actors.core.errors import (
    BadInput,
    Expired,
    EyrieError,
    Forbidden,
    NotFound,
    Unauthorized,
    Unavailable,
)

OPEN_TIMEOUT_S = 10.0
MAX_FRAME_BYTES = 4 * 1024 * 1024

_ERRORS: dict[int, type[EyrieError]] = {
    101: Unauthorized,
    102: NotFound,
    103: Forbidden,
    107: BadInput,
    109: Expired,
}


class ReceivedPublication(msgspec.Struct, frozen=True):
    """One publication; `initial` when it came with the subscribe reply. `data` is the decoded
    JSON."""

    channel: str
    data: Any
    offset: int = 0
    initial: bool = False


async def publications(
    url: str, token: str, channels: Sequence[str], tls: ssl.SSLContext | None = None
) -> AsyncIterator[ReceivedPublication]:
    """Connect, subscribe to `channels`, and yield what is published until the hub closes. `tls`:
    whom to trust (None: as the system does).

    Raises the error of the family that the hub's answer means; Unavailable when the connection
    cannot be had or breaks.
    """
    try:
        async with connect(
            url,
            ssl=tls,
            compression=None,
            proxy=None,
            open_timeout=OPEN_TIMEOUT_S,
            ping_interval=None,
            max_size=MAX_FRAME_BYTES,
            close_timeout=1.0,
        ) as socket:
            async for publication in _converse(socket, token, channels):
                yield publication
    except InvalidURI as error:
        raise BadInput(f"{url} is no websocket address") from error
    except (OSError, InvalidHandshake, TimeoutError) as error:
        raise Unavailable(
            f"no connection to {url}: {error}", hint="Is it running? `eyrie status` tells."
        ) from error
    except ConnectionClosed as error:
        code, reason = (
            (error.rcvd.code, error.rcvd.reason) if error.rcvd is not None else (1006, "")
        )
        if 3500 <= code <= 3999 or 4500 <= code <= 4999:
            raise Unauthorized(f"the hub closed: {code} {reason}") from error
        raise Unavailable(f"the hub closed: {code} {reason}") from error


async def _converse(
    socket: ClientConnection, token: str, channels: Sequence[str]
) -> AsyncIterator[ReceivedPublication]:
    await _send(socket, {"id": 1, "connect": {"token": token, "name": "eyrie-tail"}})
    async for frame in socket:
        for line in str(frame if isinstance(frame, str) else frame.decode()).split("\n"):
            if not line.strip():
                continue
            reply = msgspec.json.decode(line)
            number = reply.get("id", 0)
            if not reply:
                await _send(socket, {})
            elif "error" in reply:
                _raise(reply["error"], "connect" if number <= 1 else channels[number - 2])
            elif "connect" in reply:
                for at, channel in enumerate(channels):
                    await _send(socket, {"id": at + 2, "subscribe": {"channel": channel}})
            elif "subscribe" in reply:
                for item in reply["subscribe"].get("publications") or []:
                    yield ReceivedPublication(
                        channels[number - 2], item.get("data"), item.get("offset", 0), True
                    )
            elif "push" in reply:
                push = reply["push"]
                if "pub" in push:
                    yield ReceivedPublication(
                        push.get("channel", ""),
                        push["pub"].get("data"),
                        push["pub"].get("offset", 0),
                    )
                elif "unsubscribe" in push:
                    reason = push["unsubscribe"].get("reason", "")
                    raise Forbidden(
                        f"the hub ended the subscription of {push.get('channel', '')}: {reason}"
                    )


def _raise(error: dict[str, Any], what: str) -> None:
    kind = _ERRORS.get(error.get("code", 0), Unavailable)
    raise kind(f"{what}: {error.get('message', '')} ({error.get('code', 0)})")


async def _send(socket: ClientConnection, command: dict[str, Any]) -> None:
    await socket.send(msgspec.json.encode(command).decode())
