"""Plain channels of the compatibility profile, on a real Redis: what the public suites do not
ask."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from storage.redis.plain_channels import Kept, RedisChannels
from tests.support.hub.compatible_hubs import compatible_hub, insecure
from tests.support.hub.hub import Dash
from tests.support.servers.store_servers import redis
from tests.support.tokens import forge

SECRET = b"secret"  # of the profile that compatible_hubs writes


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis() as (_, url):
        yield url


def token(sub: str = "ada", *, ttl_s: float = 600, **claims: Any) -> str:
    return forge({"sub": sub, "exp": int(time.time() + ttl_s)} | claims, SECRET)


async def join(dash: Dash, channel: str, sub: str = "ada", **options: Any) -> dict[str, Any]:
    return await dash.ask(
        "subscribe", channel=channel, token=token(sub, channel=channel, **options)
    )


async def published(dash: Dash) -> dict[str, Any]:
    """The next publication; who joins and leaves meanwhile is passed over."""
    while "pub" not in (push := await dash.push()):
        pass
    return dict(push["pub"])


async def close_code(dash: Dash) -> int | None:
    """The code that the hub closes with; what it sends before is read and left."""
    try:
        while True:
            await dash.receive()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else None


async def test_a_subscription_ends_with_its_token_and_lives_on_with_a_newer_one(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        compatible_hub(tmp_path, redis_url, expired_grace_s=0.1) as hub,
        hub.dashboard(token()) as dash,
    ):
        assert (await join(dash, "short", ttl_s=2))["subscribe"]["expires"]
        assert (await join(dash, "long", ttl_s=2))["subscribe"]["ttl"] in (1, 2)
        renewed = await dash.ask(
            "sub_refresh", channel="long", token=token(channel="long", ttl_s=600)
        )
        assert renewed["sub_refresh"]["ttl"] > 500
        while (push := await dash.push()).get("unsubscribe") is None:
            pass
        assert (push["channel"], push["unsubscribe"]["code"]) == ("short", 2501)
        assert "error" not in await dash.ask("publish", channel="long", data={"still": "here"})
        assert (await dash.ask("publish", channel="short", data={}))["error"]["code"] == 103


async def test_an_expired_subscription_token_is_told_from_a_forged_one(
    redis_url: str, tmp_path: Path
) -> None:
    async with compatible_hub(tmp_path, redis_url) as hub, hub.dashboard(token()) as dash:
        assert (await join(dash, "c", ttl_s=-5))["error"]["code"] == 109
        forged = forge({"sub": "ada", "channel": "c"}, b"another")
        assert (await dash.ask("subscribe", channel="c", token=forged))["error"]["code"] == 103
        await join(dash, "c")
        expired = token(channel="c", ttl_s=-5)
        assert (await dash.ask("sub_refresh", channel="c", token=expired))["error"]["code"] == 109


async def test_a_connection_is_refreshed_by_a_newer_token_of_the_same_user(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        compatible_hub(tmp_path, redis_url, expired_grace_s=0.1) as hub,
        hub.dashboard(token(ttl_s=2)) as dash,
    ):
        assert (await dash.ask("refresh", token=token(ttl_s=-5)))["error"]["code"] == 109
        assert (await dash.ask("refresh", token=token(ttl_s=600)))["refresh"]["ttl"] > 500
        async with hub.dashboard(token(ttl_s=2)) as other:
            assert (
                await close_code(other) == 3005
            )  # by then the refreshed one would have gone as well
        assert "error" not in await dash.ask("ping")
        await dash.socket.send('{{"id":99,"refresh":{{"token":"{}"}}}}'.format(token("bob")))
        assert await close_code(dash) == 3500


async def test_a_subscription_token_is_for_one_channel_and_one_user(
    redis_url: str, tmp_path: Path
) -> None:
    async with compatible_hub(tmp_path, redis_url) as hub:
        for wrong in (token(channel="other"), token("bob", channel="c")):
            async with hub.dashboard(token()) as dash:
                await dash.socket.send(
                    f'{{"id":9,"subscribe":{{"channel":"c","token":"{wrong}"}}}}'
                )
                assert await close_code(dash) == 3500
        async with hub.dashboard(token()) as dash:
            await join(dash, "c")
            await dash.socket.send(
                '{{"id":9,"sub_refresh":{{"channel":"c","token":"{}"}}}}'.format(
                    token("bob", channel="c")
                )
            )
            assert await close_code(dash) == 3500


async def test_publications_carry_who_made_them_and_are_kept(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        compatible_hub(tmp_path, redis_url) as hub,
        hub.dashboard(token()) as ada,
        hub.dashboard(token("bob")) as bob,
    ):
        await join(ada, "talk")
        await join(bob, "talk", "bob")
        for number in range(3):
            assert "error" not in await ada.ask(
                "publish", channel="talk", data={"n": number, "text": "two\nlines"}
            )
        seen = [push["pub"] for push in [await bob.push() for _ in range(4)] if "pub" in push]
        assert [pub["data"]["n"] for pub in seen] == list(range(len(seen)))
        assert seen[0]["info"]["user"] == "ada"
        assert seen[0]["data"]["text"] == "two\nlines"
        page = (await bob.ask("history", channel="talk", limit=2, reverse=True))["history"]
        assert [pub["data"]["n"] for pub in page["publications"]] == [2, 1]
        assert page["offset"] == 3
        who = (await bob.ask("presence", channel="talk"))["presence"]["presence"]
        assert sorted(info["user"] for info in who.values()) == ["ada", "bob"]
        assert (await bob.ask("presence_stats", channel="talk"))["presence_stats"] == {
            "num_clients": 2,
            "num_users": 2,
        }


async def test_what_a_namespace_does_not_allow_is_refused(redis_url: str, tmp_path: Path) -> None:
    async with compatible_hub(tmp_path, redis_url) as hub, hub.dashboard(token()) as dash:
        await join(dash, "smallhistory:c")
        assert (await dash.ask("presence", channel="smallhistory:c"))["error"]["code"] == 108
        assert (await dash.ask("subscribe", channel="unknown:c", token=token(channel="unknown:c")))[
            "error"
        ]["code"] == 102
        assert 'eyrie_hub_reply_errors_total{code="102"} 1.0' in await hub.metrics()
        for method in ("publish", "presence", "history"):
            assert (await dash.ask(method, channel="not-joined", data={}))["error"]["code"] == 103


async def test_a_loose_user_has_none_of_eyries_own_channels_and_no_policy_closes_it(
    redis_url: str, tmp_path: Path
) -> None:
    async with compatible_hub(tmp_path, redis_url) as hub, hub.dashboard(token()) as dash:
        await hub.register("cam-1")
        async with hub.dashboard() as judged:
            hub.policy.unavailable = True
            hub.hub.node.reviews.policy_changed("another")
            assert await close_code(judged) == 4013  # this one is the policy's business
        for channel in ("camera:cam-1", "site:north", "fleet", "events:camera:cam-1"):
            assert "error" in await dash.ask("subscribe", channel=channel)
        assert "error" not in await join(dash, "c")


async def test_an_anonymous_users_genuine_subscription_token_holds(
    redis_url: str, tmp_path: Path
) -> None:
    async with compatible_hub(tmp_path, redis_url) as hub, hub.dashboard(token("")) as dash:
        assert "error" not in await join(dash, "c", "")
        await dash.socket.send(
            '{{"id":9,"subscribe":{{"channel":"d","token":"{}"}}}}'.format(
                token("anonymous", channel="d")
            )
        )
        assert await close_code(dash) == 3500


async def test_an_insecure_hub_asks_for_no_token_and_still_refuses_a_forged_one(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        compatible_hub(tmp_path, redis_url, profile_text=insecure(presence=True)) as hub,
        hub.dashboard("") as dash,
    ):
        assert "error" not in await dash.ask("connect")
        forged = forge({"sub": "", "channel": "c"}, b"another")
        assert (await dash.ask("subscribe", channel="c", token=forged))["error"]["code"] == 103
        assert "error" not in await dash.ask("subscribe", channel="c")
        assert "error" not in await dash.ask("publish", channel="never-joined", data={})
        assert (await dash.ask("presence_stats", channel="never-joined"))["presence_stats"] == {
            "num_clients": 0,
            "num_users": 0,
        }
        assert (await dash.ask("history", channel="never-joined", limit=1))["history"][
            "offset"
        ] == 1
        assert (await dash.ask("rpc"))["error"]["code"] == 108


async def test_a_hub_that_is_not_insecure_closes_a_connection_without_a_token(
    redis_url: str, tmp_path: Path
) -> None:
    async with compatible_hub(tmp_path, redis_url) as hub, hub.dashboard("") as dash:
        await dash.socket.send('{"id":1,"connect":{}}')
        assert await close_code(dash) == 3501


class Slow(RedisChannels):
    """The first subscribe of ``busy`` waits on its way back from Redis, until `goes_on`."""

    waits: asyncio.Event
    goes_on: asyncio.Event

    async def history(self, channel: str, **options: Any) -> tuple[str, int, list[Kept]]:
        found = await super().history(channel, **options)
        if channel == "busy" and not self.waits.is_set():
            self.waits.set()
            await self.goes_on.wait()
        return found


async def test_who_joins_meanwhile_takes_no_publication_from_one_that_is_still_joining(
    redis_url: str, tmp_path: Path
) -> None:
    Slow.waits, Slow.goes_on = asyncio.Event(), asyncio.Event()
    async with (
        compatible_hub(tmp_path, redis_url, store_type=Slow) as hub,
        hub.dashboard(token()) as first,
        hub.dashboard(token("bob")) as other,
    ):
        joining = asyncio.create_task(join(first, "busy"))
        await Slow.waits.wait()
        assert "error" not in await join(other, "busy", "bob")
        assert "error" not in await other.ask("publish", channel="busy", data={"n": 1})
        await published(other)
        Slow.goes_on.set()
        assert (await joining)["subscribe"]["offset"] == 1, (
            "it came while the first was joining, and the first has it"
        )
        assert "error" not in await other.ask("publish", channel="busy", data={"n": 2})
        assert (await published(first))["offset"] == 2
