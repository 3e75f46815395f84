"""What one camera's flood does to the ack latency of its neighbours in the same actor process.

Rounds without and with the flood alternate. The flood is one camera on a socket of its own that
sends whatever its credits admit; the neighbours send at their own rate. Allowed is a move by 20 %
or by the spread of the rounds without it, whichever is larger.
"""

import msgspec

from actors.core.errors import StartError
from load_tests.drivers import bench_devices
from load_tests.drivers.bench_devices import Driven, DriverPlan
from load_tests.harness.child_process import BenchChild
from load_tests.harness.results import Measured, percentile, spread
from load_tests.harness.stack import Stack, committed, stack
from load_tests.harness.synthetic_scene import scene_of, walk

NEIGHBOURS = 8
PER_ACTOR = 16
FPS = 10.0
# observations per second that the flood wants to send: more than it is given on a machine of two
# cores
OFFERED = 30_000.0
OBJECTS, ZONES, LINES = 5, 3, 1
ROUNDS = 4  # of each kind
WARM_S = 1.0
MEASURE_S = 4.0
ALLOWED = 0.2
SITE = "bench"
LOUD = "loud"


class Round(msgspec.Struct, frozen=True):
    """Latencies of the neighbours' acks in seconds; `flood_per_s`: what the flooding camera had
    acked (0 without)."""

    p50_s: float
    p99_s: float
    flood_per_s: float


def run(seed: int, *, rounds: int = ROUNDS, measure_s: float = MEASURE_S) -> Measured:
    """The whole bench: about 90 seconds."""
    names = [f"neighbour-{number}" for number in range(NEIGHBOURS)]
    pool = walk(seed, OBJECTS, round(OFFERED * (WARM_S + measure_s)) + 1)
    calm: list[Round] = []
    loud: list[Round] = []
    with stack(
        {"EYRIE_CLUSTER_CAMERAS_PER_ACTOR": str(PER_ACTOR), "EYRIE_LOG_LEVEL": "warning"}
    ) as running:
        running.register([*names, LOUD], SITE, msgspec.json.encode(scene_of(ZONES, LINES)))
        with (
            BenchChild(bench_devices.drive, pool[: round(FPS * (WARM_S + measure_s)) + 1]) as quiet,
            BenchChild(bench_devices.drive, pool) as flood,
        ):
            _round(running, quiet, None, names, "warm-up", measure_s)
            for number in range(rounds):
                # Each kind goes first as often as the other, so that a drift of the machine meets
                # both alike.
                for flooded in (number % 2 == 0, number % 2 == 1):
                    found = _round(
                        running,
                        quiet,
                        flood if flooded else None,
                        names,
                        f"{number}-{int(flooded)}",
                        measure_s,
                    )
                    (loud if flooded else calm).append(found)
    return measured(calm, loud)


def _round(
    running: Stack,
    quiet: BenchChild,
    flood: BenchChild | None,
    names: list[str],
    session: str,
    measure_s: float,
) -> Round:
    half = len(names) // 2
    quiet.ask(
        DriverPlan(
            running.host,
            running.port,
            running.token(),
            session,
            [names[:half], names[half:]],
            FPS,
            WARM_S,
            measure_s,
        )
    )
    if flood is not None:
        flood.ask(
            DriverPlan(
                running.host,
                running.port,
                running.token(),
                session,
                [[LOUD]],
                OFFERED,
                WARM_S,
                measure_s,
            )
        )
        flood.ask("go")
    quiet.ask("go")
    quiet.hear()
    seen: Driven = quiet.hear()
    flooded = 0.0
    if flood is not None:
        flood.hear()
        drowned: Driven = flood.hear()
        flooded = drowned.in_window / drowned.window_s
        _agree(running, session, {**seen.acked, **drowned.acked})
    return Round(percentile(seen.from_sent_s, 0.5), percentile(seen.from_sent_s, 0.99), flooded)


def _agree(running: Stack, session: str, acked: dict[str, int]) -> None:
    """What was acked is what PostgreSQL has."""
    for name, row in committed(running.settings, list(acked)).items():
        if row != (session, acked[name]):
            raise StartError(
                f"camera {name} was acked up to {acked[name]} of {session}, PostgreSQL has {row}"
            )


def measured(calm: list[Round], loud: list[Round]) -> Measured:
    """Figures of the rounds with the flood, their floor without it, and how far it may move."""
    figures: dict[str, object] = {
        "neighbours": NEIGHBOURS,
        "fps": FPS,
        "flood_per_s": spread([found.flood_per_s for found in loud]),
        "p50_s": spread([found.p50_s for found in loud]),
        "p99_s": spread([found.p99_s for found in loud]),
    }
    floor: dict[str, object] = {
        "p50_s": spread([found.p50_s for found in calm]),
        "p99_s": spread([found.p99_s for found in calm]),
    }
    ratios: dict[str, float] = {}
    for name in ("p50_s", "p99_s"):
        base, moved = (
            spread([getattr(found, name) for found in calm]),
            spread([getattr(found, name) for found in loud]),
        )
        ratios[f"flood_vs_calm_{name}"] = round(moved.median / base.median, 3)
        ratios[f"allowed_{name}"] = round(
            1.0 + max(ALLOWED, (base.greatest - base.least) / base.median), 3
        )
    return Measured(figures, floor, ratios)
