"""What the supervisor asks of the processes it runs, whatever carries the calls. `timeout_s` and `grace_s` are seconds.

Every method raises :class:`~actors.core.errors.Unavailable` when the process is gone or too slow.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from storage.fleet_ports import ActorStore
from storage.ports import CameraStore


class Process(Protocol):
    """A hub, a policy replica or an actor process."""

    name: str

    async def open(self, timeout_s: float) -> object:
        """Wait until it runs and make it ready."""

    async def died(self) -> str:
        """Wait until the process is gone; why."""

    async def stop(self, grace_s: float) -> bool:
        """End in order."""

    def kill(self) -> None:
        """End at once."""


class CameraProcess(Process, Protocol):
    """An actor process of cameras."""

    async def adopt(self, cameras: Sequence[str], timeout_s: float) -> dict[str, str]:
        """Activate cameras there; camera → why not."""

    async def release(self, cameras: Sequence[str], timeout_s: float) -> None:
        """Commit and give up cameras."""

    async def describe(self, timeout_s: float) -> dict[str, Any]:
        """What it hosts: ``hosted`` (camera → …) and ``given_up`` (camera → reason)."""


class Machine(Protocol):
    """Where processes are started: Ray, or a double."""

    def cores(self) -> int:
        """Cores of the whole cluster, at least 1."""

    def start_cameras(self, name: str, cameras: int) -> CameraProcess:
        """A new process for `cameras` cameras. Raises Unavailable, Conflict."""

    async def find_cameras(self, name: str) -> CameraProcess | None:
        """The living process `name`, or None."""

    async def start_hub(self, index: int) -> Process:
        """Hub `index`, or the living one of that index."""

    async def start_policy(self, index: int) -> Process:
        """Policy replica `index`, or the living one of that index."""


class SupervisorStores(Protocol):
    """What the supervisor needs of storage."""

    @property
    def cameras(self) -> CameraStore:
        """`storage.ports.CameraStore`."""

    @property
    def actors(self) -> ActorStore:
        """`storage.fleet_ports.ActorStore`."""

    async def close(self) -> None:
        """Close the connections."""
