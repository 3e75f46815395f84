"""The Ray actor of cameras (design section 10): async, detached, never restarted by Ray, a unique
name per incarnation.

The constructor does no I/O, because one that raises is final. The group ``control`` has a thread
and a loop of its own: health, describe and stop answer even when the loop that does the work is
stuck (Ray documentation, concurrency groups).
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import ray

from actors.camera_actor import CameraActor
from actors.core.attribute_classes import Classes
from actors.core.errors import Conflict, Unavailable
from actors.core.settings import Settings
from actors.links.address import LinkAddress
from actors.links.keys import link_key, server_tls
from actors.links.server import LinkServer
from actors.metrics import collect
from actors.on_ray.calls import ALONE, answer, find, kill, ray_address, whereabouts
from actors.sealing import Sealer
from actors.step_notes import left_behind
from storage.embedded.data_dir import of
from storage.process.inspection import inspect
from storage.process.log_file import log_to_file
from storage.process.metrics import ProcessMetrics
from storage.process.settings_files import node_settings
from storage.stores import open_stores

CAMERA_SLOT = "camera_slot"  # Ray resource: one per camera that a node may host
MAX_CALLS = 1000  # calls in a process at once
EXIT_AFTER_S = 0.5  # a written-off process may still return its last answers

log = logging.getLogger("eyrie.actors.ray")


class RayCamera:
    """The actor class: a thin shell over :class:`actors.camera_actor.CameraActor`."""

    def __init__(self, settings_path: str, name: str, capacity: int) -> None:
        self._settings_path = settings_path
        self._name = name
        self._capacity = capacity
        self._actor: CameraActor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._links: LinkServer | None = None
        self._address: dict[str, Any] = {}
        self._copying: asyncio.Task[None] | None = None

    async def open(self) -> dict[str, Any]:
        """Open the stores and begin to work; where it runs, under ``link`` where it takes links
        (:class:`LinkAddress`), and under ``died`` which processes died on this node with which
        camera (`actors.step_notes`). Again is harmless. Raises Unavailable, ConfigError,
        StartError."""
        settings = node_settings(self._settings_path)
        if self._actor is None:
            log_to_file(settings, self._name)
            stores = await open_stores(settings, name=self._name)
            self._loop = asyncio.get_running_loop()
            actor = CameraActor(
                self._name,
                stores,
                settings.camera,
                capacity=self._capacity,
                sealer=Sealer(Classes(settings.policy.shown_attributes)),
                written_off=self._written_off,
            )
            actor.note.open(of(settings), self._name)
            try:
                await self._listen(actor, settings)
            except BaseException:
                await stores.close()  # the next attempt has connections of its own
                raise
            actor.start()
            self._actor = actor
            self._copying = asyncio.create_task(
                ProcessMetrics(of(settings), lambda: collect(actor)).run(), name="process-metrics"
            )
        return {**whereabouts(), "link": self._address, "died": left_behind(of(settings))}

    async def _listen(self, actor: CameraActor, settings: Settings) -> None:
        """Take links: of this node by a Unix socket, of others where there may be others."""
        links = LinkServer(
            actor,
            link_key(settings.ray),
            cluster=settings.ray.namespace,
            name=self._name,
            silent_s=settings.hub.call_timeout_s,
        )
        folder = of(settings).socket_folder("links")
        path, host, port = await links.listen_here(folder), ray_address(), 0
        if settings.ray.host or host != ALONE:
            ports = range(settings.ray.link_port_min, settings.ray.link_port_max + 1)
            port = await links.listen_beyond(host, ports, *server_tls(folder))
        address = LinkAddress(
            node=whereabouts()["node"], path=path, host=host if port else "", port=port
        )
        self._links, self._address = links, msgspec.to_builtins(address)

    async def adopt(self, cameras: list[str]) -> dict[str, str]:
        """Activate `cameras`; camera → why not."""
        return await self._opened().adopt(cameras)

    async def release(self, cameras: list[str]) -> None:
        """Commit and give up `cameras`."""
        await self._opened().release(cameras)

    async def pause(self, cameras: list[str]) -> None:
        """:meth:`CameraActor.pause`."""
        self._opened().pause(cameras)

    async def refresh(self, cameras: list[str]) -> dict[str, int]:
        """:meth:`actors.registry_sync.RegistrySync.look`."""
        return await self._opened().registry.look(cameras)

    async def reset_counts(self, camera: str, lines: list[str] | None, reason: str | None) -> str:
        """:meth:`actors.registry_sync.RegistrySync.reset_counts`."""
        return await self._opened().registry.reset_counts(camera, lines, reason)

    async def clear_alert(self, camera: str, rule: str, place: str) -> str:
        """:meth:`actors.registry_sync.RegistrySync.clear_alert`."""
        return await self._opened().registry.clear_alert(camera, rule, place)

    async def replay(self, letter: int, by: str) -> str:
        """:meth:`actors.registry_sync.RegistrySync.replay`."""
        return await self._opened().registry.replay(letter, by)

    async def lifetime(self) -> None:
        """Never returns while the process lives: whoever waits for it learns of its death without
        asking again."""
        self._over = self._over or asyncio.Event()
        await self._over.wait()

    @ray.method(concurrency_group="control")
    async def health(self) -> dict[str, Any]:
        """:meth:`CameraActor.health`."""
        return self._opened().health()

    @ray.method(concurrency_group="control")
    async def describe(self) -> dict[str, Any]:
        """:meth:`CameraActor.describe`, and ``link`` as :meth:`open` says it."""
        return {**self._opened().describe(), "link": self._address}

    @ray.method(concurrency_group="control")
    async def inspect(self, what: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """:func:`storage.process.inspection.inspect`."""
        return await asyncio.to_thread(inspect, what, arguments)

    @ray.method(concurrency_group="control")
    async def stop(self, grace_s: float) -> bool:
        """Commit what is stepped and close; True when all of it is durable."""
        actor, loop = self._actor, self._loop
        if actor is None or loop is None:
            return True
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(self._stop(actor, grace_s), loop)
        )

    async def _stop(self, actor: CameraActor, grace_s: float) -> bool:
        done = await actor.stop(grace_s)
        if self._links is not None:
            await self._links.stop()
        return done

    def _opened(self) -> CameraActor:
        if self._actor is None:
            raise Unavailable(f"{self._name} is not open yet")
        return self._actor

    def _written_off(self, reason: str) -> None:
        log.critical("%s ends itself: %s", self._name, reason)
        if self._loop is not None:
            self._loop.call_later(EXIT_AFTER_S, os._exit, 1)


class RayCameraProcess:
    """The handle: `actors.ports.ActorControl` for hubs, and what the supervisor needs. Every call
    has a deadline in seconds."""

    def __init__(self, name: str, handle: Any, *, call_timeout_s: float = 5.0) -> None:
        self.name = name
        self._handle = handle
        self._timeout_s = call_timeout_s

    async def refresh(self, cameras: Sequence[str]) -> dict[str, int]:
        return dict(
            await answer(self._handle.refresh.remote(list(cameras)), self._timeout_s, self.name)
        )

    async def reset_counts(
        self, camera: str, lines: Sequence[str] | None, reason: str | None
    ) -> str:
        wanted = None if lines is None else list(lines)
        return str(
            await answer(
                self._handle.reset_counts.remote(camera, wanted, reason), self._timeout_s, self.name
            )
        )

    async def clear_alert(self, camera: str, rule: str, place: str) -> str:
        asked = self._handle.clear_alert.remote(camera, rule, place)
        return str(await answer(asked, self._timeout_s, self.name))

    async def replay(self, letter: int, by: str) -> str:
        return str(await answer(self._handle.replay.remote(letter, by), self._timeout_s, self.name))

    async def open(self, timeout_s: float) -> dict[str, Any]:
        """Wait for the process and open its stores; ``{node, pid, link, died}``."""
        where = await answer(self._handle.open.remote(), timeout_s, self.name)
        return dict(where)

    async def adopt(self, cameras: Sequence[str], timeout_s: float) -> dict[str, str]:
        """Activate cameras there; camera → why not."""
        return dict(await answer(self._handle.adopt.remote(list(cameras)), timeout_s, self.name))

    async def release(self, cameras: Sequence[str], timeout_s: float) -> None:
        """Commit and give up cameras there."""
        await answer(self._handle.release.remote(list(cameras)), timeout_s, self.name)

    async def pause(self, cameras: Sequence[str], timeout_s: float) -> None:
        """Exactly these cameras there take nothing new in."""
        await answer(self._handle.pause.remote(list(cameras)), timeout_s, self.name)

    async def died(self) -> str:
        """Wait, for ever if need be, until the process is gone; why."""
        try:
            await self._handle.lifetime.remote()
        except ray.exceptions.RayError as error:
            return (
                str(error).strip().splitlines()[0][:200]
                if str(error).strip()
                else type(error).__name__
            )
        return "it ended"

    async def health(self, timeout_s: float) -> dict[str, Any]:
        """How its working loop fares."""
        return dict(await answer(self._handle.health.remote(), timeout_s, self.name))

    async def load(self, timeout_s: float) -> float:
        """Cores in use."""
        return float((await self.health(timeout_s))["cpu"])

    async def describe(self, timeout_s: float) -> dict[str, Any]:
        """What it hosts."""
        return dict(await answer(self._handle.describe.remote(), timeout_s, self.name))

    async def stop(self, grace_s: float) -> bool:
        """A last commit within `grace_s`, then close."""
        return bool(await answer(self._handle.stop.remote(grace_s), grace_s + 2.0, self.name))

    def kill(self) -> None:
        """End the process at once."""
        kill(self._handle)


def start(
    settings_path: str,
    name: str,
    *,
    namespace: str,
    slots: int,
    placed: Mapping[str, Any] | None = None,
    call_timeout_s: float = 5.0,
    capacity: int = 1,
) -> RayCameraProcess:
    """Create the process `name` for `capacity` cameras; `open` it next.

    `slots` camera slots are taken where the cluster has such a resource (0: none). `placed` are Ray
    options that say where.
    """
    options: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "lifetime": "detached",
        "num_cpus": 0,
        "max_restarts": 0,
        "max_task_retries": 0,
        "max_concurrency": MAX_CALLS,
        "enable_task_events": False,
        **(placed or {}),
    }
    if slots:
        options["resources"] = {CAMERA_SLOT: slots}
    try:
        remote: Any = ray.remote(concurrency_groups={"control": 4})  # type: ignore[call-overload]
        handle = remote(RayCamera).options(**options).remote(settings_path, name, capacity)
    except ray.exceptions.ActorAlreadyExistsError as error:
        raise Conflict(f"{name} exists already") from error
    except ray.exceptions.RayError as error:
        raise Unavailable(f"{name} was not started: {type(error).__name__}") from error
    return RayCameraProcess(name, handle, call_timeout_s=call_timeout_s)


async def attach(
    name: str, *, namespace: str, call_timeout_s: float = 5.0
) -> RayCameraProcess | None:
    """The living process `name`, or None."""
    handle = await find(name, namespace)
    return None if handle is None else RayCameraProcess(name, handle, call_timeout_s=call_timeout_s)
