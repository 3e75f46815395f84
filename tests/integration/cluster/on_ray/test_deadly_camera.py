"""A camera whose data ends its process, on real Ray: after two it is alone, the others of its
process go on, a release ends that."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from actors.core.backoff import Backoff
from edge.client import EdgeClient
from edge.stream import Stream
from storage.stores import Stores
from tests.integration.cluster.on_ray.test_ray_stack import seen
from tests.support.camera_rig import SCENE
from tests.support.cluster.ray_stack import Stack, stack

pytestmark = [pytest.mark.ray, pytest.mark.prove, pytest.mark.timeout(400)]

DEADLY = "deadly-1"
OTHERS = ["good-1", "good-2", "good-3"]
HEAL_S = 90.0  # seconds a machine under load may take to start processes of Ray


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(
        variant="deadly-camera", cluster={"cameras_per_actor": 4, "reconcile_s": 0.5}
    ) as started:
        yield started


async def owners(stores: Stores) -> dict[str, str | None]:
    return await stores.cameras.owners()


async def sent(stream: Stream, first: int, count: int) -> None:
    """Observations that become durable, whatever happens meanwhile."""
    async with asyncio.timeout(HEAL_S):
        for number in range(first, first + count):
            await stream.send(seen(number))
        await stream.drain()


async def eventually(
    stores: Stores, what: str, check: Callable[[dict[str, str | None]], bool]
) -> dict[str, str | None]:
    """The owners once `check` holds of them."""
    try:
        async with asyncio.timeout(HEAL_S):
            while not check(found := await owners(stores)):
                await asyncio.sleep(0.1)
    except TimeoutError as error:
        raise AssertionError(f"{what} did not come true: {await owners(stores)}") from error
    return found


async def test_a_camera_that_ends_its_process_is_alone_until_it_is_released(
    running: Stack, stores: Stores
) -> None:
    for camera in [*OTHERS, DEADLY]:
        await stores.registry.register(camera, "e2e", scene=SCENE)
    async with EdgeClient(
        running.url, running.token(), backoff=Backoff(base_s=0.05, cap_s=0.5)
    ) as good:
        streams = {camera: await good.open(camera) for camera in OTHERS}
        await asyncio.gather(*(sent(stream, 0, 20) for stream in streams.values()))
        async with EdgeClient(
            running.url, running.token(), backoff=Backoff(base_s=0.05, cap_s=0.5)
        ) as bad:
            stream = await bad.open(DEADLY)
            before = await eventually(
                stores, "one process of four", lambda o: len({o[c] for c in [*OTHERS, DEADLY]}) == 1
            )
            await stream.send(seen(0))
            await eventually(
                stores,
                "a process of its own",
                lambda o: (
                    o[DEADLY] not in {None, *(o[c] for c in OTHERS)}
                    and o[OTHERS[0]] != before[DEADLY]
                ),
            )
            await asyncio.gather(*(sent(stream, 20, 20) for stream in streams.values()))
            settled = await owners(stores)
            later = await eventually(
                stores, "another end of it alone", lambda o: o[DEADLY] != settled[DEADLY]
            )
            await asyncio.gather(*(sent(stream, 40, 20) for stream in streams.values()))
            assert (
                {later[c] for c in OTHERS}
                == {settled[c] for c in OTHERS}
                == {(await owners(stores))[c] for c in OTHERS}
            )
        troubles = {t.camera: t for t in (await stores.cluster.orders()).troubles}
        assert troubles[DEADLY].alone
        assert not any(troubles[c].alone for c in OTHERS if c in troubles)
        assert await stores.cluster.release(DEADLY)  # as `eyrie cluster release` does
        await eventually(
            stores, "a place beside the others again", lambda o: o[DEADLY] in {o[c] for c in OTHERS}
        )
    for camera, place in (await stores.cameras.ownership(OTHERS)).items():
        assert place.position.last_seq == 60, camera
