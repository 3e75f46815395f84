"""What processes say of themselves, asked in turn: figures for people, for packing by cost and for
passivation. Without Ray."""

import asyncio
import time

from actors.core.settings import ClusterSettings
from cluster.planning.packing import CameraCost, repack
from cluster.supervisor.fleet import FleetMemory
from cluster.supervisor.hosting import Hosting

SURVEY_S = 3.0  # seconds between two rounds, at least
PER_S = 25.0  # processes asked in a second, at most
AT_ONCE = 4


class Survey:
    """Asks all ready processes, and draws the conclusions that need their figures."""

    def __init__(self, fleet: FleetMemory, hosting: Hosting, settings: ClusterSettings) -> None:
        self._fleet = fleet
        self._hosting = hosting
        self._settings = settings
        self._quiet_since: dict[str, float] = {}

    async def run(self) -> None:
        """Round after round, for ever."""
        while True:
            began = time.monotonic()
            names = [actor.name for actor in self._fleet.actors.values() if actor.phase == "ready"]
            tokens = asyncio.Semaphore(AT_ONCE)

            async def ask(name: str, tokens: asyncio.Semaphore = tokens) -> None:
                async with tokens:
                    await self._hosting.compare_hosted(name)

            await asyncio.gather(*(ask(name) for name in names))
            self.conclude(time.monotonic())
            await asyncio.sleep(
                max(0.1, began + max(SURVEY_S, len(names) / PER_S) - time.monotonic())
            )

    def conclude(self, now: float) -> None:
        """Passivate the idle; split out and pack by cost where that is wanted."""
        self._passivate(now)
        fleet = self._fleet
        if not fleet.shape.density.adaptive:
            if fleet.split:
                fleet.split.clear()
                fleet.wake.set()
            return
        costs = [
            CameraCost(
                camera,
                float(told.get("cpu", 0.0)),
                fleet.shape.density.of(fleet.sites.get(camera, "")),
                fleet.split.get(camera),
            )
            for actor in fleet.actors.values()
            for camera, told in actor.figures.get("hosted", {}).items()
        ]
        for camera, alone, why in repack(costs, now):
            fleet.decide(
                f"camera:{camera}", "gets a process of its own" if alone else "is packed again", why
            )
            if alone:
                fleet.split[camera] = now
            else:
                fleet.split.pop(camera, None)
            fleet.wake.set()

    def _passivate(self, now: float) -> None:
        after_s = self._settings.passivate_after_s
        if not after_s:
            return
        fleet = self._fleet
        seen: set[str] = set()
        for actor in fleet.actors.values():
            for camera, told in actor.figures.get("hosted", {}).items():
                if (
                    told.get("status") == "offline"
                    and not told.get("links")
                    and camera in actor.cameras
                ):
                    seen.add(camera)
                    since = self._quiet_since.setdefault(camera, now)
                    if now - since >= after_s and camera not in fleet.urgent:
                        fleet.idle[camera] = now
                        fleet.decide(
                            f"camera:{camera}",
                            "passivated",
                            f"offline and without a link for {now - since:.0f} s",
                        )
                        fleet.wake.set()
        for camera in self._quiet_since.keys() - seen:
            del self._quiet_since[camera]
