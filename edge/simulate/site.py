"""A simulated site in real time: its cameras, their scenes, and the streaming of their frames
through an edge client."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from actors.core.errors import NotFound
from actors.core.messages.observations import Observation
from actors.core.scene.scene import Scene
from edge.client import EdgeClient
from edge.simulate.layouts import layout
from edge.simulate.world import SimulatedCamera

MAX_BEHIND_S = 1.0  # a camera this late leaves frames out instead of hurrying after them

log = logging.getLogger("eyrie.edge.simulate")


def cameras(site: str, count: int) -> list[str]:
    """The ids of the cameras of a simulated site."""
    return [f"{site[:56]}-{number}" for number in range(1, count + 1)]


def names(cameras: Sequence[str]) -> dict[str, str]:
    """camera → a name for people."""
    return {
        camera: f"{layout(index).name.capitalize()} {index + 1}"
        for index, camera in enumerate(cameras)
    }


def scenes(seed: int, cameras: Sequence[str]) -> dict[str, Scene]:
    """camera → its scene, to be registered before streaming."""
    return {camera: SimulatedCamera(seed, index).scene for index, camera in enumerate(cameras)}


async def stream(
    client: EdgeClient,
    cameras: Sequence[str],
    *,
    seed: int,
    fps: float,
    session: str,
    stop: asyncio.Event,
    seconds: float | None = None,
) -> int:
    """Stream every camera at `fps` until `stop` is set, a stream has ended for good, or `seconds`
    have passed.

    Returns the number of frames sent. Raises the terminal error of a stream. `session` must be new
    at every start.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            running = []
            for index, camera in enumerate(cameras):
                world = SimulatedCamera(seed, index, fps=fps)
                phase_s = index / len(cameras) / fps  # not all cameras at the same moment
                running.append(
                    tasks.create_task(
                        _camera(client, camera, world, phase_s, fps, session, stop, seconds)
                    )
                )
    except ExceptionGroup as group:
        raise _first(group) from group
    return sum(task.result() for task in running)


def _first(group: BaseException) -> BaseException:
    """The first error of a group: the others are of the same socket, or follow from it."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


async def _camera(
    client: EdgeClient,
    camera: str,
    world: SimulatedCamera,
    phase_s: float,
    fps: float,
    session: str,
    stop: asyncio.Event,
    seconds: float | None,
) -> int:
    """One camera. One that was deleted from the registry ends alone: its neighbours go on."""
    sent = [0]
    try:
        await _send_frames(client, camera, world, phase_s, fps, session, stop, seconds, sent)
    except NotFound as error:
        log.warning("camera %s is streamed no more: %s", camera, error)
        if seconds is None:
            await stop.wait()
    return sent[0]


async def _send_frames(
    client: EdgeClient,
    camera: str,
    world: SimulatedCamera,
    phase_s: float,
    fps: float,
    session: str,
    stop: asyncio.Event,
    seconds: float | None,
    sent: list[int],
) -> None:
    loop = asyncio.get_running_loop()
    sending = await client.open(camera, session=session, frame_size=(1920, 1080))
    began = due = loop.time() + phase_s
    while not stop.is_set() and (seconds is None or due - began < seconds):
        wait = due - loop.time()
        if wait > 0:
            try:
                await asyncio.wait_for(stop.wait(), wait)
            except TimeoutError:
                pass
            else:
                break
        elif wait < -MAX_BEHIND_S:
            due = loop.time()
        due += 1.0 / fps
        frame = world.step()
        await sending.send(Observation(datetime.now(UTC), frame.objects, frame.alarm))
        sent[0] += 1
