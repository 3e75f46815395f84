"""A child of a run: replaces the hubs of a stack one by one, as a deploy does. Each drains, ends,
and is back before the next one goes.

A process of its own, because it joins Ray and the run must not. Prints ``name old_pid new_pid
seconds`` for every hub it has replaced.
"""

import asyncio
import sys
import time

from actors.core.errors import EyrieError, StartError
from cluster.ray import session
from hub import ray_hub
from storage.process.settings_files import read_resolved

GRACE_S = 10.0  # seconds a hub may take to drain
BACK_S = 60.0  # seconds until the supervisor has replaced it
LOOK_S = 0.2


async def _deploy(path: str) -> None:
    settings = read_resolved(path)
    session.connect(settings.ray)
    try:
        for index in range(settings.hub.replicas):
            began = time.monotonic()
            hub = await ray_hub.attach(index, namespace=settings.ray.namespace)
            if hub is None:
                raise StartError(f"{ray_hub.name_of(index)} does not run")
            old = int((await hub.ready(GRACE_S))["pid"])
            await hub.stop(GRACE_S)
            hub.kill()
            new = await _back(index, settings.ray.namespace, old)
            sys.stdout.write(
                f"replaced {ray_hub.name_of(index)} {old} {new} {time.monotonic() - began:.1f}\n"
            )
            sys.stdout.flush()
    finally:
        session.disconnect()


async def _back(index: int, namespace: str, old: int) -> int:
    """The pid of the successor, once it takes connections."""
    deadline = time.monotonic() + BACK_S
    while time.monotonic() < deadline:
        try:
            hub = await ray_hub.attach(index, namespace=namespace)
            status = {} if hub is None else await hub.status()
            if status.get("ready") and int(status["pid"]) != old:
                return int(status["pid"])
        except EyrieError:
            pass  # between the two there is none
        await asyncio.sleep(LOOK_S)
    raise StartError(f"{ray_hub.name_of(index)} was not replaced within {BACK_S:g} s")


if __name__ == "__main__":
    asyncio.run(_deploy(sys.argv[1]))
