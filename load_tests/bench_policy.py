"""How fast decisions are: by the embedded engine alone, and through the gate with a warm cache."""

import asyncio
import random
import time

from actors.core.settings import PolicySettings
from load_tests.results import Measured
from policy import questions
from policy.gate import Gate
from policy.policy_actor import PolicyActor
from policy.ports import Principal, Question
from policy.rego_engine import RegoEngine
from policy.sources import read_sources

CLIENTS = 2000  # of the connect storm
PERMISSIONS = 20  # distinct sets of permissions among them


def run(seed: int, *, embedded: int = 2000, cached: int = 50_000) -> Measured:
    """`embedded` decisions one by one (the floor), `cached` through the gate, and one connect storm. Seconds are wall time on one core."""
    chance = random.Random(seed)
    people = [_person(chance, number) for number in range(PERMISSIONS)]
    asked = [_question(chance, chance.choice(people)) for _ in range(256)]
    engine = RegoEngine(read_sources())
    own = _measure_engine(engine, [chance.choice(asked) for _ in range(embedded)])
    warm, storm = asyncio.run(_measure_gate(engine, [chance.choice(asked) for _ in range(cached)], people))
    return Measured(
        figures={
            "cached_per_s": len(warm) / sum(warm),
            "cached_p99_s": _p99(warm),
            "storm_clients": CLIENTS,
            "storm_evaluations": storm,
        },
        floor={"embedded_per_s": len(own) / sum(own), "embedded_p99_s": _p99(own)},
        ratios={"cached_vs_embedded": sum(own) / len(own) * len(warm) / sum(warm)},
    )


def _person(chance: random.Random, number: int) -> Principal:
    roles = (chance.choice(["guest", "viewer", "operator"]),)
    return Principal(f"user-{number}", f"t-{number}", "user", 1, 2, roles, (f"site-{number}",))


def _question(chance: random.Random, who: Principal) -> Question:
    camera = f"camera-{chance.randrange(100)}"
    return questions.subscribe(who, "camera", camera, site=chance.choice([*who.sites, "site-0"]), tags=chance.choice([[], ["restricted"]]))


def _measure_engine(engine: RegoEngine, asked: list[Question]) -> list[float]:
    took = []
    for question in asked:
        before = time.perf_counter()
        engine.decide([question])
        took.append(time.perf_counter() - before)
    return took


async def _measure_gate(engine: RegoEngine, asked: list[Question], people: list[Principal]) -> tuple[list[float], int]:
    actor = PolicyActor(engine)

    async def call(data: bytes) -> bytes:
        return await asyncio.to_thread(actor.decide, data)

    gate = Gate(call, PolicySettings(decide_timeout_s=30.0))
    await asyncio.gather(*(gate.decide(question) for question in asked))
    took = []
    for question in asked:
        before = time.perf_counter()
        await gate.decide(question)
        took.append(time.perf_counter() - before)
    evaluated = gate.stats.evaluated
    storm = (questions.connect(people[number % PERMISSIONS], to="dashboard") for number in range(CLIENTS))
    await asyncio.gather(*(gate.decide(question) for question in storm))
    evaluations = gate.stats.evaluated - evaluated
    await gate.close()
    return took, evaluations


def _p99(took: list[float]) -> float:
    return sorted(took)[int(len(took) * 0.99)]
