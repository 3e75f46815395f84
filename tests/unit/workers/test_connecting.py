"""`workers.connecting` over the doubles."""

import asyncio

import pytest

from actors.core.errors import Unavailable
from storage.ports.background.jobs import Values
from tests.support.doubles.stores import MemoryStores, memory_stores
from workers.connecting import ConnectorRunner
from workers.kinds import ConnectorKind, RunningConnector


class Relays:
    """A kind of connector, and what it does: who runs what, and which fail."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.states: list[Values] = []
        self.broken = False

    async def run(self, connector: RunningConnector) -> None:
        if self.broken:
            raise Unavailable("no route")
        name = connector.connector.claim.name
        self.running.append(name)
        self.states.append(connector.state)
        try:
            await connector.note({"began": connector.connector.claim.generation})
            await asyncio.Event().wait()
        finally:
            self.running.remove(name)


@pytest.fixture
def stores() -> MemoryStores:
    return memory_stores()


@pytest.fixture
async def relays(stores: MemoryStores) -> Relays:
    for name in "abcd":
        await stores.connectors.put(name, "relay", args={})
    return Relays()


def runner(stores: MemoryStores, relays: Relays, name: str) -> ConnectorRunner:
    kinds = {"relay": ConnectorKind("relay", relays.run)}
    return ConnectorRunner(name, stores.connectors, kinds, lease_s=30, chance=lambda: 1.0)


async def rounds(*runners: ConnectorRunner) -> None:
    for one in runners:
        await one.round()
        await asyncio.sleep(0.01)


async def test_workers_share_connectors_and_each_has_one_owner(
    stores: MemoryStores, relays: Relays
) -> None:
    first, second = runner(stores, relays, "w-1"), runner(stores, relays, "w-2")
    await rounds(first)
    assert first.running == list("abcd")
    await rounds(second, first, second)
    assert (first.running, second.running) == (["a", "b"], ["c", "d"])
    assert sorted(relays.running) == list("abcd")
    await second.stop()
    assert sorted(relays.running) == ["a", "b"]
    await rounds(first)
    assert sorted(relays.running) == list("abcd")
    assert relays.states[-1] == {"began": 2}  # what the owner before has noted
    await first.stop()
    assert relays.running == []


async def test_those_of_a_worker_that_went_silent_are_taken_over(
    stores: MemoryStores, relays: Relays
) -> None:
    silent, other = runner(stores, relays, "w-1"), runner(stores, relays, "w-2")
    await rounds(silent)
    stores.jobs.pass_s(61)  # two leases
    await rounds(other)
    assert other.running == list("abcd")
    await rounds(silent)  # it wakes up, and finds them gone
    assert silent.running == []
    assert sorted(relays.running) == list("abcd")
    await other.stop()


async def test_one_that_fails_is_begun_again_later(stores: MemoryStores, relays: Relays) -> None:
    relays.broken = True
    one = runner(stores, relays, "w-1")
    await rounds(one, one, one)
    assert relays.running == []
    assert {(row.error, row.failures) for row in await stores.connectors.all()} == {
        ("Unavailable: no route", 1)
    }
    relays.broken = False
    stores.jobs.pass_s(2)
    await rounds(one)
    assert sorted(relays.running) == list("abcd")
    await stores.connectors.put("a", "relay", args={}, paused=True)
    await rounds(one)
    assert sorted(relays.running) == ["b", "c", "d"]
    await one.stop()
