"""How long open sockets take to follow a revoked token and an activated policy in a whole private
Eyrie: the slowest socket counts."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from actors.core.errors import StartError
from cluster.rest_client import HubRest
from load_tests.harness.stack import Stack
from policy.engine.modules import read_sources
from policy.identity.tokens import issue
from storage.ports.policy import Revocation
from storage.stores import open_stores

CAMERA = "bench-policy"
SITE = "bench"
WITHIN_S = 60.0
OPEN_AT_ONCE = 20
LOOKING = 'looking := {"connect", "subscribe"}'  # what the other revision takes away


class Follower:
    """One dashboard that watches the camera."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def subscribe(self) -> None:
        """Until it may. Raises StartError when it may not in time."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            await self._socket.send(
                b'{"id":9,"subscribe":{"channel":"camera:%s"}}' % CAMERA.encode()
            )
            reply = await self._until(lambda message: message.get("id") == 9)
            if "error" not in reply:
                return
            await asyncio.sleep(0.2)  # the other policy is still in force here
        raise StartError("a dashboard may not subscribe again under the first policy")

    async def unsubscribed(self) -> float:
        """When (monotonic) it lost its subscription."""
        await self._until(lambda message: "unsubscribe" in message.get("push", {}))
        return time.monotonic()

    async def closed(self) -> float:
        """When (monotonic) the hub closed it."""
        with contextlib.suppress(ConnectionClosed):
            await self._until(lambda _: False)
        return time.monotonic()

    async def connect(self, token: str) -> None:
        """The connect command."""
        await self._socket.send(
            msgspec.json.encode({"id": 1, "connect": {"token": token}}).decode()
        )
        reply = await self._until(lambda message: message.get("id") == 1)
        if "error" in reply:
            raise StartError(f"a dashboard was refused: {reply['error']}")

    async def _until(self, wanted: Any) -> dict[str, Any]:
        async for frame in self._socket:
            for line in (frame if isinstance(frame, str) else frame.decode()).splitlines():
                message = msgspec.json.decode(line, type=dict[str, Any])
                if not message:
                    await self._socket.send("{}")
                elif wanted(message):
                    return message
        raise ConnectionClosed(None, None)


async def activations(stack: Stack, sockets: int, rounds: int) -> list[float]:
    """Seconds from the request that activates a policy to the last of `sockets` subscriptions that
    it ends, once for every round."""
    sources = read_sources()
    if sum(text.count(LOOKING) for text in sources.values()) != 1:
        raise StartError("the packaged policy is another than this bench changes")
    hub = HubRest(f"http://{stack.host}:{stack.port}", _token(stack, "bench-pia", "privacy"))
    first, other = [
        await asyncio.to_thread(_upload, hub, modules)
        for modules in (
            sources,
            {
                name: text.replace(LOOKING, 'looking := {"connect"}')
                for name, text in sources.items()
            },
        )
    ]
    took = []
    async with _followers(
        stack, [_token(stack, f"bench-{n}", "viewer") for n in range(sockets)]
    ) as followers:
        for _ in range(rounds):
            await asyncio.gather(*(follower.subscribe() for follower in followers))
            ends = [asyncio.create_task(follower.unsubscribed()) for follower in followers]
            begun = time.monotonic()
            await asyncio.to_thread(_activate, hub, other)
            took.append(await _last(ends) - begun)
            await asyncio.to_thread(_activate, hub, first)
    return took


async def revocations(stack: Stack, sockets: int, rounds: int) -> list[float]:
    """Seconds from the write that revokes a subject to the close of the last of its `sockets`
    sockets, once for every round."""
    stores = await open_stores(stack.settings, name="bench-policy")
    took = []
    try:
        for number in range(rounds):
            sub = f"bench-revoked-{number}"
            async with _followers(
                stack, [_token(stack, sub, "viewer") for _ in range(sockets)]
            ) as followers:
                ends = [asyncio.create_task(follower.closed()) for follower in followers]
                begun = time.monotonic()
                await stores.policy.revoke(Revocation("subject", sub, int(time.time()) + 1))
                took.append(await _last(ends) - begun)
    finally:
        await stores.close()
    return took


async def _last(ends: Sequence["asyncio.Task[float]"]) -> float:
    done, pending = await asyncio.wait(ends, timeout=WITHIN_S)
    for task in pending:
        task.cancel()
    if pending:
        raise StartError(
            f"{len(pending)} of {len(ends)} sockets did not follow within {WITHIN_S:g} s"
        )
    return max(task.result() for task in done)


@contextlib.asynccontextmanager
async def _followers(stack: Stack, tokens: Sequence[str]) -> AsyncIterator[list[Follower]]:
    found: list[Follower] = []
    async with contextlib.AsyncExitStack() as opened:
        gate = asyncio.Semaphore(OPEN_AT_ONCE)

        async def one(token: str) -> None:
            async with gate:
                url = f"ws://{stack.host}:{stack.port}/connection/websocket"
                socket = await opened.enter_async_context(
                    connect(
                        url, compression=None, proxy=None, ping_interval=None, close_timeout=1.0
                    )
                )
                follower = Follower(socket)
                await follower.connect(token)
                found.append(follower)

        await asyncio.gather(*(one(token) for token in tokens))
        yield found


def _token(stack: Stack, sub: str, role: str) -> str:
    return issue(
        stack.settings.auth,
        sub=sub,
        typ="user",
        jti=secrets.token_hex(8),
        now_s=time.time(),
        roles=(role,),
        sites=("*",),
    )


def _upload(hub: HubRest, modules: dict[str, str]) -> str:
    body = hub.send("POST", "/v1/policy/revisions", {"modules": modules, "note": "bench"}).body
    return str(msgspec.json.decode(body, type=dict[str, Any])["revision"])


def _activate(hub: HubRest, revision: str) -> None:
    hub.send(
        "POST",
        f"/v1/policy/revisions/{revision}/activate",
        {},
        etag=hub.send("GET", "/v1/policy").etag,
    )
