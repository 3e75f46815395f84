"""A camera without an edge leaves its process and is shown all the same; its next frame brings it
back, and nothing of it is lost or repeated."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from cluster.cli.cluster.client import recorded
from edge.client import EdgeClient
from load_tests.harness.history import Operation, ShownEvent, ShownState, ToldGap, WatcherPosition
from policy.identity.tokens import issue
from storage.stores import Stores
from tests.integration.cluster.on_ray.test_ray_stack import audited, feed
from tests.support.camera_rig import SCENE
from tests.support.cluster.ray_stack import Stack
from tests.support.load.fault_load import watching
from tests.support.waiting import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

CAMERA = "sleeper"
WITHIN_S = 60.0  # seconds, on a machine under load


def token(running: Stack) -> str:
    """An administrator's."""
    return issue(
        running.settings.auth,
        sub="ada",
        typ="user",
        jti="sleeper",
        now_s=time.time(),
        roles=["admin"],
        sites=["*"],
    )


async def get(running: Stack, url: str) -> Any:
    headers = {"Authorization": f"Bearer {token(running)}"}
    async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
        return (await http.get(url)).raise_for_status().json()


async def phase(running: Stack, wanted: str) -> None:
    """Return once the cluster says so of the camera."""
    record = await recorded(running.settings)
    url = f"http://{record.host}:{record.port}/v1/cluster/cameras/{CAMERA}"
    async with asyncio.timeout(WITHIN_S):
        while (await get(running, url))["camera"]["phase"] != wanted:
            await asyncio.sleep(0.2)


def states(history: list[Operation]) -> list[str]:
    """What a dashboard was shown of its status, in order."""
    return [operation.status for operation in history if isinstance(operation, ShownState)]


def shown(history: list[Operation]) -> list[tuple[str, int]]:
    """The events that it was shown, as (epoch, offset), behind the position that it began at."""
    assert not [operation for operation in history if isinstance(operation, ToldGap)]
    return [
        (operation.epoch, operation.offset)
        for operation in history
        if isinstance(operation, WatcherPosition | ShownEvent)
    ]


async def test_an_idle_camera_leaves_its_actor_and_its_next_frame_brings_it_back(
    running: Stack, stores: Stores
) -> None:
    dashboards = running.url.replace("/v1/edge", "/connection/websocket")
    page = running.url.replace("ws://", "http://").replace("/v1/edge", f"/v1/cameras/{CAMERA}/")
    await stores.registry.register(CAMERA, "e2e", scene=SCENE)
    history: list[Operation] = []
    late: list[Operation] = []
    async with asyncio.timeout(4 * WITHIN_S):
        async with EdgeClient(running.url, running.token()) as edge:
            await feed(await edge.open(CAMERA), 0, 50)
        before = (await stores.cameras.ownership([CAMERA]))[CAMERA]
        async with watching(dashboards, token(running), [CAMERA], history):
            await phase(running, "idle")
            asleep = (await stores.cameras.ownership([CAMERA]))[CAMERA]
            assert asleep.owner is None
            assert asleep.position.last_seq == 50
            state = await get(running, page + "state")
            assert (state["status"], state["health"]["seq"]) == ("offline", 50)
            async with watching(dashboards, token(running), [CAMERA], late):
                await until(lambda: states(late), what="a dashboard that comes while it is idle")
            assert states(late) == ["offline"]

            async with EdgeClient(running.url, running.token()) as edge:
                await feed(await edge.open(CAMERA), 50, 100)
                awake = (await stores.cameras.ownership([CAMERA]))[CAMERA]
                assert awake.owner is not None
                assert awake.generation > before.generation
                await phase(running, "hosted")
                await until(lambda: states(history)[-1:] == ["online"], what="that it is back")
            position = (await stores.cameras.ownership([CAMERA]))[CAMERA].position
            await until(
                lambda: shown(history)[-1][1] >= position.last_offset,
                what="the last event on the dashboard",
            )
    seen = shown(history)
    assert position.last_offset > asleep.position.last_offset >= before.position.last_offset > 0
    assert {epoch for epoch, _ in seen} == {position.epoch}
    assert [offset for _, offset in seen] == list(range(seen[0][1], seen[-1][1] + 1))
    assert await audited(stores, CAMERA) >= position.last_offset
    assert await stores.dead_letters.list(camera=CAMERA) == []
