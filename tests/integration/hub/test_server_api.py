"""The server API of the compatibility profile: what it answers, to whom, and that it reaches the
clients of every hub."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.hub.test_plain_channels import close_code, join, token
from tests.support.hub.compatible_hubs import compatible_hub
from tests.support.hub.hub import TestHub, running_hub
from tests.support.servers.store_servers import redis

KEY = {"x-api-key": "key"}


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis() as (_, url):
        yield url


@pytest.fixture
async def hubs(redis_url: str, tmp_path: Path) -> AsyncIterator[tuple[TestHub, TestHub]]:
    async with (
        compatible_hub(tmp_path / "a", redis_url, "hub-a") as first,
        compatible_hub(tmp_path / "b", redis_url, "hub-b") as second,
    ):
        yield first, second


async def call(hub: TestHub, method: str, *, headers: dict[str, str] = KEY, **fields: Any) -> Any:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", timeout=30) as http:
        answer = await http.post(f"/api/{method}", json=fields, headers=headers)
    return answer.json() if answer.status_code == 200 else answer.status_code


async def test_a_publication_reaches_the_subscribers_of_another_hub_and_the_history(
    hubs: tuple[TestHub, TestHub],
) -> None:
    async with hubs[1].dashboard(token()) as dash:
        await join(dash, "news-1")
        first = (await call(hubs[0], "publish", channel="news-1", data={"n": 1}))["result"]
        assert first["offset"] == 1
        while "pub" not in (push := await dash.push()):
            pass
        assert push["pub"] == {"data": {"n": 1}, "offset": 1}
        sent = await call(hubs[0], "broadcast", channels=["news-1", "nowhere:x"], data={"n": 2})
        assert sent["result"]["responses"] == [
            {"result": {"offset": 2, "epoch": first["epoch"]}},
            {"error": {"code": 102, "message": "unknown channel"}},
        ]
        page = (await call(hubs[1], "history", channel="news-1", limit=-1))["result"]
        assert [pub["data"]["n"] for pub in page["publications"]] == [1, 2]
        newest = (await call(hubs[1], "history", channel="news-1", limit=1, reverse=True))["result"]
        assert [pub["offset"] for pub in newest["publications"]] == [2]
        assert (
            await call(
                hubs[1],
                "history",
                channel="news-1",
                limit=1,
                since={"offset": 1, "epoch": "another"},
            )
        )["error"]["code"] == 112
        assert await call(hubs[0], "history_remove", channel="news-1") == {"result": {}}
        assert (await call(hubs[1], "history", channel="news-1", limit=-1))["result"]["offset"] == 2


async def test_who_is_there_is_told_over_all_hubs(hubs: tuple[TestHub, TestHub]) -> None:
    async with hubs[0].dashboard(token()) as ada, hubs[1].dashboard(token("bob")) as bob:
        await join(ada, "room-1")
        await join(bob, "room-1", "bob")
        async with asyncio.timeout(30):
            while (await call(hubs[0], "presence_stats", channel="room-1"))["result"] != {
                "num_clients": 2,
                "num_users": 2,
            }:
                await asyncio.sleep(0.02)
        there = (await call(hubs[1], "presence", channel="room-1"))["result"]["presence"]
        assert sorted(info["user"] for info in there.values()) == ["ada", "bob"]
        [node] = (await call(hubs[1], "info"))["result"]["nodes"]
        assert (node["num_clients"], node["num_users"]) == (1, 1)


async def test_a_user_is_unsubscribed_and_disconnected_on_every_hub(
    hubs: tuple[TestHub, TestHub],
) -> None:
    async with (
        hubs[0].dashboard(token()) as here,
        hubs[1].dashboard(token()) as there,
        hubs[1].dashboard(token("bob")) as other,
    ):
        for dash, sub in ((here, "ada"), (there, "ada"), (other, "bob")):
            await join(dash, "room-2", sub)
        assert await call(hubs[0], "unsubscribe", user="ada", channel="room-2") == {"result": {}}
        for dash in (here, there):
            while "unsubscribe" not in (push := await dash.push()):
                pass
            assert (push["channel"], push["unsubscribe"]["code"]) == ("room-2", 2000)
        await call(hubs[0], "disconnect", user="ada", disconnect={"code": 4321, "reason": "go"})
        for dash in (here, there):
            assert await close_code(dash) == 4321
            assert dash.socket.close_reason == "go"
        assert "error" not in await other.ask("presence", channel="room-2")


async def test_a_batch_answers_each_command(hubs: tuple[TestHub, TestHub]) -> None:
    commands = [
        {"publish": {"channel": "mixed", "data": 1}},
        {"presence": {"channel": "smallhistory:x"}},
        {"nothing": {}},
        {"publish": {"data": 1}},
    ]
    replies = (await call(hubs[0], "batch", commands=commands))["replies"]
    assert replies[0]["publish"]["offset"] == 1
    assert [reply["error"]["code"] for reply in replies[1:]] == [108, 104, 107]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"x-api-key": "wrong"}, 401),
        ({"authorization": "apikey wrong"}, 401),
        ({"authorization": "Bearer key"}, 401),
    ],
)
async def test_nobody_gets_in_without_the_key(
    hubs: tuple[TestHub, TestHub], headers: dict[str, str], status: int
) -> None:
    assert await call(hubs[0], "info", headers=headers) == status
    assert "result" in await call(hubs[0], "info", headers={"authorization": "apikey key"})


@pytest.mark.parametrize(
    ("method", "content", "status"),
    [
        ("publish", b"{", 400),
        ("publish", b'{"channel":5}', 400),
        ("publish", b'{"data":{}' + b" " * 600_000 + b"}", 400),
        ("nothing", b"{}", 404),
        ("batch", b'{"commands":[{}]}', 400),
    ],
)
async def test_bad_requests_are_refused(
    hubs: tuple[TestHub, TestHub], method: str, content: bytes, status: int
) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{hubs[0].port}", timeout=30) as http:
        answer = await http.post(
            f"/api/{method}", content=content, headers=KEY | {"content-type": "application/json"}
        )
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("method", "fields", "code"),
    [
        ("publish", {"channel": "camera:cam-1", "data": {}}, 102),
        ("publish", {"channel": "\0orders", "data": {}}, 102),
        ("publish", {"channel": "x"}, 107),
        ("disconnect", {"user": "ada", "disconnect": {"code": 1000, "reason": ""}}, 107),
        ("history", {"channel": "x", "limit": -2}, 107),
        ("broadcast", {"channels": [], "data": 1}, 107),
    ],
)
async def test_what_makes_no_sense_is_an_error_of_the_protocol(
    hubs: tuple[TestHub, TestHub], method: str, fields: dict[str, Any], code: int
) -> None:
    assert (await call(hubs[0], method, **fields))["error"]["code"] == code


async def test_clients_cannot_name_the_channel_of_orders(hubs: tuple[TestHub, TestHub]) -> None:
    async with hubs[0].dashboard(token()) as dash:
        await dash.socket.send(
            json.dumps({"id": 9, "publish": {"channel": "\0orders", "data": {}}})
        )
        [reply] = [message for message in await dash.receive() if message.get("id") == 9]
        assert reply["error"]["code"] == 102


async def test_without_the_profile_there_is_no_such_api(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        assert await call(hub, "info") in (404, 405)
