"""How fast decisions are, embedded, by OPA and out of a warm cache; what asking about each camera
of a wall costs; and how fast open sockets follow a revocation and an activation."""

import asyncio
import random
import time

from actors.core.settings import OpaSettings, PolicySettings
from load_tests.benches.policies import policy_followers, policy_walls
from load_tests.benches.policies.opa_server import opa_binary, opa_child
from load_tests.harness.results import Measured, Spread, percentile, spread
from load_tests.harness.stack import stack
from policy.actor.policy_actor import PolicyActor
from policy.decision import inputs
from policy.decision.enforcer import Enforcer
from policy.decision.model import DecisionInput, Engine
from policy.engine.modules import read_sources, revision
from policy.engine.opa_engine import OpaEngine
from policy.engine.rego_engine import RegoEngine
from policy.identity.principal import Principal

CLIENTS = 2000  # of the connect storm
PERMISSIONS = 20  # distinct sets of permissions among them
SLICES = 5  # in which the engine and the cache take turns


def run(
    seed: int,
    *,
    embedded: int = 2000,
    cached: int = 50_000,
    watchers: int = PERMISSIONS,
    sockets: int = 100,
    rounds: int = 20,
) -> Measured:
    """`embedded` decisions one by one (the floor), `cached` through the gate, one connect storm, a
    wall of 1,000 cameras for `watchers` sets of permissions.

    Then `rounds` revocations and activations, each followed by `sockets` open sockets through a
    private Eyrie with two hubs and two policy replicas (0: not measured). Seconds are wall time.
    ``opa`` is ``absent`` without a binary.
    """
    chance = random.Random(seed)
    people = [_person(chance, number) for number in range(PERMISSIONS)]
    asked = [_question(chance, chance.choice(people)) for _ in range(256)]
    engine = RegoEngine(read_sources())
    slices = [
        (
            [chance.choice(asked) for _ in range(embedded // SLICES)],
            [chance.choice(asked) for _ in range(cached // SLICES)],
        )
        for _ in range(SLICES)
    ]
    own, warm, storm = asyncio.run(_measure_gate(engine, slices, people))
    walls, ratios = policy_walls.measure(
        engine, [_watcher(chance, number) for number in range(watchers)]
    )
    figures: dict[str, object] = {
        "cached_per_s": _per_s(warm),
        "cached_p99_s": _p99([took for one in warm for took in one]),
        "storm_clients": CLIENTS,
        "storm_evaluations": storm,
        **walls,
        **_measure_opa([chance.choice(asked) for _ in range(embedded)]),
    }
    if rounds:
        figures |= _measure_followers(sockets, rounds)
    return Measured(
        figures=figures,
        floor={
            "embedded_per_s": _per_s(own),
            "embedded_p99_s": _p99([took for one in own for took in one]),
        },
        ratios={"cached_vs_embedded": _per_s(warm).median / _per_s(own).median, **ratios},
    )


def _measure_opa(asked: list[DecisionInput]) -> dict[str, object]:
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


def _watcher(chance: random.Random, number: int) -> Principal:
    """One of those who may see the wall, each with permissions of its own."""
    sites = (policy_walls.SITE, f"other-{number}")
    return Principal(
        f"watcher-{number}",
        f"w-{number}",
        "user",
        1,
        2,
        (chance.choice(["guest", "viewer", "operator"]),),
        sites,
    )


def _question(chance: random.Random, who: Principal) -> DecisionInput:
    camera = f"camera-{chance.randrange(100)}"
    return inputs.subscribe(
        who,
        "camera",
        camera,
        site=chance.choice([*who.sites, "site-0"]),
        tags=chance.choice([[], ["restricted"]]),
    )


def _measure_engine(engine: Engine, asked: list[DecisionInput]) -> list[float]:
    took = []
    for question in asked:
        before = time.perf_counter()
        engine.decide([question])
        took.append(time.perf_counter() - before)
    return took


async def _measure_gate(
    engine: RegoEngine,
    slices: list[tuple[list[DecisionInput], list[DecisionInput]]],
    people: list[Principal],
) -> tuple[list[list[float]], list[list[float]], int]:
    """Seconds of every decision, by slice: of the engine, and of a warm cache; then the evaluations
    of one storm."""
    actor = PolicyActor(engine)

    async def call(data: bytes) -> bytes:
        return await asyncio.to_thread(actor.decide, data)

    gate = Enforcer(call, PolicySettings(decide_timeout_s=30.0))
    await asyncio.gather(*(gate.decide(question) for _, cached in slices for question in cached))
    own, warm = [], []
    for embedded, cached in slices:
        own.append(_measure_engine(engine, embedded))
        took = []
        for question in cached:
            before = time.perf_counter()
            await gate.decide(question)
            took.append(time.perf_counter() - before)
        warm.append(took)
    evaluated = gate.stats.evaluated
    storm = (
        inputs.connect(people[number % PERMISSIONS], to="dashboard") for number in range(CLIENTS)
    )
    await asyncio.gather(*(gate.decide(question) for question in storm))
    evaluations = gate.stats.evaluated - evaluated
    await gate.close()
    return own, warm, evaluations


def _per_s(slices: list[list[float]]) -> Spread:
    return spread([len(took) / sum(took) for took in slices])


def _p99(took: list[float]) -> float:
    return percentile(sorted(took), 0.99)
