"""What density costs: 100 cameras, cold, with 1, 16 and 64 in an actor process.

A private Eyrie is started for each density. `start_s` is from the first hello of a device to the
last camera's welcome: the actors are started, activated and attached then. Memory is the
proportional set size of the actor processes (a page that n share counts an n-th), after the load.
Throughput is what was acked in a window in which more is offered than it takes; `ack_p99_ms` is at
the cameras' own rate, from the moment the schedule wanted the observation sent. The floor, in the
same Eyrie: Ray actors without anything in them, started as many at a time as the supervisor does.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from actors.core.errors import StartError
from cluster.ray.process import environment
from load_tests.drivers import bench_devices
from load_tests.drivers.bench_devices import Driven, DriverPlan
from load_tests.harness.child_process import BenchChild
from load_tests.harness.results import Measured, percentile
from load_tests.harness.stack import Stack, committed, python_path, stack
from load_tests.harness.synthetic_scene import scene_of, walk

CAMERAS = 100
DENSITIES = (1, 16, 64)
OBJECTS, ZONES, LINES = 5, 3, 1
SOCKETS = 10
WARM_S = 2.0
MEASURE_S = 4.0
OFFERED = 30_000.0  # observations per second of all cameras together: more than two cores take
STEADY_FPS = 5.0
START_S = 240.0  # seconds that 100 processes may take
# observations in flight per camera, so that the last acks of 100 cameras come within seconds
CREDITS = 256
BARE = 16  # empty actors of the floor
BARE_S = 120.0
SITE = "bench"


def run(seed: int, *, cameras: int = CAMERAS, densities: tuple[int, ...] = DENSITIES) -> Measured:
    """The whole bench: about four minutes on two cores that have nothing else to do."""
    figures: dict[str, object] = {"cameras": cameras, "load_before": round(os.getloadavg()[0], 2)}
    floors: dict[str, object] = {}
    ratios: dict[str, float] = {}
    pool = walk(seed, OBJECTS, int(OFFERED / cameras * (WARM_S + MEASURE_S)) + 1)
    for density in densities:
        name = f"d{density}"
        figures[name], floors[name], found = _measure(density, cameras, pool)
        ratios |= {f"{name}_{what}": value for what, value in found.items()}
    return Measured(figures, floors, ratios)


def _measure(
    density: int, cameras: int, pool: list[bytes]
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    names = [f"d{density}-{number:03d}" for number in range(cameras)]
    variables = {
        "EYRIE_CLUSTER_CAMERAS_PER_ACTOR": str(density),
        "EYRIE_CAMERA_MAILBOX_ITEMS": str(CREDITS),
        "EYRIE_LOG_LEVEL": "warning",
    }
    with stack(variables) as running, BenchChild(bench_devices.drive, pool) as devices:
        bare = _floor(running)
        running.register(names, SITE, msgspec.json.encode(scene_of(ZONES, LINES)))
        sockets = [names[index::SOCKETS] for index in range(min(SOCKETS, cameras))]

        def plan(session: str, rate: float) -> DriverPlan:
            return DriverPlan(
                running.host,
                running.port,
                running.token(),
                session,
                sockets,
                rate,
                WARM_S,
                MEASURE_S,
                START_S,
            )

        began = time.perf_counter()
        devices.send(plan("cold", STEADY_FPS))
        devices.hear(START_S + 10.0)
        start_s = time.perf_counter() - began
        processes = sum(
            1 for process in running.cpu_of_processes() if process.startswith("camera ")
        )
        steady = _drive(devices)
        devices.ask(plan("full", OFFERED / cameras))
        full = _drive(devices)
        memory = running.pss_bytes()["camera"]
        _agree(running, names, full)
    figures = {
        "start_s": round(start_s, 2),
        "actors": float(processes),
        "actors_per_s": round(processes / start_s, 2),
        "mib_per_camera": round(memory / cameras / 2**20, 2),
        "mib_per_actor": round(memory / processes / 2**20, 1),
        "observations_per_s": round(full.in_window / full.window_s),
        "ack_p50_ms": round(1000 * percentile(steady.from_due_s, 0.50), 1),
        "ack_p99_ms": round(1000 * percentile(steady.from_due_s, 0.99), 1),
    }
    ratios = {
        "starts_vs_bare": round(figures["actors_per_s"] / bare["actors_per_s"], 3),
        "memory_vs_bare": round(figures["mib_per_actor"] / bare["mib_per_actor"], 2),
    }
    return figures, bare, ratios


def _drive(devices: BenchChild) -> Driven:
    """Let the welcome devices send: window, end, result."""
    devices.ask("go")
    devices.hear()
    found: Driven = devices.hear()
    return found


def _agree(running: Stack, names: list[str], driven: Driven) -> None:
    """Raises StartError unless PostgreSQL has exactly what was acked."""
    rows = committed(running.settings, names)
    wrong = [name for name in names if rows[name] != ("full", driven.acked[name])]
    if wrong:
        raise StartError(
            f"{len(wrong)} cameras have not what was acked, {wrong[0]} for one: "
            f"{rows[wrong[0]]}, {driven.acked[wrong[0]]}"
        )


def _floor(running: Stack) -> dict[str, float]:
    """Empty Ray actors in the same cluster (`load_tests.benches.on_ray.ray_bare_actors`)."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "load_tests.benches.on_ray.ray_bare_actors",
            str(running.data.settings_file),
            str(BARE),
        ],
        stdout=subprocess.PIPE,
        env={**environment(Path(running.settings.ray.token_file)), "PYTHONPATH": python_path()},
        timeout=BARE_S,
        check=True,
    )
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=dict[str, float])
