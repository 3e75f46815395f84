"""Asks hubs and policy replicas for their load, changes the wanted shape as
`cluster.planning.scaling` decides, and asks for room. Without Ray."""

import asyncio
import logging
import time

import msgspec

from actors.core.errors import EyrieError
from actors.core.log_format import counted
from cluster.planning.scaling import Pressure, wanted_count
from cluster.supervisor.fleet import FleetMemory
from cluster.supervisor.ports import Machine
from cluster.supervisor.services import Services
from storage.ports.cluster import ClusterStore, Scale, WantedShape

LOOK_S = 5.0  # seconds between two looks
ASK_S = 2.0  # seconds a process may take to tell its load
SELF = "autoscaler"  # who changed the shape

log = logging.getLogger("eyrie.cluster.autoscaler")


class Autoscaler:
    """Does nothing to counts that nobody made `auto`."""

    def __init__(
        self, fleet: FleetMemory, services: Services, store: ClusterStore, machine: Machine
    ) -> None:
        self._fleet = fleet
        self._services = services
        self._store = store
        self._machine = machine
        self._pressures = {"hub": Pressure(), "policy": Pressure()}
        self._requested = 0

    async def run(self) -> None:
        """Look again and again, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.decide(time.monotonic())
            except EyrieError as error:
                log.info("the load cannot be looked at now: %s", error)

    async def decide(self, now: float) -> None:
        """Once. Raises Unavailable."""
        before = self._fleet.shape
        hubs = await self._count("hub", before.hubs, now)
        policies = await self._count("policy", before.policies, now)
        after = msgspec.structs.replace(before, hubs=hubs, policies=policies)
        if after != before:
            await self._change(after)
        await self._request()

    async def _count(self, kind: str, scale: Scale, now: float) -> Scale:
        if not scale.auto:
            return scale
        loads = []
        for service in [
            s for s in self._services.services.values() if s.kind == kind and s.state == "ready"
        ]:
            if service.process is not None:
                loads.append(min(1.0, await service.process.load(ASK_S)))
        count, why = wanted_count(
            scale, len(loads), sum(loads) / max(1, len(loads)), self._pressures[kind], now
        )
        if why:
            log.info("%d of %s are wanted: %s", count, kind, why)
            self._fleet.decide("cluster", f"{count} of {kind} wanted", why)
        return msgspec.structs.replace(scale, count=count)

    async def _change(self, wanted: WantedShape) -> None:
        """Somebody who was faster wins: the next look starts from theirs."""
        if await self._store.want(wanted, expected=self._fleet.version, who=SELF) is not None:
            self._fleet.wake.set()

    async def _request(self) -> None:
        """Where nodes count slots and they do not suffice, ask for a larger cluster; where they do
        again, for no more than is needed."""
        slots = sum(node.slots for node in self._fleet.nodes if node.alive)
        needed = len(self._fleet.wanted)
        if slots and needed != self._requested and (needed > slots or self._requested > slots):
            await self._machine.request_resources(needed)
            self._requested = needed
            self._fleet.decide(
                "cluster",
                f"room for {counted(needed, 'camera')} is asked for",
                f"the nodes have {counted(slots, 'slot')}",
            )
