"""Real Ray, PostgreSQL and Redis, one edge client: from the socket to the database, and what a
killed actor costs (nothing)."""

import asyncio
import json
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect

from actors.core.messages.observations import Object, Observation
from cluster.event_proofs import AuditEvent, CameraTotals, verify
from edge.client import EdgeClient
from edge.stream import Stream
from policy.identity.tokens import issue
from storage.stores import Stores
from tests.support.camera_rig import SCENE
from tests.support.cluster.ray_stack import Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def seen(number: int) -> Observation:
    x = 0.2 if (number // 10) % 2 == 0 else 0.8
    return Observation(
        START + timedelta(milliseconds=100 * number),
        [Object("person", (x - 0.05, 0.4, x + 0.05, 0.6), 0.9, "p1")],
    )


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def audited(stores: Stores, camera: str) -> int:
    """Events of `camera`, after its chain was verified."""
    position = (await stores.cameras.ownership([camera]))[camera].position
    found = await stores.events.after(camera, position.epoch, 0, 100_000)
    rows = [
        row for row in found if row.offset <= position.last_offset
    ]  # a goodbye may have been committed between the two readings
    records: list[CameraTotals | AuditEvent] = [
        AuditEvent(r.camera, r.epoch, r.offset, r.body.decode(), r.hash.hex()) for r in rows
    ]
    totals = CameraTotals(
        camera,
        position.session,
        position.last_seq,
        position.epoch,
        position.last_offset,
        position.chain.hex(),
        {},
        {},
    )
    verdict = verify([*records, totals])
    assert verdict.green, verdict.findings
    return len(rows)


async def test_observations_reach_the_database_through_a_ray_actor_each(
    running: Stack, stores: Stores
) -> None:
    cameras = [f"e2e-{number}" for number in range(3)]
    for camera in cameras:
        await stores.registry.register(camera, "e2e", scene=SCENE)
    async with EdgeClient(running.url, running.token()) as client:

        async def run(camera: str) -> None:
            stream = await client.open(camera)
            for number in range(100):
                await stream.send(seen(number))
            await stream.drain()

        async with asyncio.timeout(60):
            await asyncio.gather(*(run(camera) for camera in cameras))
        owners = await stores.cameras.owners()
        assert len({owners[camera] for camera in cameras}) == 3
    for camera, place in (await stores.cameras.ownership(cameras)).items():
        assert place.position.last_seq == 100, camera
        assert await audited(stores, camera) >= 10


# This and the next are seen on the whole product too, under load: tests/acceptance/test_faults.py.
@pytest.mark.prove
async def test_an_actor_killed_under_load_loses_no_acked_observation_and_stores_none_twice(
    running: Stack, stores: Stores
) -> None:
    camera = "killed"
    await stores.registry.register(camera, "e2e", scene=SCENE)
    async with EdgeClient(running.url, running.token()) as client, asyncio.timeout(90):
        stream = await client.open(camera)
        for number in range(100):
            await stream.send(seen(number))
        await stream.drain()
        before = (await stores.cameras.ownership([camera]))[camera]
        record = next(record for record in await stores.actors.all() if record.name == before.owner)
        for number in range(100, 150):
            await stream.send(seen(number))
        os.kill(record.pid, signal.SIGKILL)
        for number in range(150, 300):
            await stream.send(seen(number))
        await stream.drain()
    after = (await stores.cameras.ownership([camera]))[camera]
    assert after.owner != before.owner
    assert after.generation > before.generation
    assert after.position.last_seq == 300
    undisturbed = "undisturbed"
    await stores.registry.register(undisturbed, "e2e", scene=SCENE)
    async with EdgeClient(running.url, running.token()) as client, asyncio.timeout(60):
        stream = await client.open(undisturbed)
        for number in range(300):
            await stream.send(seen(number))
        await stream.drain()
    await audited(stores, camera)
    assert await derived(stores, camera) == await derived(stores, undisturbed)


@pytest.mark.prove
async def test_a_frozen_actor_is_replaced_and_does_nothing_after_it_thaws(
    running: Stack, stores: Stores
) -> None:
    camera = "frozen"
    await stores.registry.register(camera, "e2e", scene=SCENE)
    async with EdgeClient(running.url, running.token()) as client, asyncio.timeout(90):
        stream = await client.open(camera)
        await feed(stream, 0, 50)
        before = (await stores.cameras.ownership([camera]))[camera]
        record = next(record for record in await stores.actors.all() if record.name == before.owner)
        os.kill(record.pid, signal.SIGSTOP)
        try:
            await feed(stream, 50, 100)
            after = (await stores.cameras.ownership([camera]))[camera]
            assert after.generation > before.generation
            assert alive(record.pid)
        finally:
            os.kill(record.pid, signal.SIGCONT)
        await until(lambda: not alive(record.pid), within_s=30, what="the end of the thawed actor")
        await feed(stream, 100, 150)
    final = (await stores.cameras.ownership([camera]))[camera]
    assert (final.owner, final.generation, final.position.last_seq) == (
        after.owner,
        after.generation,
        150,
    )
    await audited(stores, camera)


async def feed(stream: Stream, first: int, last: int) -> None:
    """Send a range and wait until it is acked."""
    for number in range(first, last):
        await stream.send(seen(number))
    await stream.drain()


async def derived(stores: Stores, camera: str) -> list[tuple[object, ...]]:
    """What follows from the observations alone."""
    position = (await stores.cameras.ownership([camera]))[camera].position
    rows = await stores.events.after(camera, position.epoch, 0, 100_000)
    events = [msgspec.json.decode(row.body) for row in rows]
    return [
        (e["type"], e.get("track"), e.get("zone"), e["seq"], e["time"])
        for e in events
        if not e["type"].startswith(("camera.", "stream."))
    ]


async def test_http_ingest_is_idempotent_and_tells_the_expected_seq(
    running: Stack, stores: Stores
) -> None:
    camera = "by-http"
    base = running.url.replace("ws://", "http://").removesuffix("/v1/edge")
    headers = {"authorization": f"Bearer {running.token()}"}
    body = {
        "session": "s1",
        "first_seq": 1,
        "observations": [msgspec.to_builtins(seen(number)) for number in range(5)],
    }
    async with httpx.AsyncClient(
        base_url=base, headers=headers, timeout=30, trust_env=False
    ) as client:
        path = f"/v1/cameras/{camera}/observations"
        first = await client.post(path, content=msgspec.json.encode(body))
        assert (first.status_code, first.json()["seq"]) == (200, 5), first.text
        again = await client.post(path, content=msgspec.json.encode(body))
        assert (again.status_code, again.json()["seq"]) == (200, 5)
        ahead = await client.post(path, content=msgspec.json.encode({**body, "first_seq": 9}))
        assert (ahead.status_code, ahead.json()["expected_seq"]) == (409, 6)
        broken = await client.post(path, content=b"{")
        assert broken.status_code == 400
        nobody = await client.post(
            path, content=msgspec.json.encode(body), headers={"authorization": "Bearer x"}
        )
        assert nobody.status_code == 401
    assert (await stores.cameras.ownership([camera]))[camera].position.last_seq == 5


async def test_a_hub_told_sigterm_sends_its_clients_elsewhere_and_another_takes_its_place(
    running: Stack, stores: Stores
) -> None:
    """Dashboards are closed with 3001, which reconnects; the edge goes on where it was; nobody had
    to restart anything."""
    await stores.registry.register("drained", "e2e", scene=SCENE)
    before = {hub.pid for hub in await stores.hubs.all() if alive(hub.pid)}
    assert len(before) == 1
    viewer = issue(
        running.settings.auth,
        sub="ada",
        typ="user",
        jti="sigterm",
        now_s=time.time(),
        roles=["viewer"],
        sites=["e2e"],
    )
    dashboards = running.url.replace("/v1/edge", "/connection/websocket")
    async with EdgeClient(running.url, running.token()) as client, asyncio.timeout(120):
        stream = await client.open("drained")
        for number in range(20):
            await stream.send(seen(number))
        await stream.drain()
        async with connect(dashboards, compression=None) as socket:
            await socket.send(json.dumps({"id": 1, "connect": {"token": viewer}}))
            assert "client" in json.loads(await socket.recv())["connect"]
            os.kill(next(iter(before)), signal.SIGTERM)
            await socket.wait_closed()
            assert (socket.close_code, (socket.close_reason or "")[:8]) == (3001, "shutdown")
        while any(alive(pid) for pid in before):
            await asyncio.sleep(0.05)
        for number in range(20, 60):
            await stream.send(seen(number))
        await stream.drain()
    assert (await stores.cameras.ownership(["drained"]))["drained"].position.last_seq == 60
    now = {hub.pid for hub in await stores.hubs.all()}
    assert now - before
    assert not now & before, "the record of the one that left is gone"
    await audited(stores, "drained")
