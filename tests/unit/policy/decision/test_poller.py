"""The poll of revision and revocations: what is read is applied, what cannot be read closes the
gate."""

import asyncio

import pytest

from actors.core.errors import Unavailable
from actors.core.settings import PolicySettings
from policy.decision import bounds
from policy.decision.enforcer import Enforcer
from policy.decision.messages import DecisionReply, decode_questions, encode_reply
from policy.decision.model import Decision, DecisionInput
from policy.decision.poller import PolicyPoller
from policy.identity.principal import Principal
from policy.identity.revocations import Revocations
from storage.ports.policy import PolicyMarks, Revocation
from tests.support.waiting import until

SETTINGS = PolicySettings(poll_s=0.01)
ADA = Principal("ada", "t-1", "user", 100, 700)


class Store:
    """Holds the marks; `failure` raises, `hold` keeps readers waiting."""

    def __init__(self) -> None:
        self.marks = PolicyMarks(None, [])
        self.failure: Exception | None = None
        self.hold: asyncio.Event | None = None
        self.reads = 0

    async def read(self) -> PolicyMarks:
        self.reads += 1
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        return self.marks


async def allow(data: bytes) -> bytes:
    return encode_reply(
        DecisionReply("r1", [Decision(True, "allowed", "r1") for _ in decode_questions(data)])
    )


class Clock:
    """Seconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def gate(clock: Clock) -> Enforcer:
    return Enforcer(allow, SETTINGS, now=clock, steady=clock, must_be_fresh=True)


@pytest.fixture
def watch(store: Store, gate: Enforcer, clock: Clock) -> PolicyPoller:
    return PolicyPoller(store.read, gate, SETTINGS, now=clock)


async def reason(gate: Enforcer) -> str:
    return (await gate.decide(DecisionInput("connect", {}, {}))).reason


async def test_a_read_opens_the_gate_and_brings_revision_and_revocations(
    store: Store, gate: Enforcer, watch: PolicyPoller
) -> None:
    assert await reason(gate) == bounds.POLICY_STALE
    store.marks = PolicyMarks("r1", [Revocation("jti", "t-1", 0)])
    told: list[Revocations] = []
    watch.on_revocations(told.append)
    assert await watch.refresh()
    assert await reason(gate) == "allowed"
    assert gate.revision == "r1"
    assert not watch.revocations.holds(ADA)
    await watch.refresh()
    assert told == [watch.revocations]


async def test_no_revision_stored_leaves_it_to_the_actor(
    gate: Enforcer, watch: PolicyPoller
) -> None:
    await watch.refresh()
    assert gate.revision == ""
    await reason(gate)
    assert gate.revision == "r1"


async def test_unreadable_closes_the_gate_after_5_s_and_keeps_revocations(
    store: Store, gate: Enforcer, watch: PolicyPoller, clock: Clock
) -> None:
    store.marks = PolicyMarks("r1", [Revocation("jti", "t-1", 0)])
    await watch.refresh()
    store.failure = Unavailable("the database is away")
    clock.now += 5.0
    assert not await watch.refresh()
    assert await reason(gate) == "allowed"
    clock.now += 0.1
    assert not await watch.refresh()
    assert await reason(gate) == bounds.POLICY_STALE
    assert not watch.revocations.holds(ADA)
    store.failure = None
    assert await watch.refresh()
    assert await reason(gate) == "allowed"


async def test_a_clock_that_is_set_keeps_no_stale_policy_in_force_and_denies_nobody(
    store: Store,
) -> None:
    wall, steady = Clock(), Clock()
    gate = Enforcer(allow, SETTINGS, now=wall, steady=steady, must_be_fresh=True)
    watch = PolicyPoller(store.read, gate, SETTINGS, now=steady)
    await watch.refresh()
    wall.now += 7_200.0
    assert await reason(gate) == "allowed"
    store.failure = Unavailable("the database is away")
    wall.now -= 14_400.0
    steady.now += 5.1
    assert await reason(gate) == bounds.POLICY_STALE


async def test_polling_goes_on_over_failures_and_may_be_hastened(
    store: Store, gate: Enforcer
) -> None:
    slow = PolicyPoller(store.read, gate, PolicySettings(poll_s=3600.0))
    store.failure = Unavailable("away")
    polling = asyncio.create_task(slow.run())
    try:
        await until(lambda: store.reads == 1)
        store.failure = None
        slow.hasten()
        await until(lambda: store.reads == 2)
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)


async def test_polling_repeats_by_itself(store: Store, watch: PolicyPoller) -> None:
    polling = asyncio.create_task(watch.run())
    try:
        await until(lambda: store.reads >= 3)
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
