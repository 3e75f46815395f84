"""The ways by which observations come into a hub: edge socket and HTTP in both encodings, the
Python client, files of all formats."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import httpx
import msgspec
from websockets.asyncio.client import connect

from actors.core.messages.edge_protocol import SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK
from actors.core.messages.observations import Observation
from edge.client import EdgeClient
from edge.replay import Replay, ReplayOptions
from edge.replay_account import ReplayAccount
from tests.support.doubles.local_actor import LocalActor, local_actor
from tests.support.doubles.stores import memory_stores
from tests.support.hub.hub import TestHub, running_hub

Form = Literal["json", "msgpack"]
Frame = dict[str, Any]  # an observation in plain values
Account = Mapping[str, int]  # objects by what was wrong with them, as the entrance tells it
MAX_AT_ONCE = 64  # observations in one message: what a camera is given credit for at least


@dataclass
class Gate:
    """A hub with a real actor over doubles of the stores."""

    hub: TestHub
    actor: LocalActor
    folder: Path
    http: httpx.AsyncClient  # a viewer's

    def edge_token(self) -> str:
        """A device's."""
        return self.hub.token("edge-1", typ="edge", roles=["edge"])

    async def state(self, camera: str, seq: int, within_s: float = 30.0) -> dict[str, Any]:
        """The state over HTTP once it holds observation `seq`."""
        async with asyncio.timeout(within_s):
            while True:
                answer = await self.http.get(f"/v1/cameras/{camera}/state")
                if answer.status_code == 200 and answer.json()["health"].get("seq", 0) >= seq:
                    return dict(answer.json())
                await asyncio.sleep(0.01)

    def events(self, camera: str, *kinds: str) -> list[dict[str, Any]]:
        """The stored events of a camera, of these types."""
        rows = [
            stored.row for stored in self.hub.memory.database.events if stored.row.camera == camera
        ]
        bodies = [msgspec.json.decode(row.body) for row in rows]
        return [body for body in bodies if body["type"] in kinds]


@asynccontextmanager
async def open_gate(
    folder: Path, cameras: Sequence[str], scene: Mapping[str, Any]
) -> AsyncIterator[Gate]:
    """Start one with these cameras, all with one scene."""
    memory = memory_stores()
    async with (
        local_actor(memory) as actor,
        running_hub(folder, memory=memory, directory=actor) as hub,
    ):
        await hub.register(*cameras, scene=msgspec.json.encode(scene))
        headers = {"authorization": f"Bearer {hub.token()}"}
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{hub.port}", timeout=30, headers=headers, trust_env=False
        ) as http:
            yield Gate(hub, actor, folder, http)


def encoded(form: Form, value: Any) -> bytes:
    """As devices encode: JSON by the standard library, which writes NaN."""
    return msgspec.msgpack.encode(value) if form == "msgpack" else json.dumps(value).encode()


async def by_socket(
    gate: Gate, form: Form, sent: Mapping[str, Sequence[Frame]]
) -> dict[str, Account]:
    """One socket for all cameras, each with its frames."""
    url = f"ws://127.0.0.1:{gate.hub.port}/v1/edge"
    protocol: Any = SUBPROTOCOL_JSON if form == "json" else SUBPROTOCOL_MSGPACK
    headers = {"authorization": f"Bearer {gate.edge_token()}"}
    async with (
        connect(url, subprotocols=[protocol], additional_headers=headers, proxy=None) as socket,
        asyncio.timeout(60),
    ):

        async def say(message: Any) -> None:
            body = encoded(form, message)
            await socket.send(body if form == "msgpack" else body.decode())

        async def hear() -> dict[str, Any]:
            raw = await socket.recv()
            return dict(
                msgspec.json.decode(raw) if isinstance(raw, str) else msgspec.msgpack.decode(raw)
            )

        async def more(camera: str, done: int) -> None:
            frames = list(sent[camera][done : done + MAX_AT_ONCE])
            await say(
                {"type": "observe", "camera": camera, "first_seq": done + 1, "observations": frames}
            )

        for camera in sent:
            await say({"type": "hello", "camera": camera, "session": "s1"})
        open_ones = dict.fromkeys(sent, 0)
        while open_ones:
            told = await hear()
            camera = str(told.get("camera"))
            if told["type"] == "welcome":
                await more(camera, 0)
            elif told["type"] == "ack" and camera in open_ones:
                before = open_ones[camera]
                if told["seq"] == len(sent[camera]):
                    del open_ones[camera]
                elif told["seq"] >= before + MAX_AT_ONCE:
                    open_ones[camera] = told["seq"]
                    await more(camera, told["seq"])
            else:
                assert told["type"] in ("ack", "ping", "pong"), told
    return {}


async def by_http(
    gate: Gate, form: Form, sent: Mapping[str, Sequence[Frame]]
) -> dict[str, Account]:
    """One post after the other for each camera."""
    headers = {
        "authorization": f"Bearer {gate.edge_token()}",
        "content-type": f"application/{form}",
    }
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{gate.hub.port}", timeout=60, headers=headers, trust_env=False
    ) as http:

        async def post(camera: str) -> None:
            for done in range(0, len(sent[camera]), MAX_AT_ONCE):
                frames = list(sent[camera][done : done + MAX_AT_ONCE])
                body = encoded(
                    form, {"session": "s1", "first_seq": done + 1, "observations": frames}
                )
                answer = await http.post(f"/v1/cameras/{camera}/observations", content=body)
                assert (answer.status_code, answer.json().get("rejected")) == (200, []), answer.text

        await asyncio.gather(*(post(camera) for camera in sent))
    return {}


async def by_client(
    gate: Gate, form: Form, sent: Mapping[str, Sequence[Frame]]
) -> dict[str, Account]:
    """The Python client; it takes any objects, as programs make them."""
    async with EdgeClient(
        f"ws://127.0.0.1:{gate.hub.port}/v1/edge", gate.edge_token(), form=form, proxy=None
    ) as client:
        streams = {camera: await client.open(camera, session="s1") for camera in sent}
        for camera, frames in sent.items():
            for frame in frames:
                await streams[camera].send(
                    Observation(datetime.fromisoformat(frame["time"]), frame["objects"])
                )
        await client.drain(60)
        return {camera: dict(stream.account.object_faults) for camera, stream in streams.items()}


async def by_replay(
    gate: Gate, form: str, texts: Mapping[str, str | bytes], **options: Any
) -> dict[str, ReplayAccount]:
    """Files of one format, one camera each."""

    async def one(camera: str, text: str | bytes) -> ReplayAccount:
        path = gate.folder / f"{camera}.{form}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        url = f"ws://127.0.0.1:{gate.hub.port}/v1/edge"
        return await Replay(ReplayOptions(path, form, url, gate.edge_token(), **options)).run()

    accounts = await asyncio.gather(*(one(camera, text) for camera, text in texts.items()))
    return dict(zip(texts, accounts, strict=True))


def told_by(account: ReplayAccount) -> Account:
    """Objects by what was wrong with them."""
    return dict(Counter(account.dropped_objects) + Counter(account.mended_objects))


Way = Callable[[Gate, Mapping[str, Sequence[Frame]]], Awaitable[dict[str, Account]]]


async def by_ndjson(gate: Gate, sent: Mapping[str, Sequence[Frame]]) -> dict[str, Account]:
    """Our own files."""
    texts = {
        camera: "".join(json.dumps({"camera": camera, **frame}) + "\n" for frame in frames)
        for camera, frames in sent.items()
    }
    accounts = await by_replay(gate, "ndjson", texts, pass_unknown_fields=True)
    assert all(account.adds_up for account in accounts.values()), accounts
    return {camera: told_by(account) for camera, account in accounts.items()}


WIRES: dict[str, Way] = {
    "socket, JSON": lambda gate, sent: by_socket(gate, "json", sent),
    "socket, MessagePack": lambda gate, sent: by_socket(gate, "msgpack", sent),
    "HTTP, JSON": lambda gate, sent: by_http(gate, "json", sent),
    "HTTP, MessagePack": lambda gate, sent: by_http(gate, "msgpack", sent),
    "client, JSON": lambda gate, sent: by_client(gate, "json", sent),
    "client, MessagePack": lambda gate, sent: by_client(gate, "msgpack", sent),
    "file, ndjson": by_ndjson,
}
