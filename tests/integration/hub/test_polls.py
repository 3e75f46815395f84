"""Who polls by REST is told what is stale, as a subscriber is: also of a camera that nobody on this
hub watches."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.dashboards.timed.polled_sites import HEARD_WITHIN_S
from hub.fanout.live_states import STALE_AFTER_S
from tests.support.hub.hub import TestHub, running_hub

PATHS = ["/v1/cameras/cam-1/state", "/v1/sites/north/state", "/v1/fleet/state"]
PROMISE_S = 10.0


async def polled(hub: TestHub, path: str) -> dict[str, Any]:
    """The camera as a poll of `path` shows it."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", timeout=30) as http:
        answer = (
            (await http.get(path, headers={"authorization": f"Bearer {hub.token()}"}))
            .raise_for_status()
            .json()
        )
    return dict(answer["cameras"][0] if "cameras" in answer else answer)


@asynccontextmanager
async def beating(hub: TestHub) -> AsyncIterator[None]:
    """The camera's actor tells that it lives, as long as this lasts."""
    over = False

    async def beat() -> None:
        while not over:
            await hub.beat(("cam-1", 1, 3, 0))
            await asyncio.sleep(0.05)

    task = asyncio.create_task(beat())
    yield
    over = True
    await task


@pytest.mark.parametrize("path", PATHS)
async def test_a_camera_whose_actor_is_gone_is_stale_at_the_first_poll(
    tmp_path: Path, path: str
) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        await hub.show("cam-1", 3)
        began = asyncio.get_running_loop().time()
        assert {key: (await polled(hub, path))[key] for key in ("version", "status", "reason")} == {
            "version": 3,
            "status": "stale",
            "reason": "actor_lost",
        }
        assert asyncio.get_running_loop().time() - began < PROMISE_S


@pytest.mark.parametrize("path", PATHS)
async def test_a_living_camera_is_online_and_later_polls_wait_for_nothing(
    tmp_path: Path, path: str
) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        await hub.show("cam-1", 3)
        async with beating(hub):
            assert (await polled(hub, path))["status"] == "online"
            began = asyncio.get_running_loop().time()
            assert (await polled(hub, path))["status"] == "online"
            assert asyncio.get_running_loop().time() - began < HEARD_WITHIN_S


async def test_an_actor_that_dies_between_polls_is_told_within_the_promise(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        await hub.show("cam-1", 3)
        async with beating(hub):
            assert (await polled(hub, PATHS[0]))["status"] == "online"
        died = asyncio.get_running_loop().time()
        while (await polled(hub, PATHS[0]))["status"] == "online":
            assert asyncio.get_running_loop().time() - died < PROMISE_S
            await asyncio.sleep(0.1)
        assert asyncio.get_running_loop().time() - died > STALE_AFTER_S - 1.0


async def test_a_camera_never_seen_costs_no_waiting(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        began = asyncio.get_running_loop().time()
        assert (await polled(hub, PATHS[1]))["reason"] == "never_seen"
        assert asyncio.get_running_loop().time() - began < HEARD_WITHIN_S
