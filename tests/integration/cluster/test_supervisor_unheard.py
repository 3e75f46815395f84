"""A supervisor that stands still before anybody heard it: only Ray knows its process."""

import asyncio
import os
import signal
from typing import Any

import pytest
import ray

from actors.on_ray.directory import SUPERVISOR
from actors.supervision import Turn
from cluster.ray.supervisor import REPLACE_S, UNHEARD_S, mend
from tests.support.processes import frozen, gone
from tests.support.servers.ray_head import local_ray
from tests.support.waiting import until

NAMESPACE = "unheard"
GONE = Turn(0.0, node="another", pid=1, started=0)  # what its predecessor said last


class Silent:
    """Stands where a supervisor does."""

    def pid(self) -> int:
        """Its process."""
        return os.getpid()


@pytest.mark.prove
@pytest.mark.ray
def test_it_is_ended_by_ray_after_longer_and_another_takes_its_place() -> None:
    async def act(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        try:
            await until(lambda: frozen(pid), what="that it stands still")
            assert not await mend("", NAMESPACE, GONE, REPLACE_S)
            assert not await mend("", NAMESPACE, None, REPLACE_S)
            assert await mend("", NAMESPACE, GONE, UNHEARD_S)
            await until(lambda: gone(pid), within_s=60, what="its end")
        finally:
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)

    with local_ray(NAMESPACE):
        options: dict[str, Any] = {"name": SUPERVISOR, "namespace": NAMESPACE}
        options |= {"max_restarts": -1, "max_task_retries": -1}
        actor: Any = ray.remote(Silent).options(**options).remote()
        pid = ray.get(actor.pid.remote(), timeout=60)
        asyncio.run(act(pid))
        assert ray.get(actor.pid.remote(), timeout=60) != pid
