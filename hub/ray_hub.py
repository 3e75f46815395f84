"""The Ray actor of a hub: detached, no CPU reserved, never restarted by Ray; the supervisor starts,
watches and replaces it.

uvicorn runs inside the actor's own event loop. The group ``control`` has a thread of its own:
status and stop answer even when that loop is busy. SIGTERM drains the hub and ends its process; the
supervisor sees it gone and starts another.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import msgspec
import ray
import ray.exceptions

from actors.core.errors import Conflict, Unavailable
from actors.links.client import LinkMaker
from actors.links.keys import link_key
from actors.on_ray.calls import answer, find, kill, whereabouts
from actors.on_ray.directory import RayDirectory
from actors.on_ray.supervision import RaySupervision
from actors.supervision import SupervisorWatch
from hub.hub import HubStatus
from hub.hub_actor import HubActor
from hub.termination import Termination
from policy.actor.ray_policy import PolicyCaller
from storage.process.inspection import inspect
from storage.process.log_file import log_to_file
from storage.process.settings_files import node_settings

log = logging.getLogger(__name__)

MAX_CALLS = 100
# seconds a hub that was told SIGTERM has for its last items, beyond the spread of its dashboards'
# closes
GRACE_S = 5.0
CLOSE_S = 10.0  # seconds beyond both, after which its process ends whatever hangs
# seconds the supervisor may take to start a camera's actor, or to say that it is not there yet
LOCATE_S = 10.0


class RayHub:
    """The actor class. The constructor does no I/O (one that raises is final in Ray); `open`
    does."""

    def __init__(self, settings_path: str, index: int) -> None:
        self._settings_path = settings_path
        self._index = index
        self._hub: HubActor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Task[bool] | None = None
        self._termination = Termination()
        # in place of Ray's own handler (`_private/worker.py`, `main_loop`), which ends the process
        # at once
        self._termination.arm()

    async def open(self) -> dict[str, Any]:
        """Serve; the status, with node and pid. Again is harmless. Raises Unavailable, ConfigError,
        StartError."""
        if self._hub is None:
            settings = node_settings(self._settings_path)
            log_to_file(settings, f"hub-{self._index}")
            self._loop = asyncio.get_running_loop()
            namespace, timeout_s = settings.ray.namespace, settings.hub.call_timeout_s
            links = LinkMaker(
                link_key(settings.ray),
                cluster=namespace,
                node=whereabouts()["node"],
                silent_s=timeout_s,
            )
            directory = RayDirectory(
                namespace=namespace, timeout_s=LOCATE_S, call_timeout_s=timeout_s, links=links
            )
            policy = PolicyCaller(
                settings.policy.replicas,
                namespace=namespace,
                timeout_s=settings.policy.decide_timeout_s,
            )
            watch = SupervisorWatch(RaySupervision(namespace))
            hub = HubActor(
                settings,
                self._settings_path,
                self._index,
                directory=directory,
                policy=policy,
                supervision=watch,
            )
            await hub.open()
            self._hub = hub
            grace_s = settings.hub.drain_s + GRACE_S
            self._termination.serve(hub.name, lambda: self._end(hub, grace_s), grace_s + CLOSE_S)
        return _as_dict(self._hub.status()) | whereabouts()

    async def lifetime(self) -> str:
        """Returns only when the hub is beyond repair, with the reason: whoever waits learns of
        that, or of its death, unasked."""
        return "it does not serve" if self._hub is None else await self._hub.broken()

    @ray.method(concurrency_group="control")
    async def status(self) -> dict[str, Any]:
        """What it says of itself."""
        return _as_dict(None if self._hub is None else self._hub.status())

    @ray.method(concurrency_group="control")
    async def inspect(self, what: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """:func:`storage.process.inspection.inspect`."""
        return await asyncio.to_thread(inspect, what, arguments)

    @ray.method(concurrency_group="control")
    async def stop(self, grace_s: float) -> bool:
        """Drain and close; True when everything ended in order."""
        hub, loop = self._hub, self._loop
        if hub is None or loop is None:
            return True
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(self._end(hub, grace_s), loop)
        )

    async def _end(self, hub: HubActor, grace_s: float) -> bool:
        """Stop once, whoever asks, and however often."""
        if self._ending is None:
            self._ending = asyncio.create_task(hub.stop(grace_s), name="hub-stop")
        return await asyncio.shield(self._ending)


class HubHandle:
    """One hub, as the supervisor sees it. Every call has a deadline in seconds; failures are
    Unavailable."""

    def __init__(self, name: str, handle: Any) -> None:
        self.name = name
        self._handle = handle

    async def open(self, timeout_s: float) -> dict[str, Any]:
        """Wait for the process and have it serve; :class:`HubStatus` as a dictionary."""
        return dict(await answer(self._handle.open.remote(), timeout_s, self.name))

    async def ready(self, timeout_s: float) -> dict[str, Any]:
        """The same once it serves. Raises Unavailable before."""
        found = await self.status(timeout_s)
        if not found:
            raise Unavailable(f"{self.name} does not serve yet")
        return found

    async def status(self, timeout_s: float = 5.0) -> dict[str, Any]:
        """:class:`HubStatus` as a dictionary, empty before it serves."""
        return dict(await answer(self._handle.status.remote(), timeout_s, self.name))

    async def load(self, timeout_s: float) -> float:
        """Cores in use."""
        return float((await self.status(timeout_s)).get("cpu", 0.0))

    async def died(self) -> str:
        """Wait, for ever if need be, until the process is gone or of no more use; why."""
        try:
            return str(await self._handle.lifetime.remote())
        except ray.exceptions.RayError as error:
            return (
                str(error).strip().splitlines()[0][:200]
                if str(error).strip()
                else type(error).__name__
            )

    async def stop(self, grace_s: float) -> bool:
        """Drain within `grace_s`, then close."""
        return bool(await answer(self._handle.stop.remote(grace_s), 2 * grace_s + 10.0, self.name))

    def kill(self) -> None:
        """End the process at once."""
        kill(self._handle)


def name_of(index: int) -> str:
    """The actor name of hub `index` (0, 1, …)."""
    return f"hub-{index}"


def start(
    settings_path: str,
    index: int,
    *,
    namespace: str | None = None,
    placed: Mapping[str, Any] | None = None,
) -> HubHandle:
    """Create hub `index` (by default in the namespace of who asks); `open` it next. `placed` are
    Ray options that say where.

    Raises Conflict when an actor of that name still lives, Unavailable when Ray is away.
    """
    options: dict[str, Any] = {
        "name": name_of(index),
        "namespace": namespace,
        "lifetime": "detached",
        "num_cpus": 0,
        "max_restarts": 0,
        "max_task_retries": 0,
        "max_concurrency": MAX_CALLS,
        "enable_task_events": False,
        **(placed or {}),
    }
    try:
        actor = ray.remote(concurrency_groups={"control": 4})(RayHub)  # type: ignore[call-overload]
        handle = actor.options(**options).remote(settings_path, index)
    except ray.exceptions.ActorAlreadyExistsError as error:
        raise Conflict(f"{name_of(index)} exists already") from error
    except ray.exceptions.RayError as error:
        raise Unavailable(f"{name_of(index)} was not started: {type(error).__name__}") from error
    return HubHandle(name_of(index), handle)


async def attach(index: int, *, namespace: str) -> HubHandle | None:
    """The living hub `index`, or None."""
    handle = await find(name_of(index), namespace)
    return None if handle is None else HubHandle(name_of(index), handle)


def _as_dict(status: HubStatus | None) -> dict[str, Any]:
    return {} if status is None else dict(msgspec.to_builtins(status))
