"""The supervisor dies, and then every other part, with nothing else that could wake it: no hello,
no new camera, no question of a person.

One stack for all pairs but the one without a driver, which nobody here starts again. Each kill is
proven by the end of that very process.
"""

import asyncio
import logging
import os
import re
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from actors.on_ray.directory import SUPERVISOR as NAME
from cluster.cli.main import main
from edge.client import EdgeClient
from storage.stores import Stores
from tests.integration.cluster.on_ray.test_ray_stack import audited, feed
from tests.support.camera_rig import SCENE
from tests.support.cluster.ray_asker import asker
from tests.support.cluster.ray_stack import Stack, stack
from tests.support.processes import frozen, gone
from tests.support.waiting import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

log = logging.getLogger(__name__)

HEAL_S = 60.0  # seconds a machine under load may take to start a process of Ray
# seconds a start may take here: whoever waits for that is not done in time
START_S = 300.0
# seconds within which a supervisor that does not work is named (design section 12, promise 15)
NAMED_S = 10.0
SUPERVISOR, HUB, POLICY = "ray::RaySupervisor", "ray::RayHub", "ray::RayPolicy"
WORKER = "ray::RayWorker"


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(
        cluster={"actor_dead_after_s": 3.0, "start_timeout_s": START_S, "workers": 1}
    ) as started:
        yield started


def kill(pids: list[int]) -> None:
    """SIGKILL, without which the test shows nothing."""
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


async def replaced(running: Stack, title: str, killed: list[int]) -> None:
    """Those of `title` have ended, and as many others run."""
    await until(lambda: all(map(gone, killed)), within_s=2 * HEAL_S, what=f"the end of {title}")
    await until(
        lambda: len([pid for pid in running.pids(title) if pid not in killed]) == len(killed),
        within_s=HEAL_S,
        what=f"another {title}",
    )


async def answers(check: Callable[[], Awaitable[bool]], what: str) -> None:
    """`check` becomes true in time."""
    try:
        async with asyncio.timeout(HEAL_S):
            while not await check():
                await asyncio.sleep(0.1)
    except TimeoutError as error:
        raise AssertionError(f"{what} did not come true within {HEAL_S:g} s") from error


async def asked(running: Stack, stores: Stores, path: str) -> str:
    """What a hub that records itself answers on its private port; empty when none does."""
    for hub in await stores.hubs.all():
        if hub.age_s < 3.0:
            try:
                async with httpx.AsyncClient(timeout=5, trust_env=False) as http:
                    return (await http.get(f"http://{hub.host}:{hub.private_port}{path}")).text
            except httpx.HTTPError:
                continue
    return ""


@pytest.mark.parametrize("title", [POLICY, HUB, WORKER])
async def test_the_supervisor_and_a_service_are_killed_and_both_come_back(
    running: Stack, stores: Stores, title: str
) -> None:
    supervisor, service = running.pids(SUPERVISOR), running.pids(title)
    kill([*supervisor, *service])
    await replaced(running, SUPERVISOR, supervisor)
    await replaced(running, title, service)

    async def ready() -> bool:
        return '"ready":true' in await asked(running, stores, "/health/ready")

    await answers(ready, "a hub that is ready")


@pytest.mark.prove
async def test_the_supervisor_is_killed_and_a_hub_stands_still_and_another_hub_serves(
    running: Stack, stores: Stores
) -> None:
    """The new supervisor has never heard that hub, and would wait for its answer for as long as a
    start may take."""
    supervisor, hubs = running.pids(SUPERVISOR), running.pids(HUB)
    for hub in hubs:
        os.kill(hub, signal.SIGSTOP)
        await until(lambda hub=hub: frozen(hub), what="that it stands still")  # type: ignore[misc]
    began = asyncio.get_running_loop().time()
    kill(supervisor)
    await until(lambda: all(map(gone, hubs)), within_s=2 * HEAL_S, what="the end of the hub")
    log.warning("ended after %.1f s", asyncio.get_running_loop().time() - began)
    await replaced(running, HUB, hubs)
    await replaced(running, SUPERVISOR, supervisor)


@pytest.mark.prove
async def test_the_supervisor_and_a_camera_actor_are_killed_and_the_camera_is_hosted_again(
    running: Stack, stores: Stores
) -> None:
    camera = "unattended"
    await stores.registry.register(camera, "e2e", scene=SCENE)
    async with EdgeClient(running.url, running.token()) as client, asyncio.timeout(60):
        await feed(await client.open(camera), 0, 50)
    before = (await stores.cameras.ownership([camera]))[camera]
    actor = next(record for record in await stores.actors.all() if record.name == before.owner)
    supervisor = running.pids(SUPERVISOR)
    kill([*supervisor, actor.pid])
    await replaced(running, SUPERVISOR, supervisor)
    await until(lambda: gone(actor.pid), what="the end of the actor")

    async def hosted() -> bool:
        now = (await stores.cameras.ownership([camera]))[camera]
        return now.owner != before.owner and now.generation > before.generation

    await answers(hosted, "another owner")
    await audited(stores, camera)


async def test_a_supervisor_that_stands_still_is_named_in_time_and_replaced(
    running: Stack, stores: Stores, capsys: pytest.CaptureFixture[str]
) -> None:
    async def status() -> int:
        return await asyncio.to_thread(main, ["status", "--data-dir", running.settings.data.dir])

    async def named() -> bool:
        return await status() == 1 and "supervisor_up 0.0" in await asked(
            running, stores, "/metrics"
        )

    assert await status() == 0
    [supervisor] = running.pids(SUPERVISOR)
    os.kill(supervisor, signal.SIGSTOP)
    try:
        await until(lambda: frozen(supervisor), what="that it stands still")
        began = asyncio.get_running_loop().time()
        await answers(named, "that it does not work")
        took_s = asyncio.get_running_loop().time() - began
        assert "the supervisor does not work" in capsys.readouterr().err
        assert re.search(
            "the supervisor has not worked for [0-9]+ s",
            await asked(running, stores, "/health/ready"),
        )
        await replaced(running, SUPERVISOR, [supervisor])
    finally:
        if not gone(supervisor):
            os.kill(supervisor, signal.SIGCONT)

    async def well() -> bool:
        return await status() == 0 and "supervisor_up 1.0" in await asked(
            running, stores, "/metrics"
        )

    await answers(well, "that it works again")
    assert took_s <= 2 * NAMED_S, (
        f"named after {took_s:.1f} s"
    )  # twice: other tests may run beside this one


@pytest.mark.prove
async def test_a_supervisor_that_ray_does_not_start_again_is_started_and_heard(
    running: Stack, stores: Stores
) -> None:
    supervisor, ray = running.pids(SUPERVISOR), running.settings.ray
    with asker(ray.address, Path(ray.token_file)) as driver:
        assert await asyncio.to_thread(driver.ask, "end", NAME, ray.namespace)
    ended = asyncio.get_running_loop().time()
    await replaced(running, SUPERVISOR, supervisor)

    async def heard() -> bool:
        named = (
            asyncio.get_running_loop().time() > ended + NAMED_S
        )  # from then on whoever still asks the old one says that it is gone
        return named and "supervisor_up 1.0" in await asked(running, stores, "/metrics")

    await answers(heard, "that hubs hear the new one")


async def test_without_the_driver_a_hub_keeps_the_supervisor_at_work() -> None:
    with stack(cluster={"actor_dead_after_s": 3.0, "start_timeout_s": START_S}) as running:
        supervisor = running.pids(SUPERVISOR)
        kill([running.driver.pid, *supervisor])
        await replaced(running, SUPERVISOR, supervisor)
        policy = running.pids(POLICY)
        kill(policy)
        await replaced(running, POLICY, policy)
