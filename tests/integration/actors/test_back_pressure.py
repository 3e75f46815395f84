"""Back-pressure of an actor process over real stores, without Ray: credits are bounded together, a
full mailbox refuses and asks again."""

import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import pytest

from actors.commit_loop import IDLE_S
from actors.core.messages.deliveries import Acked, AskedAgain, Data, Dismissed, Welcomed
from actors.core.settings import Settings
from storage.stores import Stores
from tests.support.camera_rig import SCENE, Process, settings_of, walk
from tests.support.servers.store_servers import Server

Begin = Callable[[Sequence[str]], Awaitable[Process]]


@pytest.fixture
def settings(servers: tuple[Server, Server, Settings]) -> Settings:
    shared = servers[2]
    return settings_of(shared.postgres.dsn, shared.redis.url, mailbox_items=128, process_items=256)


@pytest.fixture
async def cameras(stores: Stores, site: str) -> list[str]:
    names = [f"{site}-{number}" for number in range(4)]
    for name in names:
        await stores.registry.register(name, site, scene=SCENE)
    return names


async def test_the_credits_of_all_cameras_stay_within_the_process(
    begin: Begin, cameras: list[str]
) -> None:
    process = await begin(cameras)
    for camera in cameras:
        process.attach(camera)
    await process.has(Welcomed, len(cameras))
    assert sum(welcome.credits for welcome in process.of(Welcomed)) <= 256
    for camera in cameras:
        process.data(camera, range(1, 41))
    for camera in cameras:
        await process.acked(camera, 40)
    newest = {ack.camera: ack for ack in process.of(Acked)}
    assert sum(ack.credits for ack in newest.values()) <= 256


async def test_a_full_mailbox_refuses_answers_questions_and_asks_again(
    begin: Begin, cameras: list[str]
) -> None:
    process = await begin(cameras)
    loud, quiet = cameras[0], cameras[1]
    for camera in (loud, quiet):
        process.attach(camera)
    await process.has(Welcomed, 2)
    body = walk(range(1, 61))
    again = [
        Data(loud, f"{process.hub}/1", "s1", 1, 0, "json", body) for _ in range(5)
    ]  # resends are free: only these can be too many
    process.send(*again, Data(quiet, f"{process.hub}/1", "s1", 1, 0, "json", walk(range(1, 6))))
    await process.has(AskedAgain)
    described = process.actor.describe()["hosted"][loud]
    assert described["refused"] > 0
    assert process.actor.health()["failed"] == ""
    assert process.of(AskedAgain, loud)[0].resume_from == 61
    await process.acked(loud, 60)
    await process.acked(quiet, 5)
    assert not process.of(Dismissed)
    assert described["waiting"] <= 128


async def test_an_observation_without_an_event_waits_for_the_interval_and_no_longer(
    stores: Stores, settings: Settings, cameras: list[str]
) -> None:
    calm = msgspec.structs.replace(
        settings,
        camera=msgspec.structs.replace(settings.camera, heartbeat_s=60.0, commit_interval_s=0.05),
    )
    process = await Process.begin(calm, stores, cameras[:1])
    try:
        process.attach(cameras[0])
        await process.has(Welcomed)
        took = []
        for seq in range(1, 8):
            began = time.monotonic()
            process.data(cameras[0], [seq])
            await process.acked(cameras[0], seq)
            took.append(time.monotonic() - began)
        assert min(took[2:]) < IDLE_S / 2
    finally:
        await process.end()
