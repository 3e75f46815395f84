"""The limits of a hub: with Redis, with the share of an outage, and what is not asked at all."""

import asyncio

import msgspec
import pytest

from actors.core.errors import TooMany
from actors.core.settings import LimitsSettings
from hub.access.rate_limits import Limiter, Scope, place
from tests.support.doubles.memory_buckets import MemoryBuckets


class Clock:
    """Seconds, as told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def limits(**values: float) -> LimitsSettings:
    return msgspec.convert({"timeout_s": 0.05} | values, LimitsSettings)


async def granted(limiter: Limiter, scope: Scope, name: str, times: int) -> int:
    count = 0
    for _ in range(times):
        try:
            await limiter.charge((scope, name))
        except TooMany:
            continue
        count += 1
    return count


async def test_check_38_hubs_share_a_limit_and_nobody_else_pays_for_it() -> None:
    buckets = MemoryBuckets()
    settings = limits(user_requests_per_s=0.01, user_requests_burst=10)
    first, second = Limiter(settings, 2, buckets), Limiter(settings, 2, buckets)
    assert (
        await granted(first, "user_requests", "ada", 7)
        + await granted(second, "user_requests", "ada", 7)
        == 10
    )
    assert await granted(second, "user_requests", "bob", 3) == 3
    assert (first.refused, second.refused["user_requests"], second.alone) == ({}, 4, 0)


async def test_who_was_refused_is_told_when_to_come_back_and_not_asked_about_until_then() -> None:
    buckets, clock = MemoryBuckets(), Clock()
    limiter = Limiter(limits(user_requests_per_s=0.01, user_requests_burst=1), 1, buckets, clock)
    await limiter.charge(("user_requests", "ada"))
    with pytest.raises(TooMany) as caught:
        await limiter.charge(("user_requests", "ada"))
    assert caught.value.retry_after_s is not None
    assert 90 < caught.value.retry_after_s <= 100
    asked = len(buckets.asked)
    assert await granted(limiter, "user_requests", "ada", 50) == 0
    assert len(buckets.asked) == asked
    clock.now += 1.5
    assert await granted(limiter, "user_requests", "ada", 1) == 0
    assert len(buckets.asked) == asked + 1


async def test_check_38_without_redis_each_hub_goes_on_with_its_share() -> None:
    buckets, clock = MemoryBuckets(), Clock()
    limiter = Limiter(limits(user_requests_per_s=1.0, user_requests_burst=10), 2, buckets, clock)
    buckets.faults.down.add("charge")
    assert await granted(limiter, "user_requests", "ada", 20) == 5
    clock.now += 3.0
    assert await granted(limiter, "user_requests", "ada", 1) == 1, (
        "half a token a second, three seconds later"
    )
    assert limiter.alone > 0
    buckets.faults.down.clear()
    clock.now += 3.0
    before = limiter.alone
    assert await granted(limiter, "user_requests", "ada", 8) == 8
    assert limiter.alone == before, "Redis decides again"


async def test_what_was_given_before_an_outage_counts_in_it() -> None:
    buckets, clock = MemoryBuckets(), Clock()
    limiter = Limiter(limits(user_requests_per_s=0.001, user_requests_burst=10), 1, buckets, clock)
    assert await granted(limiter, "user_requests", "ada", 8) == 8
    buckets.faults.down.add("charge")
    assert await granted(limiter, "user_requests", "ada", 8) == 2


async def test_a_hanging_redis_holds_nobody_longer_than_the_timeout() -> None:
    buckets = MemoryBuckets()
    buckets.faults.plan("charge", "hang")
    limiter = Limiter(limits(user_requests_burst=10), 1, buckets)
    async with asyncio.timeout(30):
        await limiter.charge(("user_requests", "ada"))
        await limiter.charge(("user_requests", "ada"))
    assert limiter.alone == 2
    assert buckets.faults.calls["charge"] == 1, "it is left alone for a moment"


async def test_a_gateway_that_says_hello_for_many_cameras_costs_a_few_questions() -> None:
    buckets, clock = MemoryBuckets(), Clock()
    limiter = Limiter(limits(device_hellos_per_s=0.01, device_hellos_burst=120), 1, buckets, clock)
    one_by_one = [
        asyncio.create_task(limiter.charge(("device_hellos", "other-box"))) for _ in range(3)
    ]
    await asyncio.sleep(0)
    one_by_one += [
        asyncio.create_task(limiter.charge(("device_hellos", "other-box"))) for _ in range(130)
    ]
    results = await asyncio.gather(*one_by_one, return_exceptions=True)
    assert sum(result is None for result in results) == 120, "who waited gets what was taken before"
    buckets.asked.clear()
    together = await asyncio.gather(
        *(limiter.charge(("device_hellos", "gate-box")) for _ in range(30))
    )
    assert (len(together), len(buckets.asked)) == (30, 1)
    assert await granted(limiter, "device_hellos", "gate-box", 100) == 90
    assert len(buckets.asked) <= 5


async def test_everybody_waiting_is_answered_when_the_hub_stops() -> None:
    buckets = MemoryBuckets()
    buckets.faults.plan("charge", "hang")
    limiter = Limiter(limits(user_requests_burst=10, timeout_s=30), 1, buckets)
    waiting = asyncio.create_task(limiter.charge(("user_requests", "ada")))
    while not buckets.faults.calls["charge"]:
        await asyncio.sleep(0)
    await limiter.close()
    async with asyncio.timeout(30):
        await waiting


async def test_commands_of_one_user_are_counted_over_all_connections() -> None:
    limiter = Limiter(limits(user_commands_per_s=0.01, user_commands_burst=3), 4, None)
    first, second = limiter.commands("ada"), limiter.commands("ada")
    assert [first(0.0), second(0.0), first(0.0), second(0.0)] == [True, True, True, False]
    assert limiter.commands("bob")(0.0)
    assert limiter.refused == {"user_commands": 1}


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_an_ipv6_host_is_counted_with_its_network(address: str, counted: str) -> None:
    assert place(address) == counted


async def test_failures_of_one_name_are_counted_over_all_addresses() -> None:
    limiter = Limiter(limits(subject_failures_per_s=0.01, subject_failures_burst=3), 1, None)
    for number in range(3):
        await limiter.failed(f"10.0.0.{number}", "ada")
    with pytest.raises(TooMany):
        await limiter.failed("10.0.0.9", "ada")
    await limiter.failed("10.0.0.9", "ben")
    await limiter.failed("10.0.0.9", "")
