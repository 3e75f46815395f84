"""A hub that stands still leaves the sockets of its dashboards open and says nothing on them: the
supervisor ends it, so that they close, and starts another."""

import json
import logging
import os
import signal
import time
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect

from policy.identity.tokens import issue
from tests.support.cluster.ray_stack import Stack, stack
from tests.support.processes import frozen, gone
from tests.support.waiting import until

pytestmark = [pytest.mark.ray, pytest.mark.prove, pytest.mark.timeout(300)]

HEAL_S = 60.0  # seconds a machine under load may take to start a process of Ray
log = logging.getLogger(__name__)

HUB = "ray::RayHub"


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack() as started:
        yield started


def token(running: Stack) -> str:
    return issue(
        running.settings.auth,
        sub="ada",
        typ="user",
        jti="ada-1",
        now_s=time.time(),
        roles=("viewer",),
        sites=("*",),
    )


async def test_dashboards_of_a_hub_that_stands_still_are_told_by_its_end(running: Stack) -> None:
    [hub] = running.pids(HUB)
    url = running.url.replace("/v1/edge", "/connection/websocket")
    async with connect(url, compression=None, ping_interval=None) as dashboard:
        await dashboard.send(json.dumps({"id": 1, "connect": {"token": token(running)}}))
        assert "connect" in json.loads((await dashboard.recv()).splitlines()[0])
        os.kill(hub, signal.SIGSTOP)
        began = time.monotonic()
        await until(lambda: frozen(hub), what="that it stands still")
        await dashboard.wait_closed()
        log.warning("told after %.1f s", time.monotonic() - began)
    await until(lambda: gone(hub), within_s=HEAL_S, what="its end")
    await until(
        lambda: [pid for pid in running.pids(HUB) if pid != hub],
        within_s=HEAL_S,
        what="another hub",
    )
