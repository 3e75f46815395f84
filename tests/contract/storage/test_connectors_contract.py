"""`storage.ports.background.connectors`: doubles and PostgreSQL. A lease below 0 s is over."""

import asyncio

from tests.support.servers.store_fixtures import Contract

KINDS = ["relay"]


async def test_a_connector_has_one_owner_and_who_lost_it_changes_nothing(
    contract: Contract,
) -> None:
    connectors = contract.connectors
    await connectors.put("to-a", "relay", args={"topic": "a"}, who="ann")
    await connectors.put("to-b", "unheard-of", args={})
    parts = await asyncio.gather(
        *(connectors.claim(name, KINDS, limit=5, lease_s=-1) for name in ("w-1", "w-2"))
    )
    old = next(one for part in parts for one in part)
    assert (old.claim.name, old.kind, old.args, old.state) == ("to-a", "relay", {"topic": "a"}, {})
    (new,) = await connectors.claim("w-3", KINDS, limit=5, lease_s=60)
    assert new.claim.generation > old.claim.generation
    assert await connectors.claim("w-4", KINDS, limit=5, lease_s=60) == []
    assert await connectors.renew([old.claim], lease_s=60) == set()
    assert await connectors.note(old.claim, {"offset": 9}) is False
    assert await connectors.release(old.claim) is False
    assert await connectors.renew([new.claim], lease_s=60) == {"to-a"}
    assert await connectors.note(new.claim, {"offset": 7}) is True
    assert await connectors.release(new.claim) is True
    assert await connectors.renew([new.claim], lease_s=60) == set()
    (again,) = await connectors.claim("w-4", KINDS, limit=5, lease_s=60)
    assert again.state == {"offset": 7}


async def test_one_that_failed_waits_and_tells_why(contract: Contract) -> None:
    connectors = contract.connectors
    await connectors.put("to-a", "relay", args={})
    (one,) = await connectors.claim("w-1", KINDS, limit=5, lease_s=60)
    assert await connectors.release(one.claim, after_s=3600, error="no route") is True
    assert await connectors.claim("w-1", KINDS, limit=5, lease_s=60) == []
    (row,) = await connectors.all()
    assert (row.error, row.failures, row.owner) == ("no route", 1, "")
    await connectors.put("to-a", "relay", args={"new": 1})  # mended by a person: tried at once
    (one,) = await connectors.claim("w-1", KINDS, limit=5, lease_s=60)
    assert (one.args, one.failures) == ({"new": 1}, 0)


async def test_what_is_changed_paused_or_removed_is_taken_from_its_owner(
    contract: Contract,
) -> None:
    connectors = contract.connectors
    await connectors.put("to-a", "relay", args={})
    (one,) = await connectors.claim("w-1", KINDS, limit=5, lease_s=60)
    await connectors.put("to-a", "relay", args={}, paused=True)
    assert await connectors.renew([one.claim], lease_s=60) == set()
    assert await connectors.claim("w-1", KINDS, limit=5, lease_s=60) == []
    await connectors.put("to-a", "relay", args={})
    (one,) = await connectors.claim("w-1", KINDS, limit=5, lease_s=60)
    assert await connectors.remove("to-a") is True
    assert await connectors.remove("to-a") is False
    assert await connectors.renew([one.claim], lease_s=60) == set()


async def test_workers_know_their_share(contract: Contract) -> None:
    connectors = contract.connectors
    for name in "abc":
        await connectors.put(name, "relay", args={})
    await connectors.put("d", "relay", args={}, paused=True)
    share = await connectors.beat("w-1", seen_s=60)
    assert (share.workers, share.connectors, share.connectors_each) == (1, 3, 3)
    share = await connectors.beat("w-2", seen_s=60)
    assert (share.workers, share.connectors_each) == (2, 2)
    assert (await connectors.beat("w-2", seen_s=-60)).workers == 1
    await connectors.leave("w-1")
    assert (await connectors.beat("w-2", seen_s=60)).workers == 1


async def test_a_breaker_is_changed_by_whoever_knows_it(contract: Contract) -> None:
    breakers = contract.breakers
    assert await breakers.get("hook") is None
    assert await breakers.swap("hook", "{}", version=1) is None
    assert await breakers.swap("hook", "{}", version=0) == 1
    assert await breakers.swap("hook", "{}", version=0) is None
    both = await asyncio.gather(*(breakers.swap("hook", f"[{n}]", version=1) for n in range(2)))
    assert sorted(both, key=str) == [2, None]
    found = await breakers.get("hook")
    assert found is not None
    assert (found.version, found.body) == (2, f"[{both.index(2)}]")
    assert [one.name for one in await breakers.all()] == ["hook"]
