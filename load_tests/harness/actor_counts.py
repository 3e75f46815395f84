"""A child of a bench: for every line on standard input it prints the sum of the camera actors'
counters as one JSON object.

A process of its own, because it joins Ray and the bench must not.
"""

import asyncio
import sys

import msgspec

from actors.core.errors import Unavailable
from actors.on_ray import camera as ray_camera
from cluster.ray import session
from storage.process.settings_files import read_resolved
from storage.stores import open_stores

ANSWER_S = 20.0


async def _counts(process: ray_camera.RayCameraProcess) -> dict[str, int]:
    """Return its counters; one that is being opened, or is gone since, has none."""
    try:
        return dict((await process.describe(ANSWER_S))["counts"])
    except Unavailable:
        return {}


async def _serve(path: str) -> None:
    settings = read_resolved(path)
    session.connect(settings.ray)
    stores = await open_stores(settings, name="bench-counts")
    handles: dict[str, ray_camera.RayCameraProcess] = {}
    try:
        while await asyncio.to_thread(sys.stdin.readline):
            total: dict[str, int] = {}
            for record in await stores.actors.all():
                if record.name not in handles:
                    found = await ray_camera.attach(record.name, namespace=settings.ray.namespace)
                    if found is None:
                        continue
                    handles[record.name] = found
                for name, count in (await _counts(handles[record.name])).items():
                    total[name] = total.get(name, 0) + count
            sys.stdout.write(msgspec.json.encode(total).decode() + "\n")
            sys.stdout.flush()
    finally:
        await stores.close()
        session.disconnect()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
