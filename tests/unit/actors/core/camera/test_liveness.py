"""The two halves of liveness: a device that is heard is there, a camera that gives frames is
seeing."""

from typing import Any

import msgspec
import pytest

from actors.core.camera import core
from actors.core.messages.observations import Alarm
from actors.core.scene.scene import Scene, Zone
from tests.support.load.cores import Shell, at_us, frame, person

ALL = Zone([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)], loitering_s=1)


def watching(
    scene: Scene | None = None, *, frames: int = 20, fps: float = 10.0, **settings: Any
) -> Shell:
    """A camera that saw one person in its zone until now."""
    shell = Shell(scene if scene is not None else Scene(zones={"z": ALL}), **settings)
    shell.hello()
    for index in range(frames):
        shell.now = index / fps
        shell.send(index + 1, frame(index / fps, person("a", 0.5, 0.5)))
    return shell


def pinged(shell: Shell, until: float) -> None:
    """The device is heard every four seconds, and time is looked at as often as the core asks for
    it."""
    ping = shell.now + 4
    while shell.now < until:
        due = core.next_deadline_us(shell.core)
        shell.tick(
            min(until, ping, until if due is None else max((due - at_us(0)) / 1e6, shell.now))
        )
        if shell.now >= ping:
            shell.alive()
            ping += 4


def shown(shell: Shell) -> dict[str, Any]:
    found = core.live_state(shell.core, 1, at_us(shell.now))
    assert found is not None
    state: dict[str, Any] = msgspec.json.decode(found[0])
    assert msgspec.json.decode(found[1])["unknown_since"] == state["unknown_since"]
    return state


def stales(shell: Shell) -> list[tuple[str, str | None]]:
    kinds = ("camera.online", "camera.stale", "camera.offline")
    return [
        (stored.event.type[7:], stored.event.data.get("reason"))
        for stored in shell.row.events
        if stored.event.type in kinds
    ]


def test_a_camera_without_frames_is_stale_though_its_device_is_heard_and_what_is_inside_is_unknown() -> (  # noqa: E501
    None
):
    shell = watching()
    assert shown(shell)["unknown_since"] is None
    pinged(shell, 3600)
    assert stales(shell) == [("online", None), ("stale", "no_frames")]
    state = shown(shell)
    assert (state["status"], state["reason"], state["unknown_since"]) == (
        "stale",
        "no_frames",
        "2026-03-01T12:00:01.900000Z",
    )
    shell.send(21, frame(3600, person("a", 0.5, 0.5)))
    assert shown(shell)["unknown_since"] is None
    assert stales(shell)[-1] == ("online", None)


def test_an_edge_that_is_silent_has_another_reason() -> None:
    shell = watching()
    for now in (9.8, 9.9, 40.0):
        shell.tick(now)
    assert stales(shell) == [("online", None), ("stale", "edge_silent"), ("offline", "edge_silent")]
    assert shown(shell)["unknown_since"] == "2026-03-01T12:00:01.900000Z"


def test_a_device_that_falls_silent_after_its_camera_is_told_too() -> None:
    shell = watching()
    pinged(shell, 20)
    for now in (28.5, 60.0):
        shell.tick(now)
    assert stales(shell) == [
        ("online", None),
        ("stale", "no_frames"),
        ("stale", "edge_silent"),
        ("offline", "edge_silent"),
    ]


@pytest.mark.parametrize("expected", [None, 0.1])
def test_frames_are_waited_for_as_long_as_the_camera_s_rate_says(expected: float | None) -> None:
    """A frame every ten seconds, as the scene says, or as it came so far."""
    scene = Scene(expected_fps=expected)
    shell = watching(scene, frames=1)
    for index in range(1, 4):
        shell.now = index * 10.0
        shell.alive()
        shell.send(index + 1, frame(shell.now, person("a", 0.5, 0.5)))
    before = stales(shell)
    pinged(shell, 59.5)
    assert stales(shell) == before
    pinged(shell, 60.5)
    assert stales(shell)[-1] == ("stale", "no_frames")


def test_an_event_only_device_is_never_stale_while_it_pings_and_its_last_picture_grows_old() -> (
    None
):
    shell = watching(Scene(zones={"z": ALL}, event_only=True))
    pinged(shell, 3600)
    assert stales(shell) == [("online", None)]
    state = shown(shell)
    assert (state["status"], state["unknown_since"]) == ("online", "2026-03-01T12:00:01.900000Z")
    pinged(shell, 3604)
    for now in (3612.5, 3640):
        shell.tick(now)
    assert stales(shell)[1:] == [("stale", "edge_silent"), ("offline", "edge_silent")]
    shell.alive()
    assert stales(shell)[-1] == ("online", None)


def test_a_flip_of_what_is_known_is_shown_though_no_event_tells_it() -> None:
    shell = watching(Scene(event_only=True))
    shell.now = 5.0
    shell.alive()
    shell.now = 9.9
    assert shell.step(core.Tick()).live_changed
    assert not shell.step(core.Tick()).live_changed


def test_a_ping_alone_brings_a_camera_back() -> None:
    """It has its time to bring frames again; until it did, what was seen is old and says so. Then
    pings alone bring it back no more."""
    for lost_at in (10.0, 40.0):
        shell = watching()
        shell.tick(lost_at)
        shell.alive()
        assert stales(shell)[-1] == ("online", None)
        assert shown(shell)["unknown_since"] == "2026-03-01T12:00:01.900000Z"
        pinged(shell, lost_at + 30)
        assert stales(shell)[-2:] == [("online", None), ("stale", "no_frames")]
        shell.tick(lost_at + 100)
        shell.alive()
        assert stales(shell)[-1] == ("stale", "no_frames")


def test_alarms_alone_do_not_make_a_blind_camera_see() -> None:
    shell = watching()
    pinged(shell, 30)
    told = len(stales(shell))
    shell.send(
        21,
        msgspec.msgpack.encode(
            {"time": "2026-03-01T12:00:30Z", "alarm": msgspec.to_builtins(Alarm("tamper"))}
        ),
    )
    assert len(shell.of("alarm.tamper")) == 1
    assert len(stales(shell)) == told


def test_what_is_unknown_is_known_to_be_so_after_a_restart() -> None:
    shell = watching()
    pinged(shell, 30)
    shell.restart()
    assert shown(shell)["unknown_since"] == "2026-03-01T12:00:01.900000Z"
