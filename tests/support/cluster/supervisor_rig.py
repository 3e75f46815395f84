"""A supervisor over doubles: its machine, its stores, and a fixture that makes and stops it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from actors.core.settings import ClusterSettings, HubSettings, Settings
from cluster.supervisor import hosting
from cluster.supervisor import supervisor as module
from cluster.supervisor.supervisor import Supervisor
from storage.ports.cluster import Density, Operation, RequestedOperation, Scale, WantedShape
from tests.support.doubles.fleet_stores import FleetStores
from tests.support.doubles.machines import FakeMachine
from tests.support.waiting import until


class Rig:
    """A supervisor, its machine and its stores."""

    def __init__(self, cameras: tuple[str, ...], **cluster: Any) -> None:
        self.stores = FleetStores(*cameras)
        self.machine = FakeMachine(self.stores.cameras, self.stores.actors)
        fast = {"reconcile_s": 0.01, "actor_dead_after_s": 0.5, "start_timeout_s": 1.0}
        chosen = {"workers": 0, **fast, **cluster}
        self.settings = Settings(cluster=ClusterSettings(**chosen), hub=HubSettings(replicas=1))
        self.broken: list[str] = []  # what the supervisor says when a loop has ended
        self.supervisor = Supervisor(
            self.settings, self.stores, self.machine, broken=self.broken.append
        )

    async def placed(self, *cameras: str) -> dict[str, str]:
        found: dict[str, str] = {}

        async def ask() -> bool:
            found.update(await self.supervisor.ensure(cameras))
            return all(camera in found for camera in cameras)

        for _ in range(100):
            if await ask():
                return found
        raise AssertionError(f"{cameras} were not placed: {self.supervisor.status()}")

    async def want(self, **changes: Any) -> None:
        """Change the shape: `hubs`, `policies` (Scale) or `density` (Density)."""
        cluster = self.stores.cluster
        version = 0 if cluster.wanted is None else cluster.wanted.version
        shape = WantedShape() if cluster.wanted is None else cluster.wanted.wanted
        fields = {
            "hubs": shape.hubs,
            "policies": shape.policies,
            "density": shape.density,
            **changes,
        }
        assert await cluster.want(WantedShape(**fields), expected=version, who="ann")
        self.supervisor.wake()

    async def ask(self, kind: str, target: str, **params: Any) -> str:
        """Ask for an operation; its id."""
        operation, _new = await self.stores.cluster.ask(
            RequestedOperation(f"op-{len(self.stores.cluster.asked)}", kind, target, params, "ann")
        )
        self.supervisor.wake()
        return operation.id

    async def over(self, id: str, state: str = "done") -> Operation:
        """The operation, once it is over in `state`."""
        store = self.stores.cluster
        await until(lambda: store.asked[id].over, within_s=20.0, what=f"the end of {id}")
        assert store.asked[id].state == state, store.asked[id]
        return store.asked[id]


@pytest.fixture
async def rigs(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Rig]]:
    """Makes rigs of cameras."""
    monkeypatch.setattr(module, "ENSURE_S", 0.2)
    monkeypatch.setattr(hosting, "RETRY_S", 0.01)
    made: list[Rig] = []

    def make(*cameras: str, **cluster: Any) -> Rig:
        made.append(Rig(cameras, **cluster))
        return made[-1]

    yield make
    for rig in made:
        if not rig.stores.closed:
            await rig.supervisor.stop(0.5)


__all__ = ["Density", "Rig", "Scale", "rigs"]
