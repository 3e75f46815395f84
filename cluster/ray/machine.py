"""`cluster.supervisor.ports.Machine` over Ray: how the supervisor starts and finds camera actors,
hubs and policy replicas."""

import asyncio
import os

from actors.core.errors import Conflict, Unavailable
from actors.core.settings import Settings
from actors.on_ray import camera as ray_camera
from actors.on_ray.calls import whereabouts
from actors.on_ray.camera import RayCameraProcess
from cluster.planning.placement import NodeView
from cluster.ray import nodes as ray_nodes
from cluster.ray import session
from cluster.supervisor.models import SERVICE_PREFIXES
from cluster.supervisor.ports import Process
from connectors.ray_policy_call import open_connectors
from hub import ray_hub
from policy.actor import ray_policy
from workers import ray_worker


class RayMachine:
    """`settings_path` is handed to every process."""

    def __init__(self, settings_path: str, settings: Settings) -> None:
        self._path = settings_path
        self._settings = settings
        self._namespace = settings.ray.namespace
        self._slots = session.has_resource(ray_camera.CAMERA_SLOT)

    def cores(self) -> int:
        return (
            min(session.cores(), os.cpu_count() or 1)
            if self._settings.ray.address == ""
            else session.cores()
        )

    def here(self) -> str:
        return str(whereabouts()["node"])

    async def nodes(self) -> list[NodeView]:
        return await ray_nodes.nodes()

    async def services(self) -> list[str]:
        named = await asyncio.to_thread(session.named_actors, self._namespace)
        return [name for name in named if name.startswith(SERVICE_PREFIXES)]

    async def where(self, name: str) -> tuple[str, int] | None:
        return await ray_nodes.where(name, self._namespace)

    async def request_resources(self, cameras: int) -> None:
        await ray_nodes.request(cameras)

    async def release_node(self, node: str, deadline_s: float) -> None:
        await ray_nodes.release(node, deadline_s)

    def start_cameras(self, name: str, cameras: int, node: str = "") -> RayCameraProcess:
        timeout_s, slots = self._settings.hub.call_timeout_s, cameras if self._slots else 0
        return ray_camera.start(
            self._path,
            name,
            namespace=self._namespace,
            slots=slots,
            placed=ray_nodes.bound_to(node),
            call_timeout_s=timeout_s,
            capacity=cameras,
        )

    async def find_cameras(self, name: str) -> RayCameraProcess | None:
        return await ray_camera.attach(
            name, namespace=self._namespace, call_timeout_s=self._settings.hub.call_timeout_s
        )

    async def start_hub(self, index: int, node: str = "") -> Process:
        try:
            return ray_hub.start(
                self._path, index, namespace=self._namespace, placed=ray_nodes.bound_to(node)
            )
        except Conflict:
            living = await ray_hub.attach(index, namespace=self._namespace)
            if living is None:
                raise Unavailable(f"hub {index} is just ending") from None
            return living

    async def start_worker(self, index: int, node: str = "") -> Process:
        try:
            return ray_worker.start(
                self._path,
                index,
                namespace=self._namespace,
                placed=ray_nodes.bound_to(node),
                connectors=open_connectors,
            )
        except Conflict:
            living = await ray_worker.attach(index, namespace=self._namespace)
            if living is None:
                raise Unavailable(f"worker {index} is just ending") from None
            return living

    async def start_policy(self, index: int, node: str = "") -> Process:
        try:
            return ray_policy.start(
                self._path, index, namespace=self._namespace, placed=ray_nodes.bound_to(node)
            )
        except Conflict:
            living = await asyncio.to_thread(ray_policy.find, index, namespace=self._namespace)
            if living is None:
                raise Unavailable(f"policy {index} is just ending") from None
            return living
