"""Observations per second committed end to end through edge sockets, packed and with one camera per
actor, next to a plain process.

A private Eyrie is started for either density. Rounds alternate between devices that send more than
it takes (open loop, credits obeyed) and the floor (`load_tests.benches.ingest_floor`) on the same
PostgreSQL, in the batch sizes that the actors had in the round before. Counted is what was acked in
the window, so what is durable; at the end the rows in PostgreSQL must agree with the acks.
"""

import os

import msgspec

from actors.core.errors import StartError
from load_tests.benches import ingest_floor
from load_tests.benches.ingest_floor import Floored, FloorPlan
from load_tests.drivers import bench_devices
from load_tests.drivers.bench_devices import Driven, DriverPlan
from load_tests.harness.child_process import BenchChild
from load_tests.harness.processor_time import cpu_between
from load_tests.harness.results import Measured, percentile, spread
from load_tests.harness.stack import Counting, Stack, committed, stack
from load_tests.harness.synthetic_scene import scene_of, walk

OBJECTS, ZONES, LINES = 5, 3, 1
ROUNDS = 3
WARM_S = 1.0
MEASURE_S = 3.0
FLOOR_S = 2.0
STEADY_S = 3.0  # the round at the cameras' own rate, for latencies
STEADY_FPS = 10.0
SITE = "bench"


class IngestCase(msgspec.Struct, frozen=True):
    """One density. `offered`: observations per second, of all cameras together; more than any
    machine of this size takes."""

    name: str
    cameras: int
    per_actor: int
    sockets: int
    offered: float


CASES = (IngestCase("packed", 64, 32, 8, 48_000.0), IngestCase("single", 16, 1, 8, 32_000.0))


def run(seed: int) -> Measured:
    """The whole bench: about 100 seconds on two cores that have nothing else to do."""
    figures: dict[str, object] = {
        "objects": OBJECTS,
        "zones": ZONES,
        "lines": LINES,
        "rounds": ROUNDS,
    }
    figures["load_before"] = round(
        os.getloadavg()[0], 2
    )  # what else ran here takes from both sides, but not alike
    floors: dict[str, object] = {}
    ratios: dict[str, float] = {}
    longest = max(case.offered / case.cameras for case in CASES) * (WARM_S + MEASURE_S)
    pool = walk(seed, OBJECTS, int(longest) + 1)
    for case in CASES:
        figures[case.name], floors[case.name], found = _measure(case, pool)
        ratios |= {f"{case.name}_{name}": value for name, value in found.items()}
    return Measured(figures, floors, ratios)


def _measure(
    case: IngestCase, pool: list[bytes]
) -> tuple[dict[str, object], dict[str, object], dict[str, float]]:
    scene = msgspec.json.encode(scene_of(ZONES, LINES))
    names = [f"{case.name}-{number}" for number in range(case.cameras)]
    sockets = [names[index :: case.sockets] for index in range(case.sockets)]
    with stack(
        {"EYRIE_CLUSTER_CAMERAS_PER_ACTOR": str(case.per_actor), "EYRIE_LOG_LEVEL": "warning"}
    ) as running:
        running.register(names, SITE, scene)
        with (
            running.counting() as counting,
            BenchChild(bench_devices.drive, pool) as devices,
            BenchChild(ingest_floor.floor, running.settings, scene, pool) as plain,
        ):
            rounds = []
            for number in range(ROUNDS):
                plan = DriverPlan(
                    running.host,
                    running.port,
                    running.token(),
                    f"round-{number}",
                    sockets,
                    case.offered / case.cameras,
                    WARM_S,
                    MEASURE_S,
                )
                rounds.append(_round(running, counting, devices, plain, plan, case))
            steady = DriverPlan(
                running.host,
                running.port,
                running.token(),
                "steady",
                sockets,
                STEADY_FPS,
                WARM_S,
                STEADY_S,
            )
            slow, _used, _counted = _drive(running, counting, devices, steady)
        rows = committed(running.settings, names)
    for name, seq in slow.acked.items():
        if rows[name] != ("steady", seq):
            raise StartError(f"camera {name} was acked up to {seq}, PostgreSQL has {rows[name]}")
    return _figures(rounds, slow)


class _Round(msgspec.Struct, frozen=True):
    driven: Driven
    cpu_s: dict[str, float]
    counted: dict[str, int]
    floored: Floored
    floor_postgres_s: float


def _round(
    running: Stack,
    counting: Counting,
    devices: BenchChild,
    plain: BenchChild,
    plan: DriverPlan,
    case: IngestCase,
) -> _Round:
    driven, used, counted = _drive(running, counting, devices, plan)
    rows = max(1, round(counted["rows"] / max(1, counted["commits"])))
    each = max(1, round(counted["observations"] / max(1, counted["rows"])))
    before = running.cpu_of_processes()
    floored = plain.ask(FloorPlan(plan.session, case.cameras, rows, each, FLOOR_S))
    stored = cpu_between(before, running.cpu_of_processes())["postgres"]
    return _Round(driven, used, counted, floored, stored)


def _drive(
    running: Stack, counting: Counting, devices: BenchChild, plan: DriverPlan
) -> tuple[Driven, dict[str, float], dict[str, int]]:
    """Drive one plan; with the processor seconds and the actors' counters of its window."""
    devices.ask(plan)
    counting.read()  # finds new actors before it matters
    devices.ask("go")
    cpu, counts = running.cpu_of_processes(), counting.read()
    devices.hear()
    used = cpu_between(cpu, running.cpu_of_processes())
    counted = {name: count - counts.get(name, 0) for name, count in counting.read().items()}
    return devices.hear(), used, counted


def _figures(
    rounds: list[_Round], slow: Driven
) -> tuple[dict[str, object], dict[str, object], dict[str, float]]:
    per_s = [r.driven.in_window / r.driven.window_s for r in rounds]
    floor_per_s = [r.floored.observations / r.floored.wall_s for r in rounds]
    per_cpu_s = [r.driven.in_window / sum(r.cpu_s.values()) for r in rounds]
    floor_per_cpu_s = [
        r.floored.observations / (r.floored.cpu_s + r.floor_postgres_s) for r in rounds
    ]
    acks = sorted(latency for r in rounds for latency in r.driven.from_sent_s)
    seen = max(1, sum(r.driven.in_window for r in rounds))
    sent = sum(sum(r.driven.sent.values()) for r in rounds)
    total = {name: sum(r.counted[name] for r in rounds) for name in rounds[0].counted}
    figures: dict[str, object] = {
        "per_s": spread(per_s),
        "per_cpu_s": spread(per_cpu_s),
        "cpu_us_per_observation": {
            kind: round(1e6 * sum(r.cpu_s.get(kind, 0.0) for r in rounds) / seen, 2)
            for kind in sorted(rounds[0].cpu_s)
        },
        "devices_cpu_us_per_observation": round(
            1e6 * sum(r.driven.cpu_s for r in rounds) / sent, 2
        ),
        "ack_full_p50_s": percentile(acks, 0.50),
        "ack_full_p99_s": percentile(acks, 0.99),
        "ack_steady_p50_s": percentile(slow.from_due_s, 0.50),
        "ack_steady_p99_s": percentile(slow.from_due_s, 0.99),
        "rows_per_commit": round(total["rows"] / max(1, total["commits"]), 2),
        "observations_per_row": round(total["observations"] / max(1, total["rows"]), 2),
        "events_per_observation": round(total["events"] / max(1, total["observations"]), 4),
        "resent_share": round(sum(r.driven.resent for r in rounds) / sent, 4),
        "commits_unknown": total["unknown"],
    }
    floors: dict[str, object] = {
        "per_s": spread(floor_per_s),
        "per_cpu_s": spread(floor_per_cpu_s),
        "events_per_observation": round(
            sum(r.floored.events for r in rounds) / sum(r.floored.observations for r in rounds), 4
        ),
    }
    ratios = {
        "vs_floor": spread(
            [mine / plain for mine, plain in zip(per_s, floor_per_s, strict=True)]
        ).median,
        "vs_floor_per_cpu": spread(
            [mine / plain for mine, plain in zip(per_cpu_s, floor_per_cpu_s, strict=True)]
        ).median,
    }
    return figures, floors, ratios
