"""The policy actor as a Ray actor, and how hubs call it. The engine lives in its process, so that
whoever overruns can be killed.

One replica per index, named ``policy-<index>``: detached, no CPU reserved, never restarted by Ray
(the supervisor replaces it, after :func:`stop` under the same name). Its methods run one at a time.
"""

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
import ray.exceptions

from actors.core.errors import Conflict, EyrieError, Unavailable
from policy.actor.policy_actor import PolicyActor
from storage.embedded.data_dir import of
from storage.process import cpu_load
from storage.process.inspection import inspect
from storage.process.log_file import log_to_file
from storage.process.metrics import Metric, ProcessMetrics, families
from storage.process.settings_files import node_settings

log = logging.getLogger(__name__)

LOOK_S = 2.0  # seconds between two looks for replicas that came or went
PROBE_S = 1.0  # seconds between two looks at a policy actor
STUCK_S = 5.0  # seconds that a look waits
MISSES = 2  # looks in a row without an answer after which a policy actor is killed

ABOUT = {
    "replicas": "Policy replicas.",
    "calls": "Calls for decisions; each asks several questions.",
}


class RayPolicy:
    """The actor class. The constructor does no I/O (one that raises is final in Ray); `open`
    does."""

    def __init__(self, settings_path: str, name: str) -> None:
        self._settings_path = settings_path
        self._name = name
        self._actor: PolicyActor | None = None
        self._calls = 0

    def open(self) -> str:
        """Load settings and policies; the revision. Again is harmless. Raises ConfigError,
        Unavailable."""
        if self._actor is None:
            settings = node_settings(self._settings_path)
            log_to_file(settings, self._name)
            self._actor = PolicyActor.from_settings(settings, name=self._name)
            ProcessMetrics(of(settings), self._collect).run_in_thread()
        return self._actor.revision

    def ping(self) -> bool:
        """True; it waits its turn behind the decisions asked before it, so it tells that the engine
        gets on."""
        return True

    def where(self) -> dict[str, Any]:
        """Where it runs (Ray's node id, the pid) and what it costs (cores in use)."""
        return {
            "node": ray.get_runtime_context().get_node_id(),
            "pid": os.getpid(),
            "cpu": cpu_load.cpu(),
        }

    def decide(self, questions: bytes) -> bytes:
        """:meth:`policy.actor.policy_actor.PolicyActor.decide`. Raises Unavailable before
        `open`."""
        if self._actor is None:
            raise Unavailable("the policy actor is not open yet")
        self._calls += 1
        return self._actor.decide(questions)

    def _collect(self) -> list[Metric]:
        gauges, counters = {"replicas": 1.0}, {"calls": float(self._calls)}
        return families("eyrie_policy", counters=counters, gauges=gauges, about=ABOUT)

    @ray.method(concurrency_group="control")
    def inspect(self, what: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """:func:`storage.process.inspection.inspect`, in a thread of its own."""
        return inspect(what, arguments)


class PolicyHandle:
    """One policy actor (a `cluster.supervisor.ports.Process`).

    Every call has a deadline in seconds and raises Unavailable when the actor is gone, too slow or
    not ready. An engine that gets no further for :data:`MISSES` looks of :data:`STUCK_S` is killed
    by whoever waits in `died`.
    """

    def __init__(self, name: str, handle: Any) -> None:
        self.name = name
        self.gone = False  # its process ended; a newer actor may have the name
        self._handle = handle

    async def open(self, timeout_s: float) -> dict[str, Any]:
        """Load the policies: ``{revision, node, pid, cpu}``, with the revision in force. Raises
        ConfigError when they cannot be used."""
        revision = str(await self._ask(self._handle.open.remote(), timeout_s))
        return {**await self.where(timeout_s), "revision": revision}

    async def decide(self, questions: bytes, timeout_s: float) -> bytes:
        """Encoded questions in, an encoded reply out (`policy.decision.messages`)."""
        answer = await self._ask(self._handle.decide.remote(questions), timeout_s)
        if not isinstance(answer, bytes):
            raise Unavailable(f"{self.name} gave no bytes")
        return answer

    async def where(self, timeout_s: float) -> dict[str, Any]:
        """``{node, pid, cpu}``."""
        return dict(await self._ask(self._handle.where.remote(), timeout_s))

    async def load(self, timeout_s: float) -> float:
        """Cores in use."""
        return float((await self.where(timeout_s))["cpu"])

    async def died(self) -> str:
        """Wait until the process is gone; why. One whose engine is stuck is killed first: nothing
        inside it can end the evaluation."""
        missed = 0
        while True:
            try:
                await self._ask(self._handle.ping.remote(), STUCK_S)
                missed = 0
            except Unavailable as error:
                if self.gone:
                    return error.detail
                missed += 1
                if missed == MISSES:
                    self.kill()
                    return f"killed: {error.detail}"
            await asyncio.sleep(PROBE_S)

    async def stop(self, grace_s: float) -> bool:
        """End; there is nothing to finish, so `grace_s` is not used."""
        self.kill()
        return True

    def kill(self) -> None:
        """End the process at once."""
        ray.kill(self._handle, no_restart=True)

    async def _ask(self, reference: Any, timeout_s: float) -> Any:
        try:
            async with asyncio.timeout(timeout_s):
                return await reference
        except TimeoutError as error:
            raise Unavailable(f"{self.name} did not answer in {timeout_s:g} s") from error
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, EyrieError):
                raise cause from error
            raise Unavailable(f"{self.name} failed: {type(cause).__name__}") from error
        except ray.exceptions.RayError as error:
            self.gone = isinstance(error, ray.exceptions.ActorDiedError)
            raise Unavailable(f"{self.name} is gone: {type(error).__name__}") from error


def name_of(index: int) -> str:
    """The actor name of replica `index` (0, 1, …)."""
    return f"policy-{index}"


def start(
    settings_path: str, index: int, *, namespace: str, placed: Mapping[str, Any] | None = None
) -> PolicyHandle:
    """Create replica `index`; `open` it next. `placed` are Ray options that say where.

    Raises Conflict when an actor of that name still lives, Unavailable when Ray is away.
    """
    options: dict[str, Any] = {
        "name": name_of(index),
        "namespace": namespace,
        "lifetime": "detached",
        "num_cpus": 0,
        "max_restarts": 0,
        "max_task_retries": 0,
        "max_concurrency": 1,
        **(placed or {}),
    }
    try:
        actor = ray.remote(concurrency_groups={"control": 1})(RayPolicy)  # type: ignore[call-overload]
        handle = actor.options(**options).remote(settings_path, name_of(index))
    except ray.exceptions.ActorAlreadyExistsError as error:
        raise Conflict(f"{name_of(index)} exists already") from error
    except ray.exceptions.RayError as error:
        raise Unavailable(f"{name_of(index)} was not started: {type(error).__name__}") from error
    return PolicyHandle(name_of(index), handle)


def find(index: int, *, namespace: str) -> PolicyHandle | None:
    """The living replica `index`, or None. Blocking, one question to the Ray head."""
    try:
        return PolicyHandle(name_of(index), ray.get_actor(name_of(index), namespace=namespace))
    except ValueError:
        return None


class PolicyCaller:
    """The `call` of a :class:`policy.decision.enforcer.Enforcer`: spreads calls over the replicas,
    and looks one up afresh after it failed.

    `replicas` is how many there were; that there are more or fewer now is found out every
    :data:`LOOK_S`, beside the calls. `timeout_s` is for the whole call; with several replicas each
    of two tries gets half of it.
    """

    def __init__(
        self,
        replicas: int,
        *,
        namespace: str,
        timeout_s: float,
        look_up: Callable[[int], PolicyHandle | None] | None = None,
    ) -> None:
        """`look_up` finds the living replica of an index, blocking; by default in Ray."""
        self._indexes = list(range(replicas))
        self._timeout_s = timeout_s
        self._find = look_up or (lambda index: find(index, namespace=namespace))
        self._handles: dict[int, PolicyHandle] = {}
        self._turn = itertools.count()
        self._looked = time.monotonic()
        self._looking: asyncio.Task[None] | None = None

    async def __call__(self, questions: bytes) -> bytes:
        """One call to the next replica, a second one to another if there is another. Raises
        Unavailable."""
        if time.monotonic() - self._looked >= LOOK_S and (
            self._looking is None or self._looking.done()
        ):
            self._looked = time.monotonic()
            self._looking = asyncio.get_running_loop().create_task(
                self._look(), name="policy-replicas"
            )
        indexes = self._indexes
        turn = next(self._turn)
        timeout_s = self._timeout_s / min(len(indexes), 2)
        try:
            return await self._call(indexes[turn % len(indexes)], questions, timeout_s)
        except Unavailable:
            if len(indexes) == 1:
                raise
            return await self._call(indexes[(turn + 1) % len(indexes)], questions, timeout_s)

    async def _look(self) -> None:
        """Which replicas live: from 0 on, and one beyond those that are known."""
        living = []
        for index in range(max(self._indexes) + 2):
            try:
                handle = await asyncio.to_thread(self._find, index)
            except ray.exceptions.RayError as error:
                log.info("policy replicas cannot be looked for now: %s", type(error).__name__)
                return
            if handle is not None:
                living.append(index)
        if living and living != self._indexes:
            log.info("policy replicas are now %s", ", ".join(map(name_of, living)))
            self._indexes = living
            self._handles = {
                index: handle for index, handle in self._handles.items() if index in living
            }

    async def _call(self, index: int, questions: bytes, timeout_s: float) -> bytes:
        known = self._handles.get(index)
        if known is not None:
            try:
                return await known.decide(questions, timeout_s)
            except Unavailable:
                self._handles.pop(index, None)
                if not known.gone:
                    raise
        handle = await asyncio.to_thread(self._find, index)
        if handle is None:
            raise Unavailable(f"{name_of(index)} does not run")
        self._handles[index] = handle
        return await handle.decide(questions, timeout_s)
