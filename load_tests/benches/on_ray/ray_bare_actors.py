"""The floor of `bench actors`: Ray actors with nothing in them, started as many at a time as there
are cores, as one JSON line.

``python -m load_tests.benches.on_ray.ray_bare_actors SETTINGS COUNT``, with the token by its
variable.
A process of its own, because it joins Ray.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import ray

from cluster.ray import session
from storage.process.settings_files import read_resolved

ANSWER_S = 60.0


class Bare:
    """Nothing but its pid."""

    async def pid(self) -> int:
        """Its process."""
        return os.getpid()


def measure(count: int) -> dict[str, float]:
    """Start `count`, at most one per core at a time; how fast, and the proportional memory of
    each."""
    options = {"num_cpus": 0, "max_restarts": 0, "enable_task_events": False}
    atonce = os.cpu_count() or 1
    actor: Any = ray.remote(Bare)
    handles: list[Any] = []
    began = time.perf_counter()
    waiting: list[Any] = []
    while len(handles) < count or waiting:
        while len(handles) < count and len(waiting) < atonce:
            handles.append(actor.options(**options).remote())
            waiting.append(handles[-1].pid.remote())
        done, waiting = ray.wait(waiting, num_returns=1, timeout=ANSWER_S)
        if not done:
            raise SystemExit("a bare actor did not start")
    wall_s = time.perf_counter() - began
    pids = ray.get([handle.pid.remote() for handle in handles])
    memory = sum(pss_bytes(pid) for pid in pids)
    for handle in handles:
        ray.kill(handle)
    return {
        "actors": float(count),
        "actors_per_s": round(count / wall_s, 2),
        "mib_per_actor": round(memory / count / 2**20, 1),
    }


def pss_bytes(pid: int) -> int:
    """The proportional set size of a process (proc(5), smaps_rollup)."""
    lines = (
        Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace").splitlines()
    )
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    session.connect(read_resolved(sys.argv[1]).ray)
    sys.stdout.write(msgspec.json.encode(measure(int(sys.argv[2]))).decode() + "\n")
    session.disconnect()
