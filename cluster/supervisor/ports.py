"""What the supervisor asks of the processes it runs, whatever carries the calls. `timeout_s` and
`grace_s` are seconds.

Every method raises :class:`~actors.core.errors.Unavailable` when the process is gone or too slow.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from cluster.planning.placement import NodeView
from storage.ports.cameras import CameraStore
from storage.ports.cluster import ClusterStore
from storage.ports.processes import ActorStore


class Process(Protocol):
    """A hub, a policy replica, a worker or an actor process."""

    name: str

    async def open(self, timeout_s: float) -> object:
        """Wait until it runs and make it ready."""

    async def died(self) -> str:
        """Wait until the process is gone; why."""

    async def load(self, timeout_s: float) -> float:
        """Cores in use, smoothed; one process gets no further than about one."""

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

    async def pause(self, cameras: Sequence[str], timeout_s: float) -> None:
        """Exactly these cameras there take nothing new in, now and when they come."""

    async def describe(self, timeout_s: float) -> dict[str, Any]:
        """What it hosts: ``hosted`` (camera → its figures), ``given_up`` (camera → reason),
        ``capacity`` and how its loop fares."""


class Machine(Protocol):
    """Where processes are started: Ray, or a double."""

    def cores(self) -> int:
        """Cores of the whole cluster, at least 1."""

    def here(self) -> str:
        """The node of this process; empty where pids of others say nothing."""

    async def nodes(self) -> list[NodeView]:
        """The nodes, living ones at least. Raises Unavailable when nobody can say."""

    async def services(self) -> list[str]:
        """The names of living services (``hub-0``, ``policy-1``, ``worker-0``). Raises
        Unavailable when nobody can say."""

    async def where(self, name: str) -> tuple[str, int] | None:
        """Node and pid of the living service `name`, asked of who started it and not of itself;
        None: nobody knows one. Raises Unavailable."""

    async def request_resources(self, cameras: int) -> None:
        """Ask for a cluster with room for so many cameras, whoever can make it grow (Ray's
        autoscaler). A floor: the next call replaces it.

        Harmless where nobody can. Raises Unavailable.
        """

    async def release_node(self, node: str, deadline_s: float) -> None:
        """Nothing of ours is left there: let Ray take the node out of use within so many seconds.
        Raises Unavailable."""

    def start_cameras(self, name: str, cameras: int, node: str = "") -> CameraProcess:
        """A new process for `cameras` cameras, on `node` unless it is empty. Raises Unavailable,
        Conflict."""

    async def find_cameras(self, name: str) -> CameraProcess | None:
        """The living process `name`, or None."""

    async def start_hub(self, index: int, node: str = "") -> Process:
        """Hub `index`, or the living one of that index (wherever it is); a new one on `node` unless
        that is empty."""

    async def start_worker(self, index: int, node: str = "") -> Process:
        """Worker `index`, likewise."""

    async def start_policy(self, index: int, node: str = "") -> Process:
        """Policy replica `index`, or the living one of that index (wherever it is); a new one on
        `node` unless that is empty."""


class SupervisorStores(Protocol):
    """What the supervisor needs of storage."""

    @property
    def cameras(self) -> CameraStore:
        """`storage.ports.cameras.CameraStore`."""

    @property
    def actors(self) -> ActorStore:
        """`storage.ports.processes.ActorStore`."""

    @property
    def cluster(self) -> ClusterStore:
        """`storage.ports.cluster.ClusterStore`."""

    async def close(self) -> None:
        """Close the connections."""
