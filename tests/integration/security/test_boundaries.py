"""What may be decided, named and parsed at a hub's boundaries (checks 24, 26, 27, 54)."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from actors.core.camera import decoding
from actors.core.errors import Unavailable
from actors.core.messages.event_data import AlarmData
from actors.core.messages.events import Event, seal
from actors.core.settings import PolicySettings
from policy.actor.policy_actor import PolicyActor
from policy.decision import bounds
from policy.decision.enforcer import Enforcer
from policy.decision.messages import DecisionReply, encode_reply
from policy.decision.model import Decision, DecisionInput
from policy.engine.modules import read_sources
from policy.engine.rego_engine import RegoEngine
from storage.ports.events import EventRow
from storage.stores import Stores
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.real_policy import real_policy
from tests.support.servers.store_fixtures import stores
from tests.support.store_rows import row_of, running

__all__ = ["stores"]

FOLLOWS_S = 5.0
FORM = Subprotocol("eyrie.edge.v1+json")


def client(hub: TestHub, **token: Any) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {hub.token(**token)}", "if-match": "*"}
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", timeout=30, headers=headers)


# ---- 24: names


BAD_IDS = (
    "*",
    "gate*",
    "[a-z]",
    "g?te",
    "a b",
    "gate\n",
    "a}b",
    "{a}",
    "..",
    "Enforcer",
    "gäte",
    "gate\x00",
    "",
    "x" * 65,
    "-gate",
    "a:b",
    "$gate",
)


async def test_check_24_a_pattern_is_no_name(tmp_path: Path) -> None:
    """Nothing of it comes near Redis: no subscription, no key."""
    async with running_hub(tmp_path, decider=real_policy()) as hub:
        edge = {"authorization": f"Bearer {hub.token('box', typ='edge', roles=['edge'])}"}
        url = f"ws://127.0.0.1:{hub.port}/v1/edge"
        async with client(hub, roles=["admin", "operator"]) as http, hub.dashboard() as dash:
            for name in BAD_IDS:
                for body in ({"camera": name, "site": "north"}, {"camera": "gate", "site": name}):
                    assert (await http.post("/v1/cameras", json=body)).status_code == 400, name
                assert (await http.post("/v1/sites", json={"site": name})).status_code == 400, name
                for path in ("/v1/cameras/{}/state", "/v1/sites/{}/state", "/v1/cameras/{}/events"):
                    encoded = "".join(f"%{byte:02x}" for byte in name.encode())
                    assert (await http.get(path.format(encoded))).status_code in (400, 404), name
                for kind in ("camera:", "site:", "events:camera:", "events:site:"):
                    assert (await dash.ask("subscribe", channel=kind + name))["error"][
                        "code"
                    ] == 102, name
                async with connect(
                    url, subprotocols=[FORM], additional_headers=edge, compression=None, proxy=None
                ) as socket:
                    await socket.send(json.dumps({"type": "hello", "camera": name, "session": "s"}))
                    assert json.loads(await socket.recv())["code"] == 4500, name
        assert hub.memory.redis.sites == {}
        assert hub.memory.database.cameras == {}


def test_check_24_nothing_subscribes_by_a_pattern() -> None:
    root = Path(__file__).resolve().parents[3]
    files = [
        *(root / "storage").rglob("*.py"),
        *(root / "storage").rglob("*.lua"),
        *(root / "hub").rglob("*.py"),
    ]
    assert len(files) > 50
    assert [path.name for path in files if "psubscribe" in path.read_text("utf-8").lower()] == []


# ---- 26: no decision is a deny


async def _dead(_questions: bytes) -> bytes:
    raise Unavailable("the policy actor is gone")  # P1: killed


async def _silent(_questions: bytes) -> bytes:
    await asyncio.Event().wait()  # P1: stopped; P2: an OPA that does not answer
    return b""


async def _garbage(_questions: bytes) -> bytes:
    return b"\x93\x01\x02\x03"


async def _undefined(_questions: bytes) -> bytes:
    return encode_reply(
        DecisionReply("r", [bounds.denied(bounds.POLICY_ERROR, "r")])
    )  # P2: `{}`, 500; P3: a rule that is undefined


async def _too_few(_questions: bytes) -> bytes:
    return encode_reply(DecisionReply("r", []))


async def _too_many(_questions: bytes) -> bytes:
    return encode_reply(DecisionReply("r", [Decision(True, "allowed", "r")] * 300))


FAILURES: dict[str, Callable[[bytes], Awaitable[bytes]]] = {
    "P1 killed": _dead,
    "P1 stopped": _silent,
    "P2 garbage": _garbage,
    "P2 undefined": _undefined,
    "P2 too few": _too_few,
    "P2 too many": _too_many,
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_check_26_without_a_decision_there_is_no_access(
    tmp_path: Path, failure: Callable[[bytes], Awaitable[bytes]]
) -> None:
    """The best token there is gets nothing, by no way."""
    policy = Enforcer(failure, PolicySettings(decide_timeout_s=0.2))
    actor = FakeActor("actor-1")
    async with running_hub(
        tmp_path, decider=policy, directory=FakeDirectory(lambda name: actor)
    ) as hub:
        await hub.register("gate")
        token: dict[str, Any] = {
            "roles": ["admin", "operator", "privacy"],
            "scopes": ["pii:read", "restricted:read"],
        }
        async with client(hub, **token) as http:
            for method, path in (
                ("GET", "/v1/cameras/gate"),
                ("GET", "/v1/cameras/gate/state"),
                ("GET", "/v1/fleet/events"),
                ("GET", "/v1/policy"),
                ("GET", "/v1/audit"),
                ("PUT", "/v1/cameras/gate"),
                ("DELETE", "/v1/cameras/gate"),
                ("POST", "/v1/revocations"),
            ):
                answer = await http.request(
                    method, path, json={"jti": "x"} if "revo" in path else {}
                )
                assert answer.status_code in (403, 503), path
        async with connect(hub.url, compression=None, proxy=None) as socket:
            await socket.send(json.dumps({"id": 1, "connect": {"token": hub.token(**token)}}))
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code in (3507, 4013)
        async with client(hub, sub="box", typ="edge", roles=["edge"]) as http:
            body = {
                "session": "s",
                "first_seq": 1,
                "observations": [{"time": "2026-03-01T12:00:00Z"}],
            }
            assert (await http.post("/v1/cameras/gate/observations", json=body)).status_code in (
                403,
                503,
            )
        assert actor.items == []
        assert "gate" in hub.memory.database.cameras
    await policy.close()


def test_check_26_a_missing_rule_and_an_unknown_action_are_denied() -> None:
    subject = {"typ": "user", "roles": ["admin"], "sites": ["*"], "cameras": None, "scopes": []}
    (made,) = RegoEngine(read_sources()).decide(
        [DecisionInput("fly", subject, {"kind": "dashboard"})]
    )
    assert (made.allow, made.reason) == (False, "no_role")


# ---- 27: who loses a role loses what it gave


@asynccontextmanager
async def watching(
    folder: Path, roles: list[str]
) -> AsyncIterator[tuple[TestHub, Any, PolicyActor]]:
    """A dashboard of these roles on the events of a gate, and the policy actor behind it."""
    actor = PolicyActor(RegoEngine(read_sources()))

    async def call(questions: bytes) -> bytes:
        return actor.decide(questions)

    gate = Enforcer(call, PolicySettings(decide_timeout_s=10.0))
    async with running_hub(folder, decider=gate) as hub:
        gate.on_revision(hub.hub.policy_changed)
        gate.mark_fresh(2**40, RegoEngine(read_sources()).revision)
        await hub.register("gate")
        async with hub.dashboard(hub.token(roles=roles)) as dash:
            assert "error" not in await dash.ask("subscribe", channel="events:camera:gate")
            yield hub, (dash, gate), actor
    await gate.close()


async def test_check_27_a_token_without_the_role_ends_what_the_role_gave(tmp_path: Path) -> None:
    async with watching(tmp_path, ["viewer"]) as (hub, (dash, _), _actor):
        async with asyncio.timeout(FOLLOWS_S):
            await dash.socket.send(
                json.dumps({"id": 99, "refresh": {"token": hub.token(roles=["nobody"])}})
            )
            await dash.socket.wait_closed()
        assert dash.socket.close_code == 3507


async def test_check_27_a_policy_that_takes_the_role_away_ends_open_subscriptions(
    tmp_path: Path,
) -> None:
    async with watching(tmp_path, ["viewer"]) as (_hub, (dash, gate), actor):
        sources = read_sources()
        changed = {
            name: text.replace('looking := {"connect", "subscribe"}', 'looking := {"connect"}')
            for name, text in sources.items()
        }
        assert changed != sources
        engine = RegoEngine(changed)
        async with asyncio.timeout(FOLLOWS_S):
            actor.use(engine)
            gate.mark_fresh(2**40, engine.revision)
            push = await dash.push()
        assert (push["channel"], push["unsubscribe"]["code"]) == ("events:camera:gate", 2502)


# ---- 54: a key that is there twice has one meaning


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object hook that accepts no key twice."""
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


async def test_check_54_a_body_is_decided_and_stored_as_one_and_the_same(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, client(hub, roles=["admin"]) as http:
        await hub.memory.registry.add_site("north")
        await hub.memory.registry.add_site("south")
        body = b'{"camera":"first","site":"south","tags":["restricted"],"camera":"second","site":"north","tags":[]}'  # noqa: E501
        made = await http.post(
            "/v1/cameras", content=body, headers={"content-type": "application/json"}
        )
        assert made.status_code == 201
        asked = [
            question.resource for question in hub.policy.asked if question.action == "register"
        ]
        assert {(one["camera"], one["site"]) for one in asked} == {("second", "north")}
        assert [
            (record.camera, record.site, record.tags)
            for record in hub.memory.database.cameras.values()
        ] == [("second", "north", [])]


async def test_check_54_what_an_edge_says_twice_is_stored_once(stores: Stores) -> None:
    """Ingest, policy and PostgreSQL see the same text, in which no key is twice: it is encoded anew
    after it was read."""
    raw = (
        b'{"time":"2026-03-01T11:00:00Z","time":"2026-03-01T12:00:00Z","alarm":{"type":"first","type":"second",'
        b'"text":"one","text":"two","data":{"plate":"KA 1","plate":"KA 2","deep":{"a":1,"a":2}}}}'
    )
    seen, _faults = decoding.decode(raw, "json")
    assert seen.alarm is not None
    assert (seen.time.hour, seen.alarm.type, seen.alarm.text) == (12, "second", "two")
    data: AlarmData = decoding.alarm_data(seen.alarm)
    generation, position = (await running(stores.registry, stores.cameras, ["gate"]))["gate"]
    event = Event(
        id=f"gate/{position.epoch}/1",
        type="alarm.second",
        site="site",
        camera="gate",
        epoch=position.epoch,
        offset=1,
        session=position.session,
        seq=1,
        time="2026-03-01T12:00:00Z",
        received="2026-03-01T12:00:00Z",
        severity="warning",
        data=msgspec.to_builtins(data),
    )
    stored = seal(
        event, position.chain, received_us=1_790_000_000_000_000, time_us=1_790_000_000_000_000
    )
    assert await stores.cameras.commit([row_of("gate", generation, position, events=[stored])]) == {
        "gate"
    }
    (row,) = await stores.events.latest("gate", 10)
    assert isinstance(row, EventRow)
    document = json.loads(row.body, object_pairs_hook=once)
    assert document == msgspec.json.decode(row.body)
    assert document["data"]["data"] == {"plate": "KA 2", "deep": {"a": 2}}
    question = bounds.canonical(DecisionInput("ingest", {"who": seen.alarm.type}, {}))
    assert question is not None
    assert json.loads(question, object_pairs_hook=once)["subject"] == {"who": "second"}
