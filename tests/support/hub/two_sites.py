"""A hub under the packaged policy with two sites of two cameras each, all of them live, for
browsers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.real_policy import real_policy

SQUARE = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5], [0.1, 0.5]]
TICK_S = 0.3
CAMERAS = {"gate": "north", "yard": "north", "dock": "south", "ramp": "south"}


@asynccontextmanager
async def two_sites(folder: Path) -> AsyncIterator[TestHub]:
    """A hub under the packaged policy whose cameras are live; an event of each now and then."""
    async with running_hub(folder, decider=real_policy()) as hub:
        scene = {"zones": {"door": {"points": SQUARE}}, "lines": {"entry": {"points": SQUARE[:2]}}}
        for camera, site in CAMERAS.items():
            await hub.register(camera, site=site, scene=msgspec.json.encode(scene))
            await hub.happen(camera, 1, site=site, zone="door", label="person")
        ticker = asyncio.create_task(live(hub))
        try:
            yield hub
        finally:
            ticker.cancel()
            with suppress(asyncio.CancelledError):
                await ticker


async def live(hub: TestHub) -> None:
    """Go on until cancelled."""
    version = 0
    while True:
        version += 1
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        for camera, site in CAMERAS.items():
            box = [0.1 + version % 5 / 10, 0.2, 0.3, 0.4]
            track = {
                "id": "1",
                "label": "person",
                "score": 0.9,
                "box": box,
                "current_zones": ["door"],
                "stationary": False,
            }
            await hub.show(
                camera,
                version,
                site=site,
                time=now,
                received=now,
                tracks=[track],
                occupancy={"door": {"person": version % 3}},
            )
        await asyncio.sleep(TICK_S)
