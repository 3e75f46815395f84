"""How fast decisions are, embedded, by OPA and out of a warm cache, and how fast open sockets follow a revocation and an activation."""

import asyncio
import random
import time

from actors.core.settings import OpaSettings, PolicySettings
from load_tests import policy_followers
from load_tests.opa_child import opa_binary, opa_child
from load_tests.results import Measured, percentile, spread
from load_tests.stack import stack
from policy import questions
from policy.gate import Gate
from policy.opa_engine import OpaEngine
from policy.policy_actor import PolicyActor
from policy.ports import Engine, Principal, Question
from policy.rego_engine import RegoEngine
from policy.sources import read_sources, revision

CLIENTS = 2000  # of the connect storm
PERMISSIONS = 20  # distinct sets of permissions among them


def run(seed: int, *, embedded: int = 2000, cached: int = 50_000, sockets: int = 100, rounds: int = 10) -> Measured:
    """`embedded` decisions one by one (the floor), `cached` through the gate, one connect storm; then `rounds` revocations and activations,
    each followed by `sockets` open sockets through a private Eyrie with two hubs and two policy replicas (0: not measured).

    Seconds are wall time. ``opa`` is ``absent`` without a binary.
    """
    chance = random.Random(seed)
    people = [_person(chance, number) for number in range(PERMISSIONS)]
    asked = [_question(chance, chance.choice(people)) for _ in range(256)]
    engine = RegoEngine(read_sources())
    own = _measure_engine(engine, [chance.choice(asked) for _ in range(embedded)])
    warm, storm = asyncio.run(_measure_gate(engine, [chance.choice(asked) for _ in range(cached)], people))
    figures: dict[str, object] = {
        "cached_per_s": len(warm) / sum(warm),
        "cached_p99_s": _p99(warm),
        "storm_clients": CLIENTS,
        "storm_evaluations": storm,
        **_measure_opa([chance.choice(asked) for _ in range(embedded)]),
    }
    if rounds:
        figures |= _measure_followers(sockets, rounds)
    return Measured(
        figures=figures,
        floor={"embedded_per_s": len(own) / sum(own), "embedded_p99_s": _p99(own)},
        ratios={"cached_vs_embedded": sum(own) / len(own) * len(warm) / sum(warm)},
    )


def _measure_opa(asked: list[Question]) -> dict[str, object]:
    binary = opa_binary()
    if binary is None:
        return {"opa": "absent"}
    sources = read_sources()
    with opa_child(binary) as url:
        engine = OpaEngine(OpaSettings(url=url, timeout_s=5.0), revision(sources))
        engine.push(sources)
        took = _measure_engine(engine, asked)
        engine.close()
    return {"opa_per_s": len(took) / sum(took), "opa_p99_s": _p99(took)}


def _measure_followers(sockets: int, rounds: int) -> dict[str, object]:
    with stack({"EYRIE_HUB_REPLICAS": "2", "EYRIE_POLICY_REPLICAS": "2"}) as running:
        running.register([policy_followers.CAMERA], policy_followers.SITE, b"{}")
        revoked = asyncio.run(policy_followers.revocations(running, sockets, rounds))
        activated = asyncio.run(policy_followers.activations(running, sockets, rounds))
    return {
        "sockets": sockets,
        "revocation_p99_s": _p99(revoked),
        "revocation_s": spread(revoked),
        "activation_p99_s": _p99(activated),
        "activation_s": spread(activated),
    }


def _person(chance: random.Random, number: int) -> Principal:
    roles = (chance.choice(["guest", "viewer", "operator"]),)
    return Principal(f"user-{number}", f"t-{number}", "user", 1, 2, roles, (f"site-{number}",))


def _question(chance: random.Random, who: Principal) -> Question:
    camera = f"camera-{chance.randrange(100)}"
    return questions.subscribe(who, "camera", camera, site=chance.choice([*who.sites, "site-0"]), tags=chance.choice([[], ["restricted"]]))


def _measure_engine(engine: Engine, asked: list[Question]) -> list[float]:
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
    return percentile(sorted(took), 0.99)
