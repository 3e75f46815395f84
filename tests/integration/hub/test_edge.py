"""The edge socket and HTTP ingest of a whole hub in this process, over an actor that answers as
told."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from actors.core.messages.deliveries import Acked, Attach, Data, Dismissed, Refused
from actors.core.messages.edge_protocol import SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK
from actors.core.settings import HubSettings
from hub.ingest import socket as edge_socket
from hub.ingest.socket import GOING_AWAY
from hub.ingest.strikes import LIMIT
from policy.identity.revocations import Revocations
from storage.ports.policy import PolicyMarks, Revocation
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.hub import TestHub, running_hub
from tests.support.waiting import until

TIME = "2026-03-01T12:00:00Z"


@dataclass
class Rig:
    """A hub, the actor behind it, and edges."""

    hub: TestHub
    actor: FakeActor
    directory: FakeDirectory

    def token(self, **options: Any) -> str:
        return self.hub.token("edge-1", **({"typ": "edge", "roles": ["edge"]} | options))

    @asynccontextmanager
    async def edge(
        self, *, token: str | None = None, protocol: str = SUBPROTOCOL_JSON
    ) -> AsyncIterator["Edge"]:
        headers = {} if token == "" else {"authorization": f"Bearer {token or self.token()}"}
        url = f"ws://127.0.0.1:{self.hub.port}/v1/edge"
        async with connect(
            url,
            subprotocols=[protocol],  # type: ignore[list-item]
            additional_headers=headers,
            compression=None,
            proxy=None,
        ) as socket:
            yield Edge(socket)

    @asynccontextmanager
    async def http(self, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
        headers = {"authorization": f"Bearer {self.token(**options)}"}
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.hub.port}",
            timeout=30,
            headers=headers,
            trust_env=False,
        ) as client:
            yield client


class Edge:
    """A device in raw messages."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, **fields: Any) -> None:
        packed = self.socket.subprotocol == SUBPROTOCOL_MSGPACK
        await self.socket.send(
            msgspec.msgpack.encode(fields) if packed else msgspec.json.encode(fields).decode()
        )

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next message of one kind; others are passed over."""
        async with asyncio.timeout(30):
            while True:
                raw = await self.socket.recv()
                found: dict[str, Any] = (
                    msgspec.json.decode(raw)
                    if isinstance(raw, str)
                    else msgspec.msgpack.decode(raw)
                )
                if found["type"] == kind:
                    return found

    async def hello(
        self, camera: str = "cam", session: str = "s1", **fields: Any
    ) -> dict[str, Any]:
        await self.say(type="hello", camera=camera, session=session, **fields)
        return await self.hear("welcome")

    async def observe(self, first_seq: int, count: int = 1, camera: str = "cam") -> None:
        await self.say(
            type="observe",
            camera=camera,
            first_seq=first_seq,
            observations=[{"time": TIME, "objects": []}] * count,
        )

    async def closed(self) -> tuple[int, str]:
        """The close code and reason."""
        async with asyncio.timeout(30):
            while True:
                try:
                    await self.socket.recv()
                except ConnectionClosed:
                    return self.socket.close_code or 0, self.socket.close_reason or ""


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    actor = FakeActor("actor-1")
    directory = FakeDirectory(lambda camera: actor)
    async with running_hub(
        tmp_path, hub=HubSettings(port=0, first_message_s=0.5), directory=directory
    ) as hub:
        await hub.register("cam", "other")
        yield Rig(hub, actor, directory)


@pytest.mark.parametrize("protocol", [SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK])
async def test_hello_observe_ack(rig: Rig, protocol: str) -> None:
    async with rig.edge(protocol=protocol) as edge:
        welcome = await edge.hello()
        assert (welcome["resume_from"], welcome["credits"]) == (1, 100)
        await edge.observe(1, 3)
        assert await edge.hear("ack") == {"type": "ack", "camera": "cam", "seq": 3, "credits": 100}
        await edge.say(type="bye", code=1000)
        assert (await edge.closed())[0] == 1000


async def test_the_token_may_come_in_the_hello(rig: Rig) -> None:
    async with rig.edge(token="") as edge:
        assert (await edge.hello(token=rig.token()))["session"] == "s1"


@pytest.mark.parametrize(("token", "reason"), [("", "missing"), ("not.a.token", "not genuine")])
async def test_no_good_token_no_stream(rig: Rig, token: str, reason: str) -> None:
    async with rig.edge(token=token) as edge:
        await edge.say(type="hello", camera="cam", session="s1")
        code, text = await edge.closed()
        assert code == 4501
        assert reason in text
    assert rig.directory.lookups == []


async def test_an_expired_token_is_told_as_such(rig: Rig) -> None:
    async with rig.edge(token=rig.token(now_s=time.time() - 90_000)) as edge:
        await edge.say(type="hello", camera="cam", session="s1")
        code, text = await edge.closed()
    assert code == 4501
    assert "expired" in text


async def test_a_dashboard_token_is_no_edge_token(rig: Rig) -> None:
    async with rig.edge(token=rig.hub.token()) as edge:
        await edge.say(type="hello", camera="cam", session="s1")
        assert (await edge.closed())[0] == 4501


async def test_what_policy_denies_ends_that_camera_and_not_its_neighbour(rig: Rig) -> None:
    rig.hub.policy.denied.add(("ingest", "other"))
    async with rig.edge() as edge:
        await edge.hello()
        await edge.say(type="hello", camera="other", session="s1")
        bye = await edge.hear("bye")
        assert (bye["camera"], bye["code"]) == ("other", 4503)
        await edge.observe(1)
        assert (await edge.hear("ack"))["seq"] == 1


async def test_a_changed_policy_ends_an_open_stream(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_socket, "TICK_S", 0.02)
    monkeypatch.setattr(edge_socket, "RECHECK_S", 0.02)
    async with rig.edge() as edge:
        await edge.hello()
        rig.hub.policy.unavailable = True
        await until(
            lambda: rig.hub.policy.asked[-1].action == "ingest" and len(rig.hub.policy.asked) > 4
        )
        rig.hub.policy.unavailable = False
        await edge.observe(1)
        assert (await edge.hear("ack"))["seq"] == 1
        rig.hub.policy.denied.add(("ingest", "cam"))
        assert (await edge.closed())[0] == 4403, (
            "it was allowed before: the device comes back, slowly"
        )


async def test_a_revoked_token_ends_an_open_stream(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_socket, "TICK_S", 0.02)
    monkeypatch.setattr(edge_socket, "RECHECK_S", 0.02)
    async with rig.edge() as edge:
        await edge.hello()
        rig.hub.hub.revoked(
            Revocations(PolicyMarks(None, [Revocation("jti", "edge-1-1", 0)]).revocations)
        )
        code, text = await edge.closed()
    assert code == 4501
    assert "revoked" in text


async def test_an_unknown_camera_is_registered_where_policy_allows_it(rig: Rig) -> None:
    async with rig.edge() as edge:
        await edge.hello("brand-new")
    record = await rig.hub.memory.registry.camera("brand-new")
    assert record is not None
    assert record.site == "default"


async def test_a_policy_that_denies_registers_nothing(rig: Rig) -> None:
    rig.hub.policy.denied.add(("ingest", "brand-new"))
    async with rig.edge() as edge:
        await edge.say(type="hello", camera="brand-new", session="s1")
        assert (await edge.closed())[0] == 4503
    assert await rig.hub.memory.registry.camera("brand-new") is None


async def test_a_malformed_frame_is_kept_and_answered_with_what_was_wrong(rig: Rig) -> None:
    async with rig.edge() as edge:
        await edge.hello()
        for _ in range(LIMIT):
            await edge.socket.send('{"type":"observe","camera":"cam"}')
        code, text = await edge.closed()
    assert code == 4500
    assert "cannot be used" in text
    await until(lambda: rig.hub.hub.edge.frames.seen == LIMIT)
    letter, *_ = await rig.hub.memory.dead_letters.list()
    assert letter.raw == b'{"type":"observe","camera":"cam"}'


async def test_a_stranger_fills_no_table(rig: Rig) -> None:
    async with rig.edge(token="") as edge:
        await edge.socket.send("garbage")
        assert (await edge.closed())[0] == 4500
    assert await rig.hub.memory.dead_letters.list() == []
    assert rig.hub.hub.edge.frames.seen == 1


async def test_a_socket_without_a_hello_is_closed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_socket, "TICK_S", 0.02)
    async with rig.edge() as edge:
        assert (await edge.closed())[0] == 4005


async def test_an_unknown_subprotocol_is_told_what_to_offer(rig: Rig) -> None:
    async with connect(
        f"ws://127.0.0.1:{rig.hub.port}/v1/edge", compression=None, proxy=None
    ) as socket:
        assert "eyrie.edge.v1+msgpack" in (await Edge(socket).closed())[1]


async def test_a_stopping_hub_says_bye_and_detaches(rig: Rig) -> None:
    async with rig.edge() as edge:
        await edge.hello()
        await rig.hub.hub.edge.stop(1.0)
        assert (await edge.closed())[0] == GOING_AWAY
    assert [type(item).__name__ for item in rig.actor.items] == ["Attach", "Detach"]


async def test_a_superseded_stream_is_told_and_stays_away(rig: Rig) -> None:
    async with rig.edge() as edge:
        await edge.hello()
        rig.actor.override = lambda item: (
            [Dismissed("cam", item.link, 4509, "superseded by a newer session")]
            if isinstance(item, Data)
            else None
        )
        await edge.observe(1)
        code, text = await edge.closed()
    assert code == 4509
    assert "newer session" in text


def post(first_seq: int, count: int = 1, session: str = "s1") -> bytes:
    return msgspec.json.encode(
        {
            "session": session,
            "first_seq": first_seq,
            "observations": [{"time": TIME, "objects": []}] * count,
        }
    )


PATH = "/v1/cameras/cam/observations"


async def test_http_commits_answers_again_and_tells_the_expected_seq(rig: Rig) -> None:
    async with rig.http() as client:
        assert (await client.post(PATH, content=post(1, 3))).json() == {
            "session": "s1",
            "seq": 3,
            "rejected": [],
        }
        assert (await client.post(PATH, content=post(1, 3))).json()["seq"] == 3
        ahead = await client.post(PATH, content=post(5))
        assert (ahead.status_code, ahead.json()["expected_seq"]) == (409, 4)
        packed = msgspec.msgpack.encode(
            {"session": "s1", "first_seq": 4, "observations": [{"time": TIME}]}
        )
        answer = await client.post(
            PATH, content=packed, headers={"content-type": "application/msgpack"}
        )
        assert answer.json()["seq"] == 4
    assert len([item for item in rig.actor.items if isinstance(item, Attach)]) == 1


async def test_http_tells_what_was_rejected(rig: Rig) -> None:
    def refuse(item: Any) -> Any:
        if not isinstance(item, Data):
            return None
        refusals = [Refused("cam", item.link, item.first_seq + 1, "bad_input", "no time")]
        return [*refusals, Acked("cam", item.link, item.first_seq + len(item.items) - 1, 100)]

    rig.actor.override = refuse
    body = msgspec.json.encode(
        {"session": "s1", "first_seq": 1, "observations": [{"time": TIME}, {"time": 7}]}
    )
    async with rig.http() as client:
        answer = (await client.post(PATH, content=body)).json()
    assert answer["seq"] == 2
    assert [(r["seq"], r["code"]) for r in answer["rejected"]] == [(2, "bad_input")]


async def test_http_over_credit_is_429_with_retry_after(rig: Rig) -> None:
    rig.actor.credits = 2
    async with rig.http() as client:
        answer = await client.post(PATH, content=post(1, 3))
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


async def test_http_supersession_is_a_conflict(rig: Rig) -> None:
    rig.actor.override = lambda item: (
        [Dismissed("cam", item.link, 4509, "superseded")] if isinstance(item, Attach) else None
    )
    async with rig.http() as client:
        answer = await client.post(PATH, content=post(1))
    assert answer.status_code == 409
    assert "new session" in answer.json()["hint"]


async def test_http_goes_on_with_the_successor_of_a_lost_actor(rig: Rig) -> None:
    async with rig.http() as client:
        await client.post(PATH, content=post(1))
        rig.actor.dead = True
        old, successor = rig.actor, FakeActor("actor-2")
        successor.last_seq = dict(old.last_seq)
        rig.directory.owner = lambda camera: successor
        lost = await client.post(PATH, content=post(2))
        assert lost.status_code in (200, 409)
        answer = await client.post(PATH, content=post(2))
    assert (answer.status_code, answer.json()["seq"]) == (200, 2)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"x", "text/plain", 400),
        (b"[" * 20_000, "application/json", 400),
    ],
)
async def test_http_bad_input_is_a_problem_with_a_hint(
    rig: Rig, content: bytes, kind: str, status: int
) -> None:
    async with rig.http() as client:
        answer = await client.post(PATH, content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["hint"]


async def test_http_needs_a_token_and_a_decision(rig: Rig) -> None:
    async with rig.http() as client:
        assert (
            await client.post(PATH, content=post(1), headers={"authorization": ""})
        ).status_code == 401
        rig.hub.policy.denied.add(("ingest", "cam"))
        assert (await client.post(PATH, content=post(1))).status_code == 403
        rig.hub.policy.unavailable = True
        assert (await client.post(PATH, content=post(1))).status_code == 503
        assert (
            await client.post("/v1/cameras/No%20Such/observations", content=post(1))
        ).status_code == 400


async def test_welcomes_of_a_reattach_resync_the_edge(rig: Rig) -> None:
    async with rig.edge() as edge:
        await edge.hello()
        await edge.observe(1, 2)
        await edge.hear("ack")
        successor = FakeActor("actor-2")
        successor.last_seq = dict(rig.actor.last_seq)
        rig.directory.owner = lambda camera: successor
        rig.actor.die()
        await edge.observe(3)
        assert (await edge.hear("resync"))["resume_from"] == 3
        await edge.observe(3)
        assert (await edge.hear("ack"))["seq"] == 3


async def test_an_address_opens_so_many_sockets_and_gets_its_place_back(tmp_path: Path) -> None:
    limits = HubSettings(port=0, max_edge_sockets_per_address=2)
    async with running_hub(
        tmp_path, hub=limits, directory=FakeDirectory(lambda camera: FakeActor("actor-1"))
    ) as hub:
        await hub.register("cam", "other")
        rig = Rig(hub, FakeActor("actor-1"), FakeDirectory(lambda camera: FakeActor("actor-1")))
        async with rig.edge() as first:
            await first.hello()
            async with rig.edge() as second:
                await second.hello("other")
                async with rig.edge() as third:
                    assert (await third.closed())[0] == 4008
            await until(lambda: hub.hub.edge.links == 1, what="the second has gone")
            async with rig.edge() as fourth:
                await fourth.hello("other")
        assert "eyrie_hub_edge_sockets_refused 1.0" in await hub.metrics()
