"""Whatever the core of one camera stumbles over is that camera's trouble alone: its process and the
others in it go on."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from actors.core.camera import core as camera_core
from actors.core.messages.deliveries import Welcomed
from storage.stores import Stores
from tests.support.camera_rig import SCENE, Process
from tests.support.waiting import until

Begin = Callable[[Sequence[str]], Awaitable[Process]]


@pytest.mark.parametrize(
    "work", ["step", "pending_commit", "committed", "live_state", "session_opened"]
)
async def test_what_fails_for_one_camera_fails_for_it_alone(
    stores: Stores, begin: Begin, site: str, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    bad, good = (f"{kind}-{secrets.token_hex(3)}" for kind in ("bad", "good"))
    for camera in (bad, good):
        await stores.registry.register(camera, site, scene=SCENE)
    kept, failed = getattr(camera_core, work), []

    def fails(core: camera_core.CameraCore, *arguments: Any) -> Any:
        if core.camera == bad:
            failed.append(core.camera)
            raise OverflowError("a value that nobody thought of")
        return kept(core, *arguments)

    monkeypatch.setattr(camera_core, work, fails)
    process = await begin([bad, good])
    process.attach(good)
    await process.has(Welcomed)
    process.attach(bad)
    if work == "committed":  # the others fail before there is a welcome, or do not need one
        await process.has(Welcomed, times=2)
    process.data(bad, range(1, 30))
    process.data(good, range(1, 30))
    await process.acked(good, 29)
    await until(lambda: failed, what="that it fails")
    process.data(good, range(30, 60))
    await process.acked(good, 59)
    assert process.actor.health()["failed"] == "", "a loop of the process ended"
