"""Ways out beside the routes and channels of a hub: what a device reads back, and the cluster
API."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from actors.core.messages.edge_protocol import SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK
from cluster.api import endpoints
from cluster.supervisor.models import ActorState, CameraState, ClusterSnapshot
from storage.ports.background.jobs import NewJob
from storage.ports.cluster import ClusterDecision, RequestedOperation
from tests.support.cluster.cluster_api import NODE, SNAPSHOT, TestApi
from tests.support.hub.hub import PLAIN, TestHub
from tests.support.hub.ways import AT_ONCE, BROKEN_BODY, Subject, Told, told_by

WITHIN_S = 60.0
UNUSABLE = {"time": "soon", "objects": []}  # an observation that an actor refuses


async def by_edge(hub: TestHub, token: str, subjects: Sequence[Subject]) -> list[Told]:
    """What a device reads back on the edge socket, in both encodings: to a hello, to an
    observation, and to what is none."""
    found: list[Told] = []
    for protocol in (SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK):
        encode = msgspec.json.encode if protocol == SUBPROTOCOL_JSON else msgspec.msgpack.encode
        for subject in subjects:
            way = f"edge {protocol.rpartition('+')[2]}"
            hello = {"type": "hello", "camera": subject.camera, "session": f"s-{subject.letter}"}
            observe = {
                "type": "observe",
                "camera": subject.camera,
                "first_seq": 1,
                "observations": [UNUSABLE],
            }
            said = [_frame(encode, one, protocol) for one in (hello, observe)]
            answers = await _edge_answers(
                f"ws://127.0.0.1:{hub.port}/v1/edge", token, protocol, said
            )
            welcome = answers[:1] if b"welcome" in answers[0] else []
            # Who is let in is answered about the camera; a refusal may say again what was asked
            # for.
            found += [Told(f"{way} welcome", body) for body in welcome]
            found += [
                Told(f"{way} answer", body, "" if welcome else subject.camera)
                for body in answers[len(welcome) :]
            ]
    return found


def _frame(encode: Any, message: dict[str, Any], protocol: str) -> str | bytes:
    body = bytes(encode(message))
    return body.decode() if protocol == SUBPROTOCOL_JSON else body


async def _edge_answers(
    url: str, token: str, protocol: str, said: Sequence[str | bytes]
) -> list[bytes]:
    """What was answered until the end: of the socket, or to a damaged frame, which ends it."""
    headers = {"authorization": f"Bearer {token}"}
    answers: list[bytes] = []
    try:
        async with (
            asyncio.timeout(WITHIN_S),
            connect(
                url,
                subprotocols=[Subprotocol(protocol)],
                additional_headers=headers,
                compression=None,
                proxy=None,
            ) as socket,
        ):
            await socket.send(said[0])
            answers.append(_bytes(await socket.recv()))
            if b"welcome" in answers[0]:
                await socket.send(said[1])
                answers.append(_bytes(await socket.recv()))
                await socket.send(
                    BROKEN_BODY.decode() if protocol == SUBPROTOCOL_JSON else BROKEN_BODY
                )
            async for frame in socket:
                answers.append(_bytes(frame))
            answers.append(f"{socket.close_code} {socket.close_reason}".encode())
    except InvalidStatus as refused:
        answers.append(bytes(refused.response.body or b"refused"))
    except ConnectionClosed as closed:
        answers.append(str(closed).encode())
    return answers


def _bytes(frame: str | bytes) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame


def snapshot_of(subjects: Sequence[Subject]) -> ClusterSnapshot:
    """A cluster that runs these cameras: each has an actor process of its own, which has its
    name."""
    return ClusterSnapshot(
        nodes=SNAPSHOT.nodes,
        actors=tuple(
            ActorState(
                f"{one.camera}.0011223344", NODE, 11, "ready", (one.camera,), 1, "most room", 1.0
            )
            for one in subjects
        ),
        services=SNAPSHOT.services,
        cameras=tuple(
            CameraState(one.camera, one.site, f"{one.camera}.0011223344", NODE, "hosted", 3)
            for one in subjects
        ),
        wanted=SNAPSHOT.wanted,
        version=0,
        refused=tuple(one.camera for one in subjects),
    )


async def fill_cluster(api: TestApi, subjects: Sequence[Subject]) -> bytes:
    """Decisions, orders and operations about these cameras; the operations as hubs show them."""
    api.supervisor.now = snapshot_of(subjects)
    shown = []
    for one in subjects:
        await api.store.decided(
            [ClusterDecision(f"camera:{one.camera}", f"moved {one.camera}", f"{one.site} is full")]
        )
        await api.store.ask(
            RequestedOperation(f"{one.letter:032x}", "move", f"camera:{one.camera}", {}, "olga")
        )
        await api.memory.jobs.enqueue([NewJob("export", args={"camera": one.camera})])
        shown.append({"id": f"{one.letter:032x}", "kind": "move", "target": f"camera:{one.camera}"})
    return json.dumps({"operations": shown}).encode()


def routes_of_the_cluster() -> set[str]:
    """The ways of :func:`by_cluster`: all of the table but deletions, which have nothing in them to
    refuse and would be done."""
    return {
        f"cluster {one.method} {one.path}" for one in endpoints.ENDPOINTS if one.method != "DELETE"
    }


async def by_cluster(api: TestApi, token: str, subjects: Sequence[Subject]) -> list[Told]:
    """What every route of the cluster API says: those that read, plans, and the refusals of the
    others."""
    gate, found = asyncio.Semaphore(AT_ONCE), list[Told]()
    headers = {
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        "if-match": '"0"',
    }
    async with httpx.AsyncClient(
        base_url=api.url, headers=headers, verify=PLAIN, timeout=WITHIN_S
    ) as http:

        async def ask(method: str, path: str, subject: Subject, body: bytes) -> None:
            async with gate:
                values = {
                    "camera": subject.camera,
                    "site": subject.site,
                    "node": NODE,
                    "hub": "hub-0",
                    "policy": "policy-0",
                    "worker": "worker-0",
                }
                values |= {
                    "actor": f"{subject.camera}.0011223344",
                    "process": "hub-0",
                    "operation": f"{subject.letter:032x}",
                    "job": str(1 + subjects.index(subject)),
                    "schedule": "events.retention",
                    "sink": "ops",
                }
                filled = path.format(**values)
                answer = await http.request(method, filled, content=body or None)
                found.append(
                    told_by(f"cluster {method} {path}", answer, f"{filled} {body.decode()}")
                )

        asked = []
        for endpoint in endpoints.ENDPOINTS:
            for subject in (
                subjects if "{" in endpoint.path or endpoint.id == "plan" else subjects[:1]
            ):
                plan = json.dumps({"kind": "move", "target": f"camera:{subject.camera}"}).encode()
                body = (
                    plan
                    if endpoint.id == "plan"
                    else b""
                    if endpoint.method == "GET"
                    else BROKEN_BODY
                )
                if endpoint.method != "DELETE":
                    asked.append(ask(endpoint.method, endpoint.path, subject, body))
        await asyncio.gather(*asked)
    return found
