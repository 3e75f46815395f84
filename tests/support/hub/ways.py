"""Every way by which something leaves a hub, listed from the running hub itself, walked by one
asker after the other."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import msgspec
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.exceptions import ConnectionClosed

from hub.protocol import channels
from tests.support.hub import alert_routes
from tests.support.hub.hub import PLAIN, Dash, TestHub
from tests.support.hub.protobuf_dash import protobuf_dashboard
from tests.support.hub.stream_client import Stream, stream

TRANSPORTS = ("websocket", "websocket in protobuf", "http_stream", "sse-get")
BROKEN_BODY = b'{"'
MAX_PAGES = 12
AT_ONCE = 8
# Namespace → a name of it. A kind of channel that is not here fails the walk.
NAMES = {
    channels.CAMERA: "camera:{camera}",
    channels.SITE: "site:{site}",
    channels.FLEET: "fleet",
    channels.PERSONAL: "#{camera}",
    channels.CAMERA_EVENTS: "events:camera:{camera}",
    channels.SITE_EVENTS: "events:site:{site}",
    channels.FLEET_EVENTS: "events:fleet",
    channels.OPERATIONS: "cluster:operations",
}
FURTHER = alert_routes.NAMES


class Subject(msgspec.Struct, frozen=True):
    """Whom a walk asks about: the values of parameters in paths and names of channels."""

    camera: str
    site: str
    letter: int = 0

    def fill(self, pattern: str) -> str:
        """The pattern with its parameters; KeyError for one that is new."""
        values = {
            "camera": self.camera,
            "site": self.site,
            "letter": str(self.letter),
            "zone": "door",
            "line": "entry",
        }
        return pattern.replace("{rest:path}", self.camera).format(
            **values, **FURTHER, revision="0" * 64, method="info", request="0" * 32, hold="0" * 32
        )


class Told(msgspec.Struct, frozen=True):
    """What one way told; `asked` is what an answer that refuses may say again, as whoever asked
    named it."""

    way: str
    body: bytes
    asked: str = ""


def kinds_of_channels() -> dict[channels.Namespace, str]:
    """Of the product, each with a name. KeyError for one without."""
    ours = {value for value in vars(channels).values() if isinstance(value, channels.Namespace)}
    return {kind: NAMES[kind] for kind in ours}


def requests(hub: TestHub) -> list[tuple[str, str]]:
    """(method, path) of every route of the public application. The edge's socket and the console's
    files show no camera."""
    found = []
    for route in hub.hub.app.app.routes:
        assert isinstance(route, Route | Mount | WebSocketRoute), (
            f"{route} is of no kind that the walk knows"
        )
        if isinstance(route, Route):
            found += [
                (method, route.path) for method in sorted(route.methods or ()) if method != "HEAD"
            ]
    return found


async def by_requests(hub: TestHub, token: str, subjects: Sequence[Subject]) -> list[Told]:
    """What every route says to every method: whole, streamed, a page at a time, and refusing."""
    gate, found = asyncio.Semaphore(AT_ONCE), list[Told]()
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{hub.port}",
        headers={"authorization": f"Bearer {token}"},
        verify=PLAIN,
        timeout=60,
    ) as http:

        async def ask(method: str, path: str, subject: Subject) -> None:
            async with gate:
                filled, way = subject.fill(path), f"{method} {path}"
                changing: dict[str, Any] = {
                    "content": BROKEN_BODY,
                    "headers": {"content-type": "application/json", "if-match": '"0"'},
                }
                answer = await http.request(method, filled, **({} if method == "GET" else changing))
                found.append(told_by(way, answer, filled))
                if method != "GET" or not _lists(answer):
                    return
                found.append(
                    told_by(
                        f"{way} as NDJSON",
                        await http.get(filled, headers={"accept": "application/x-ndjson"}),
                        filled,
                    )
                )
                cursor, place = (
                    "",
                    "before" if path.startswith(("/v1/policy", "/v1/audit")) else "after",
                )
                chosen = {"limit": "7"} | ({"order": "newest"} if path.endswith("/events") else {})
                for _ in range(MAX_PAGES):
                    page = await http.get(
                        filled, params=chosen | ({place: cursor} if cursor else {})
                    )
                    found.append(told_by(f"{way} by pages", page, filled))
                    cursor = str(page.json().get("next", "")) if _lists(page) else ""
                    if not cursor:
                        break

        asked = [
            (method, path, subject)
            for method, path in requests(hub)
            for subject in (subjects if "{" in path else subjects[:1])
        ]
        await asyncio.gather(*(ask(*one) for one in asked))
    return found


def _lists(answer: httpx.Response) -> bool:
    """Whether it is a list: of something, with its name."""
    if answer.status_code != 200 or "json" not in answer.headers["content-type"]:
        return False
    body = answer.json()
    return isinstance(body, dict) and any(isinstance(value, list) for value in body.values())


def told_by(way: str, answer: httpx.Response, asked: str) -> Told:
    """What an answer told, but for its date, which makes every one another."""
    headers = "\n".join(
        f"{name}: {value}" for name, value in answer.headers.items() if name != "date"
    ).encode()
    return Told(way, headers + b"\n\n" + answer.content, asked if answer.status_code >= 300 else "")


class Session:
    """A dashboard on one transport, subscribed to every channel; `told` is what it was told of
    each."""

    def __init__(self, transport: str, dash: Dash | Stream | None) -> None:
        self.transport = transport
        self.told: list[Told] = []
        self._dash = dash

    async def begin(self, subjects: Sequence[Subject]) -> None:
        """Subscribe to every channel, recover and read the history of those that have one."""
        if self._dash is None or not self._connected():
            return
        for kind, pattern in kinds_of_channels().items():
            hows = (
                "subscribe",
                *(["recover"] if kind.lane == "events" else []),
                *(["history"] if kind.history else []),
            )
            for name in dict.fromkeys(subject.fill(pattern) for subject in subjects):
                for how in hows:
                    fields: dict[str, Any] = {"limit": -1} if how == "history" else {}
                    if how == "recover":
                        await self._dash.ask("unsubscribe", channel=name)
                        fields = {"recover": True, "offset": 0, "epoch": ""}
                    answer = await self._dash.ask(
                        "history" if how == "history" else "subscribe", channel=name, **fields
                    )
                    self._note(f"{how} {pattern}", answer, name if "error" in answer else "")

    async def end(self) -> None:
        """Note what was pushed until now: what was sent before has come when a command is
        answered."""
        if self._dash is None or not self._connected():
            return
        await self._dash.ask("history", channel="fleet")
        for push in self._dash.pushes:
            self._note(
                "push "
                f"{NAMES[channels.parse(push['channel']).namespace] if 'channel' in push else 'of no channel'}",  # noqa: E501
                push,
            )

    def _connected(self) -> bool:
        return self._dash is not None and bool(
            self._dash.connected.get("connect", self._dash.connected).get("client")
        )

    def _note(self, what: str, answer: dict[str, Any], asked: str = "") -> None:
        self.told.append(Told(f"{self.transport} {what}", json.dumps(answer).encode(), asked))


@asynccontextmanager
async def sessions(
    hub: TestHub, token: str, transports: Sequence[str] = TRANSPORTS
) -> AsyncIterator[list[Session]]:
    """One of each transport."""
    async with AsyncExitStack() as stack:
        made = []
        for transport in transports:
            try:
                session = Session(
                    transport, await stack.enter_async_context(_opened(hub, token, transport))
                )
            except ConnectionClosed as closed:
                session = Session(transport, None)
                session.told.append(Told(f"{transport} refused", str(closed).encode()))
            made.append(session)
        yield made


def _opened(hub: TestHub, token: str, transport: str) -> AbstractAsyncContextManager[Dash | Stream]:
    if transport == "websocket":
        return hub.dashboard(token)
    return (
        protobuf_dashboard(hub, token)
        if transport == "websocket in protobuf"
        else stream(hub, transport, token)
    )


async def by_metrics(hub: TestHub) -> list[Told]:
    """What the private port says."""
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{hub.hub.private_port}", verify=PLAIN, timeout=60
    ) as http:
        return [
            Told(f"{path} of the private port", (await http.get(path)).content)
            for path in ("/metrics", "/metrics/node")
        ]
