"""What a Ray call costs that carries what `bench link` sends: microseconds of processor time of
both ends, as one JSON line.

``python -m load_tests.benches.on_ray.ray_call SETTINGS SEED CALLS``, with the token by its
variable.
A process of its own, because it joins Ray.
"""

import asyncio
import os
import sys
import time
from typing import Any

import msgspec
import ray

from actors.core.messages import deliveries
from actors.core.messages.deliveries import Acked, Data
from cluster.ray import session
from load_tests.harness.synthetic_scene import walk
from storage.process.settings_files import read_resolved

WARM = 200  # calls before any is counted
OBJECTS = 5


class Answering:
    """An async actor, as those of cameras are: an ack for each delivery, encoded before."""

    def __init__(self) -> None:
        self._ack = deliveries.encoder.encode([Acked("bench", "bench/1", 1, 100)])

    async def deliver(self, hub: str, items: bytes) -> bytes:
        """One call."""
        return self._ack

    async def pid(self) -> int:
        """Its process."""
        return os.getpid()


async def measure(seed: int, calls: int) -> float:
    """One call after the other."""
    item = deliveries.encoder.encode(
        Data("bench", "bench/1", "s", 1, 0, "msgpack", walk(seed, OBJECTS, 1))
    )
    options = {"num_cpus": 0, "max_restarts": 0, "enable_task_events": False}
    actor: Any = ray.remote(Answering).options(**options).remote()
    clock = (~(await actor.pid.remote()) << 3) | 2  # clock_getcpuclockid(3)
    for _ in range(WARM):
        await actor.deliver.remote("hub", item)
    began = time.process_time() + time.clock_gettime(clock)
    for _ in range(calls):
        await actor.deliver.remote("hub", item)
    spent = time.process_time() + time.clock_gettime(clock) - began
    ray.kill(actor)
    return round(1e6 * spent / calls, 1)


if __name__ == "__main__":
    session.connect(read_resolved(sys.argv[1]).ray)
    figure = asyncio.run(measure(int(sys.argv[2]), int(sys.argv[3])))
    sys.stdout.write(msgspec.json.encode(figure).decode() + "\n")
    session.disconnect()
