"""Waits for the first live publication as a dashboard would see it: a subscriber of the fleet's
wall over the real socket."""

import asyncio
import json
import ssl
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

from actors.core.errors import StartError

MAX_MESSAGE_BYTES = 16 * 1024 * 1024


async def first_publication(
    url: str, token: str, site: str, timeout_s: float, tls: ssl.SSLContext | None, *, hint: str
) -> dict[str, Any]:
    """Connect to the Centrifuge socket `url`; the data of the first live publication with a camera
    of `site` online.

    Raises StartError, with `hint` when none came.
    """
    try:
        async with (
            asyncio.timeout(timeout_s),
            connect(url, ssl=tls, max_size=MAX_MESSAGE_BYTES, compression=None) as socket,
        ):
            await socket.send(
                json.dumps({"id": 1, "connect": {"token": token, "name": "eyrie-up"}})
            )
            await socket.send(json.dumps({"id": 2, "subscribe": {"channel": "fleet"}}))
            return await _wait(socket, site)
    except TimeoutError as error:
        raise StartError(
            f"no camera of {site} came online within {timeout_s:g} s", hint=hint
        ) from error
    except (OSError, websockets.WebSocketException) as error:
        raise StartError(f"the hub at {url} cannot be used: {error}") from error


async def _wait(socket: ClientConnection, site: str) -> dict[str, Any]:
    while True:
        frame = await socket.recv()
        for text in (frame if isinstance(frame, str) else frame.decode()).splitlines():
            message = json.loads(text)
            if "error" in message:
                raise StartError(f"the hub refused: {message['error']}")
            if not message:
                await socket.send("{}")
            push = message.get("push", {})
            data = push.get("pub", {}).get("data")
            if isinstance(data, dict) and any(
                one["status"] == "online" and one["site"] == site for one in data["cameras"]
            ):
                return data
