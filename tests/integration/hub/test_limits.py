"""Limits per user, device and address over real sockets: what who comes too often is told, over two
hubs, and that nobody else pays."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from actors.core.messages.edge_protocol import SUBPROTOCOL_JSON
from actors.core.settings import LimitsSettings
from storage.ports.rate_limits import Buckets
from storage.redis.rate_limits import RedisBuckets
from tests.support.doubles.memory_buckets import MemoryBuckets
from tests.support.hub.hub import TestHub, running_hub
from tests.support.servers.store_fixtures import Servers, wipe
from tests.support.tokens import forge, secret_of
from tests.support.waiting import until

LIMITS = LimitsSettings(
    user_requests_per_s=0.01,
    user_requests_burst=20,
    user_connects_per_s=0.01,
    user_connects_burst=3,
    user_commands_per_s=0.01,
    user_commands_burst=4,
    device_hellos_per_s=0.01,
    device_hellos_burst=4,
    device_posts_per_s=0.01,
    device_posts_burst=5,
    address_failures_per_s=0.01,
    address_failures_burst=12,
    subject_failures_per_s=0.01,
    subject_failures_burst=5,
)


@dataclass
class Pair:
    """Two hubs over the same buckets and secrets."""

    one: TestHub
    two: TestHub


@asynccontextmanager
async def pair(folder: Path, buckets: tuple[Buckets, Buckets]) -> AsyncIterator[Pair]:
    async with (
        running_hub(folder, name="hub-1", limits=LIMITS, buckets=buckets[0]) as one,
        running_hub(folder, name="hub-2", limits=LIMITS, buckets=buckets[1]) as two,
    ):
        yield Pair(one, two)


@pytest.fixture
async def hubs(tmp_path: Path) -> AsyncIterator[Pair]:
    memory = MemoryBuckets()
    async with pair(tmp_path, (memory, memory)) as made:
        yield made


async def answers(
    hub: TestHub, times: int, token: str, *, method: str = "GET", path: str = "/v1/cameras"
) -> list[httpx.Response]:
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{hub.port}", timeout=30, trust_env=False, headers=headers
    ) as http:
        return [await http.request(method, path) for _ in range(times)]


def statuses(found: list[httpx.Response]) -> dict[int, int]:
    return dict(Counter(response.status_code for response in found))


async def test_check_38_requests_of_a_user_are_counted_exactly_over_two_hubs_through_redis(
    tmp_path: Path, servers: Servers
) -> None:
    await wipe(servers.settings)
    buckets = [RedisBuckets(servers.settings.redis, name=name) for name in ("one", "two")]
    async with pair(tmp_path, (buckets[0], buckets[1])) as hubs:
        both = await asyncio.gather(
            answers(hubs.one, 15, hubs.one.token()), answers(hubs.two, 15, hubs.two.token())
        )
        found = [response for side in both for response in side]
        assert statuses(found) == {200: 20, 429: 10}
        refused = next(response for response in found if response.status_code == 429)
        assert 1 <= int(refused.headers["retry-after"]) <= 100
        assert refused.json()["title"] == "too_many"
        assert statuses(await answers(hubs.one, 1, hubs.one.token("bob"))) == {200: 1}
        assert (
            'eyrie_hub_limited_total{scope="user_requests"}'
            in await hubs.one.metrics() + await hubs.two.metrics()
        )
    for bucket in buckets:
        await bucket.close()


async def test_check_38_without_redis_the_limits_stay(tmp_path: Path) -> None:
    memory = MemoryBuckets()
    memory.faults.down.add("charge")
    async with running_hub(tmp_path, limits=LIMITS, buckets=memory) as hub:
        assert statuses(await answers(hub, 25, hub.token())) == {200: 20, 429: 5}
        assert "eyrie_hub_limits_alone_total" in await hub.metrics()
        assert hub.hub.context.limiter.alone >= 40, (
            "each request is charged to its user and its address"
        )


async def test_a_user_who_connects_too_often_is_sent_away_with_back_off(hubs: Pair) -> None:
    async def code(hub: TestHub, sub: str) -> int:
        async with connect(hub.url, compression=None, proxy=None) as socket:
            await socket.send(json.dumps({"id": 1, "connect": {"token": hub.token(sub)}}))
            try:
                return 0 if "connect" in json.loads(await socket.recv()) else 1
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 1006

    assert [await code(hub, "ada") for hub in (hubs.one, hubs.two, hubs.one, hubs.two)] == [
        0,
        0,
        0,
        3013,
    ]
    assert await code(hubs.two, "bob") == 0


async def test_commands_of_a_user_are_counted_over_all_connections_of_a_hub(hubs: Pair) -> None:
    await hubs.one.register("gate")
    async with hubs.one.dashboard() as first, hubs.one.dashboard() as second:
        for dash in (first, second, first, second):
            assert "error" not in await dash.ask("ping")
        refused = await first.ask("subscribe", channel="camera:gate")
        assert (refused["error"]["code"], refused["error"]["temporary"]) == (111, True)


async def test_a_device_that_says_hello_too_often_is_told_to_come_back_later(hubs: Pair) -> None:
    token = hubs.one.token("edge-1", typ="edge", roles=["edge"])
    headers = {"authorization": f"Bearer {token}"}
    url = f"ws://127.0.0.1:{hubs.one.port}/v1/edge"
    async with connect(
        url,
        subprotocols=[SUBPROTOCOL_JSON],  # type: ignore[list-item]
        additional_headers=headers,
        compression=None,
        proxy=None,
    ) as socket:
        for number in range(6):
            hello = {
                "type": "hello",
                "camera": f"c{number}",
                "session": "s1",
                "next_seq": 1,
                "producer": "test",
            }
            await socket.send(json.dumps(hello))
        await until(
            lambda: hubs.one.hub.context.limiter.refused["device_hellos"] == 2,
            what="two refused hellos",
        )
        byes: list[int] = []
        while len(byes) < 2:
            message = json.loads(await socket.recv())
            if message["type"] == "bye":
                byes.append(message["code"])
        assert byes == [4008, 4008]


async def test_posts_of_a_device_get_429_with_retry_after(hubs: Pair) -> None:
    token = hubs.one.token("edge-2", typ="edge", roles=["edge"])
    found = await answers(hubs.one, 8, token, method="POST", path="/v1/cameras/gate/observations")
    assert [response.status_code for response in found][5:] == [429] * 3
    assert 429 not in [response.status_code for response in found][:5]
    assert all(int(response.headers["retry-after"]) >= 1 for response in found[5:])


def bad(hub: TestHub, sub: str, *, kid: str | None = None) -> str:
    """A token with the right form: by another secret, or by a key nobody knows."""
    now = int(time.time())
    claims = {
        "iss": "eyrie",
        "aud": "eyrie",
        "sub": sub,
        "jti": "x",
        "iat": now,
        "exp": now + 60,
        "typ": "user",
    }
    if kid is not None:
        return forge(claims, secret_of(hub.auth), {"alg": "HS256", "typ": "JWT", "kid": kid})
    return forge(claims, bytes(32))


async def test_check_13_failed_tokens_are_limited_per_name_and_address_and_lock_nobody_out(
    hubs: Pair,
) -> None:
    assert [
        response.status_code for response in await answers(hubs.one, 7, bad(hubs.one, "ada"))
    ] == [401] * 5 + [429] * 2
    assert statuses(await answers(hubs.one, 2, hubs.one.token("ada"))) == {200: 2}, (
        "who is meant by a failure is not locked out by it"
    )
    by_name = [await answers(hubs.two, 1, bad(hubs.two, f"user-{number}")) for number in range(9)]
    found = [response.status_code for [response] in by_name]
    assert found.count(401) == 5, (
        "the address has its own limit, and seven were used up at the other hub"
    )
    assert found[-1] == 429
    assert statuses(await answers(hubs.two, 2, hubs.two.token("bob"))) == {200: 2}


async def test_check_13_the_answer_does_not_tell_an_unknown_key_from_a_bad_signature(
    hubs: Pair,
) -> None:
    shapes: list[tuple[int, bytes, list[str]]] = []
    makers: list[Callable[[], Awaitable[list[httpx.Response]]]] = [
        lambda: answers(hubs.one, 1, bad(hubs.one, "ada")),
        lambda: answers(hubs.one, 1, bad(hubs.one, "ada", kid="nobody")),
        lambda: answers(hubs.one, 1, "no.token.atall"),
    ]
    for make in makers:
        (response,) = await make()
        shapes.append(
            (response.status_code, response.content, sorted(set(response.headers) - {"date"}))
        )
    assert shapes[0] == shapes[1] == shapes[2]
    assert shapes[0][0] == 401
