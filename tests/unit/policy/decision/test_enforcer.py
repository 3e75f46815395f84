"""The gate: one evaluation for many, and closed whenever there is no answer."""

import asyncio
from collections.abc import Callable

import pytest

from actors.core.errors import Unavailable
from actors.core.settings import PolicySettings
from policy.decision import bounds
from policy.decision import enforcer as gate_module
from policy.decision.enforcer import PROBE, Enforcer
from policy.decision.messages import DecisionReply, decode_questions, encode_reply
from policy.decision.model import Decision, DecisionInput
from tests.support.waiting import until

REVISION = "r1"


class Actor:
    """A policy actor that allows `subscribe` and nothing else. Switches: `failure` raises, `hold`
    keeps calls waiting until set."""

    def __init__(self) -> None:
        self.revision = REVISION
        self.failure: Exception | None = None
        self.hold: asyncio.Event | None = None
        self.calls: list[int] = []
        self.raw: bytes | None = None
        self.valid_until: float | None = None
        self.reason = "allowed"
        self.flying = 0
        self.most_flying = 0

    async def __call__(self, data: bytes) -> bytes:
        questions = decode_questions(data)
        self.calls.append(len(questions))
        revision = self.revision
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            if self.hold is not None:
                await self.hold.wait()
            if self.failure is not None:
                raise self.failure
        finally:
            self.flying -= 1
        if self.raw is not None:
            return self.raw
        return encode_reply(
            DecisionReply(
                revision,
                [
                    Decision(
                        q.action == "subscribe", self.reason, revision, valid_until=self.valid_until
                    )
                    for q in questions
                ],
            )
        )


def ask(number: int = 0, action: str = "subscribe") -> DecisionInput:
    return DecisionInput(action, {"roles": [f"role-{number}"]}, {"kind": "fleet"})


@pytest.fixture
def actor() -> Actor:
    return Actor()


def make(
    actor: Actor,
    *,
    now: Callable[[], float] = lambda: 1000.0,
    timeout_s: float = 5.0,
    entries: int = 1000,
    must_be_fresh: bool = False,
) -> Enforcer:
    settings = PolicySettings(decide_timeout_s=timeout_s, cache_entries=entries)
    return Enforcer(actor, settings, now=now, steady=now, must_be_fresh=must_be_fresh)


async def test_a_storm_of_2000_with_20_permissions_costs_20_evaluations(actor: Actor) -> None:
    gate = make(actor)
    made = await asyncio.gather(*(gate.decide(ask(n % 20)) for n in range(2000)))
    assert all(decision.allow for decision in made)
    assert sum(actor.calls) == 20
    assert len(actor.calls) == 1
    assert (gate.stats.evaluated, gate.stats.shared) == (20, 1980)


async def test_who_asks_during_a_call_shares_its_answer(actor: Actor) -> None:
    gate, actor.hold = make(actor), asyncio.Event()
    first = asyncio.create_task(gate.decide(ask()))
    while not actor.calls:
        await asyncio.sleep(0)
    second = asyncio.create_task(gate.decide(ask()))
    await asyncio.sleep(0)
    actor.hold.set()
    assert (await first) == (await second)
    assert actor.calls == [1]


async def test_the_second_time_comes_from_the_cache(actor: Actor) -> None:
    gate = make(actor)
    assert await gate.decide(ask()) == await gate.decide(ask())
    assert not (await gate.decide(ask(action="fly"))).allow
    assert not (await gate.decide(ask(action="fly"))).allow
    assert actor.calls == [1, 1]
    assert gate.stats.hits == 2


async def test_one_caller_that_goes_away_harms_no_other(actor: Actor) -> None:
    gate, actor.hold = make(actor), asyncio.Event()
    tasks = [asyncio.create_task(gate.decide(ask())) for _ in range(3)]
    while not actor.calls:
        await asyncio.sleep(0)
    tasks[0].cancel()
    actor.hold.set()
    assert [decision.allow for decision in await asyncio.gather(*tasks[1:])] == [True, True]


async def test_calls_in_flight_and_their_size_are_bounded(actor: Actor) -> None:
    gate, actor.hold = make(actor), asyncio.Event()
    tasks = [asyncio.create_task(gate.decide(ask(n))) for n in range(1000)]
    while actor.flying < gate_module.MAX_CALLS:
        await asyncio.sleep(0)
    actor.hold.set()
    assert all(decision.allow for decision in await asyncio.gather(*tasks))
    assert actor.most_flying == gate_module.MAX_CALLS
    assert max(actor.calls) == gate_module.ASKED_AT_ONCE
    assert sum(actor.calls) == 1000


async def test_more_waiting_than_the_bound_is_denied(
    actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_module, "MAX_WAITING", 10)
    gate = make(actor)
    made = await asyncio.gather(*(gate.decide(ask(n)) for n in range(15)))
    assert [decision.allow for decision in made] == [True] * 10 + [False] * 5
    assert {decision.reason for decision in made[10:]} == {bounds.POLICY_UNAVAILABLE}


@pytest.mark.parametrize("failure", [Unavailable("gone"), TimeoutError(), RuntimeError("a bug")])
async def test_a_failing_call_denies_and_is_not_remembered(
    actor: Actor, failure: Exception
) -> None:
    gate, actor.failure = make(actor), failure
    assert await gate.decide(ask()) == bounds.denied(bounds.POLICY_UNAVAILABLE, "")
    actor.failure = None
    assert (await gate.decide(ask())).allow


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc1",
        b"\x90",
        encode_reply(DecisionReply("r", [])),
        encode_reply(DecisionReply("r", [Decision(True, "a", "r")] * 2)),
    ],
)
async def test_an_answer_out_of_shape_denies(actor: Actor, raw: bytes) -> None:
    gate, actor.raw = make(actor), raw
    assert (await gate.decide(ask())).reason == bounds.POLICY_UNAVAILABLE


async def test_no_answer_in_time_denies(actor: Actor) -> None:
    gate, actor.hold = make(actor, timeout_s=0.05), asyncio.Event()
    made = await gate.decide(ask())
    assert (made.allow, made.reason) == (False, bounds.POLICY_UNAVAILABLE)
    assert gate.stats.unavailable == 1
    actor.hold = None
    assert (await gate.decide(ask(1))).allow


async def test_a_bad_question_is_not_sent(actor: Actor) -> None:
    gate = make(actor)
    assert (
        await gate.decide(DecisionInput("subscribe", {"who": "a\x00"}, {}))
    ).reason == bounds.BAD_QUESTION
    assert actor.calls == []


@pytest.mark.parametrize("reason", sorted(bounds.UNCACHED))
async def test_a_failure_of_the_engine_is_not_cached(actor: Actor, reason: str) -> None:
    gate, actor.reason = make(actor), reason
    await gate.decide(ask(action="fly"))
    await gate.decide(ask(action="fly"))
    assert actor.calls == [1, 1]


async def test_a_decision_is_kept_no_longer_than_it_is_valid(actor: Actor) -> None:
    now = [1000.0]
    gate, actor.valid_until = make(actor, now=lambda: now[0]), 1010.0
    await gate.decide(ask())
    now[0] = 1009.9
    await gate.decide(ask())
    assert actor.calls == [1]
    now[0] = 1010.0
    await gate.decide(ask())
    assert actor.calls == [1, 1]


async def test_the_cache_is_bounded_and_forgets_the_least_used(actor: Actor) -> None:
    gate = make(actor, entries=3)
    for number in (0, 1, 2, 0, 3):
        await gate.decide(ask(number))
    assert len(actor.calls) == 4
    await gate.decide(ask(0))
    assert len(actor.calls) == 4
    await gate.decide(ask(1))
    assert len(actor.calls) == 5


async def test_a_new_revision_drops_the_cache_and_tells(actor: Actor) -> None:
    gate = make(actor)
    told: list[str] = []
    gate.on_revision(told.append)
    await gate.decide(ask())
    assert (gate.revision, told) == ("r1", [])
    actor.revision = "r2"
    assert (await gate.decide(ask())).revision == "r1"
    assert (await gate.decide(ask(1))).revision == "r2"
    assert (gate.revision, told) == ("r2", ["r2"])
    assert (await gate.decide(ask())).revision == "r2"


async def test_once_a_revision_is_announced_only_its_decisions_are_kept(actor: Actor) -> None:
    gate = make(actor)
    gate.mark_fresh(1000.0, "r2")
    for _ in range(2):
        assert (await gate.decide(ask())).revision == "r1"
    assert actor.calls == [1, 1]
    actor.revision = "r2"
    for _ in range(2):
        assert (await gate.decide(ask())).revision == "r2"
    assert actor.calls == [1, 1, 1]


async def test_who_asks_after_a_new_revision_does_not_share_an_older_answer(actor: Actor) -> None:
    gate, hold = make(actor), asyncio.Event()
    actor.hold = hold
    first = asyncio.create_task(gate.decide(ask()))
    while not actor.calls:
        await asyncio.sleep(0)
    actor.revision = "r2"
    gate.mark_fresh(1000.0, "r2")
    actor.hold = None
    assert (await gate.decide(ask())).revision == "r2"
    hold.set()
    assert (await first).revision == "r1"
    assert (await gate.decide(ask())).revision == "r2"


async def test_unreadable_for_5_s_means_no_new_access(actor: Actor) -> None:
    now = [1000.0]
    gate = make(actor, now=lambda: now[0])
    assert (await gate.decide(ask())).allow
    gate.mark_fresh(1000.0)
    now[0] = 1005.0
    assert (await gate.decide(ask())).allow
    now[0] = 1005.1
    assert await gate.decide(ask()) == bounds.denied(bounds.POLICY_STALE, "r1")
    gate.mark_fresh(1005.1)
    assert (await gate.decide(ask())).allow


async def test_where_freshness_is_demanded_nothing_passes_before_the_first_mark(
    actor: Actor,
) -> None:
    gate = make(actor, must_be_fresh=True)
    assert (await gate.decide(ask())).reason == bounds.POLICY_STALE


async def test_close_denies_who_waits(actor: Actor) -> None:
    gate, actor.hold = make(actor), asyncio.Event()
    tasks = [asyncio.create_task(gate.decide(ask(n))) for n in range(bounds.MAX_BATCH * 3)]
    while actor.flying < gate_module.MAX_CALLS:
        await asyncio.sleep(0)
    await gate.close()
    assert {decision.reason for decision in await asyncio.gather(*tasks)} == {
        bounds.POLICY_UNAVAILABLE
    }
    assert actor.flying == 0
    assert (await gate.decide(ask(7000))).reason == bounds.POLICY_UNAVAILABLE


async def test_answers_of_an_older_revision_are_asked_again_until_the_new_one_answers() -> None:
    served = ["r1"]

    async def call(data: bytes) -> bytes:
        found = decode_questions(data)
        return encode_reply(
            DecisionReply(served[0], [Decision(True, "allowed", served[0]) for _ in found])
        )

    gate = Enforcer(call, PolicySettings(), now=lambda: 1000.0, steady=lambda: 1000.0)
    heard: list[tuple[str, bool]] = []
    gate.on_revision(lambda revision: heard.append((revision, gate.behind)))
    gate.mark_fresh(1000.0, "r1")
    gate.mark_fresh(1000.0, "r2")
    assert (await gate.decide(PROBE)).revision == "r1"
    assert gate.behind
    served[0] = "r2"
    await until(lambda: len(heard) == 2, what="the second telling")
    assert heard == [("r2", False), ("r2", False)]
    assert not gate.behind
    await gate.close()


async def test_a_second_replica_that_is_late_is_waited_for_too() -> None:
    served, turn = ["r2", "r1"], iter(range(1_000_000))

    async def call(data: bytes) -> bytes:
        revision = served[next(turn) % 2]
        return encode_reply(
            DecisionReply(
                revision, [Decision(True, "allowed", revision) for _ in decode_questions(data)]
            )
        )

    gate = Enforcer(call, PolicySettings(), now=lambda: 1000.0, steady=lambda: 1000.0)
    heard: list[str] = []
    gate.mark_fresh(1000.0, "r2")
    gate.on_revision(heard.append)
    await gate.decide(PROBE)  # answered by the first replica, and cached
    assert (
        await gate.decide(DecisionInput("connect", {"typ": "user"}, {"kind": "dashboard"}))
    ).revision == "r1"
    await until(lambda: len(heard) == 1, what="the telling after the first replica's answer")
    assert (
        await gate.decide(DecisionInput("connect", {"typ": "edge"}, {"kind": "dashboard"}))
    ).revision == "r1"
    assert gate.behind
    served[1] = "r2"
    await until(lambda: not gate.behind, what="the late replica has caught up")
    assert heard == ["r2", "r2"]
    await gate.close()
