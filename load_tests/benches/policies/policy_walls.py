"""What it costs to ask policy about each camera of a wall, beside what it cost before (one question
about the site, one about each camera with a tag): for the decision about one more subscriber, out
of warm caches, and for a tick of the wall."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from actors.core.settings import PolicySettings
from hub.access.camera_policy import CameraPolicy
from hub.access.redaction import DEFAULT, View
from hub.fanout import live_states
from hub.fanout.pacing import Pacing
from hub.fanout.walls import WallFeed
from load_tests.harness.results import spread
from policy.actor.policy_actor import PolicyActor
from policy.decision import inputs
from policy.decision.enforcer import Enforcer
from policy.engine.rego_engine import RegoEngine
from policy.identity.principal import Principal
from storage.ports.registry import CameraRecord

SITE = "site-0"
CAMERAS = 1000
CLIENTS = 2000  # of the storm on the wall
SLICES = 9  # in which before and after take turns

Decide = Callable[[Principal], Awaitable[object]]
Figures = dict[str, object]


def measure(
    engine: RegoEngine, people: Sequence[Principal], *, subscribes: int = 200, ticks: int = 20
) -> tuple[dict[str, object], dict[str, float]]:
    """(figures, ratios) of `subscribes` decisions and `ticks` ticks per slice. Seconds are wall
    time, ratios medians of after : before."""
    figures, subscribe = asyncio.run(_decisions(engine, people, subscribes))
    told, tick = _ticks(ticks)
    return figures | told, {
        "wall_subscribe_after_vs_before": subscribe,
        "wall_tick_after_vs_before": tick,
    }


async def _decisions(
    engine: RegoEngine, people: Sequence[Principal], subscribes: int
) -> tuple[Figures, float]:
    actor = PolicyActor(engine)

    async def call(data: bytes) -> bytes:
        return await asyncio.to_thread(actor.decide, data)

    gate = Enforcer(
        call, PolicySettings(decide_timeout_s=30.0, cache_entries=len(people) * (CAMERAS + 1) * 2)
    )
    single = CameraPolicy(gate)
    records = [
        CameraRecord(f"camera-{number}", SITE, "", b"{}", 1, []) for number in range(CAMERAS)
    ]

    async def before(who: Principal) -> None:
        await gate.decide(inputs.subscribe(who, "site", SITE))
        for record in records:
            if record.tags:
                await gate.decide(
                    inputs.subscribe(who, "camera", record.camera, site=SITE, tags=record.tags)
                )

    async def after(who: Principal) -> None:
        base = await gate.decide(inputs.subscribe(who, "site", SITE))
        await single.ruling("subscribe", who, SITE, base, records, time.time())

    began, evaluated = time.perf_counter(), gate.stats.evaluated
    await after(people[0])
    cold_s, cold = time.perf_counter() - began, gate.stats.evaluated - evaluated
    for who in people[1:]:
        await after(who)
    took: dict[Decide, list[float]] = {before: [], after: []}
    for number in range(SLICES):
        for decide in (
            (before, after) if number % 2 else (after, before)
        ):  # who comes second finds the caches of the processor warm
            began = time.perf_counter()
            for turn in range(subscribes):
                await decide(people[turn % len(people)])
            took[decide].append((time.perf_counter() - began) / subscribes)
    evaluated = gate.stats.evaluated
    await asyncio.gather(*(after(people[number % len(people)]) for number in range(CLIENTS)))
    storm = gate.stats.evaluated - evaluated
    await gate.close()
    figures: Figures = {
        "wall_cameras": CAMERAS,
        "wall_first_questions": cold,
        "wall_first_s": cold_s,
        "wall_subscribe_before_s": spread(took[before]),
        "wall_subscribe_after_s": spread(took[after]),
        "wall_storm_evaluations": storm,
    }
    return figures, _median([new / old for new, old in zip(took[after], took[before], strict=True)])


def _ticks(ticks: int) -> tuple[Figures, float]:
    """A tick in which every camera changed: joined as before policy was asked about each, and by
    the product."""
    names = [f"camera-{number}" for number in range(CAMERAS)]
    bodies = {name: live_states.without_news(SITE, name, seen=False) for name in names}
    wall = WallFeed(SITE, bodies.get, Pacing())
    view = View(redact=("faces", "names", "plates"), exclude=frozenset(names[::10]))

    def before(seen: View) -> None:
        shown = [
            body
            for name in names
            if name not in seen.exclude and (body := bodies.get(name)) is not None
        ]
        b'{"site":%s,"tick":%d,"full":%s,"cameras":[%s]}' % (
            b'"site-0"',
            1,
            b"false",
            b",".join(shown),
        )

    def after(seen: View) -> None:
        wall.message(names, seen, time.monotonic(), full=False)

    took: dict[Callable[[View], None], list[float]] = {before: [], after: []}
    for number in range(SLICES):
        for tick in (before, after) if number % 2 else (after, before):
            began = time.perf_counter()
            for _ in range(ticks):
                tick(DEFAULT)
                tick(view)
            took[tick].append((time.perf_counter() - began) / (2 * ticks))
    ratio = _median([new / old for new, old in zip(took[after], took[before], strict=True)])
    return {
        "wall_tick_before_s": spread(took[before]),
        "wall_tick_after_s": spread(took[after]),
    }, ratio


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
