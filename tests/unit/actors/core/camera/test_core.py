"""Status, live state, scenes and snapshots of the camera core."""

from typing import Any

import msgspec
import pytest

from actors.core.camera import core, snapshot
from actors.core.camera.core import Configure
from actors.core.errors import BadInput
from actors.core.messages.deliveries import Acked, Attach, Detach
from actors.core.messages.events import CHAIN_START, seal
from actors.core.scene.scene import Line, Scene, Zone
from tests.support.load.cores import CAMERA, Row, Shell, at_us, derived, frame, person

DOOR = Zone([(0.4, 0.0), (0.6, 0.0), (0.6, 1.0), (0.4, 1.0)])
GATE = Line([(0.5, 0.0), (0.5, 1.0)])
SCENE = Scene(zones={"door": DOOR}, lines={"gate": GATE})
WALK = [frame(i * 0.1, person("a", 0.2 + i * 0.01, 0.5)) for i in range(60)]


def started(scene: Scene | None = None, **settings: Any) -> Shell:
    shell = Shell(scene, **settings)
    shell.hello()
    return shell


def status(shell: Shell) -> str:
    return shell.core.status


def shown(shell: Shell) -> dict[str, Any] | None:
    found = core.live_state(shell.core, 1, at_us(shell.now))
    return None if found is None else msgspec.json.decode(found[0])


def test_a_camera_is_online_with_its_first_observation() -> None:
    shell = started()
    assert status(shell) == "offline"
    shell.send(1, WALK[0])
    assert shell.kinds() == ["camera.online"]
    assert status(shell) == "online"


def test_silence_makes_it_stale_then_offline_and_tracks_stay() -> None:
    shell = started()
    shell.walk(WALK[:5])
    assert core.next_deadline_us(shell.core) == at_us(8)
    shell.tick(7.9)
    assert status(shell) == "online"
    shell.tick(8.0)
    shell.tick(29.0)
    shell.tick(30.0)
    assert shell.kinds() == ["camera.online", "track.started", "camera.stale", "camera.offline"]
    assert shell.of("camera.stale")[0].event.data == {"reason": "edge_silent"}
    assert core.next_deadline_us(shell.core) is None
    assert len(shell.core.picture.tracks) == 1
    shell.send(6, WALK[5])
    assert shell.kinds()[-1] == "camera.online"


@pytest.mark.parametrize("step", [3_600.0, -3_600.0])
def test_a_clock_that_is_set_makes_nothing_older_and_hides_no_silence(step: float) -> None:
    shell = started()
    shell.walk(WALK[:5])
    silent_at = shell.now
    shell.now += 4.0 + step
    core.clock_stepped(shell.core, round(step * 1_000_000))
    shell.tick(shell.now)
    assert status(shell) == "online"
    shell.tick(silent_at + 7.9 + step)
    assert status(shell) == "online"
    shell.tick(silent_at + 8.1 + step)
    assert status(shell) == "stale"


@pytest.mark.parametrize("step", [3_600.0, -3_600.0])
def test_a_clock_that_is_set_ends_no_hole_early_and_none_late(step: float) -> None:
    shell = started(gap_timeout_s=10.0)
    shell.walk(WALK[:5])
    shell.send(8, WALK[7])
    since = shell.now
    shell.now += step
    core.clock_stepped(shell.core, round(step * 1_000_000))
    shell.tick(since + step + 9.9)
    assert shell.of("stream.gap") == []
    shell.tick(since + step + 10.1)
    assert len(shell.of("stream.gap")) == 1


@pytest.mark.parametrize("sign", ["hello", "repeated", "beyond a hole", "refused"])
def test_what_brings_nothing_new_does_not_keep_a_camera_online(sign: str) -> None:
    """An edge that reconnects, repeats itself or sends what nobody can use, for ever: what is shown
    grows old, and says so."""
    shell = started()
    shell.walk(WALK[:5])
    for number, now in enumerate(range(2, 32, 2)):
        shell.now = now
        if sign == "hello":
            shell.hello()
        elif sign == "repeated":
            shell.send(1, WALK[0])
        elif sign == "beyond a hole":
            shell.send(9, WALK[8])
        else:
            shell.send(6 + number, b"{}")
        shell.tick(now)
    assert "camera.stale" in shell.kinds()


def test_pings_keep_a_camera_of_events_online() -> None:
    shell = started(Scene(event_only=True))
    shell.walk(WALK[:5])
    for now in range(4, 60, 4):
        shell.now = now
        shell.alive()
        shell.tick(now)
    assert shell.kinds() == ["camera.online", "track.started"]


def test_a_lost_link_is_told_as_such() -> None:
    shell = started()
    shell.walk(WALK[:5])
    shell.detach(clean=False)
    shell.tick(8.0)
    assert shell.of("camera.stale")[0].event.data == {"reason": "link_lost"}


def test_a_clean_goodbye_is_offline_at_once_and_another_link_s_means_nothing() -> None:
    shell = started()
    shell.walk(WALK[:5])
    shell.detach("h/9")
    assert status(shell) == "online"
    shell.detach()
    assert shell.of("camera.offline")[0].event.data == {"reason": "bye"}
    moves = shell.row.moves
    shell.detach()
    assert shell.row.moves == moves


def test_resent_observations_do_not_make_a_camera_online() -> None:
    shell = started()
    shell.walk(WALK[:5])
    shell.detach()
    shell.hello(link="h/2")
    shell.send(1, *WALK[:5], link="h/2")
    assert status(shell) == "offline"


def test_a_restarted_camera_whose_edge_stays_away_turns_stale() -> None:
    shell = started()
    shell.walk(WALK[:5])
    shell.now = 5.0
    shell.restart()
    assert status(shell) == "online"
    shell.tick(13.0)
    assert status(shell) == "stale"


def test_no_state_shows_an_uncommitted_event() -> None:
    shell = started(SCENE)
    shell.walk(WALK[:20])
    before = shown(shell)
    assert before is not None
    assert before["offset"] == 2
    shell.send(21, *WALK[20:24], commit=False)  # the door is entered
    assert shown(shell) is None
    row = core.pending_commit(shell.core)
    assert row is not None
    assert [stored.event.type for stored in row.events] == ["zone.entered"]
    shell.send(25, *WALK[24:36], commit=False)  # and the line crossed, before the commit is back
    assert shown(shell) is None
    assert shell.row.commit(row)
    core.committed(shell.core, row, at_us(0))
    between = shown(shell)
    assert between is not None
    assert (between["offset"], between["occupancy"], between["counts"]["gate"]["out"]) == (
        3,
        {"door": {"person": 1}},
        0,
    )
    assert between["tracks"][0]["current_zones"] == ["door"]
    assert shown(shell) is None  # once
    shell.commit()
    after = shown(shell)
    assert after is not None
    assert (after["offset"], after["counts"]["gate"]["out"]) == (4, 1)


def test_a_state_without_new_events_waits_for_no_commit() -> None:
    shell = started()
    shell.walk(WALK[:5])
    shell.send(6, WALK[5], commit=False)
    state = shown(shell)
    assert state is not None
    assert state["tracks"][0]["box"][0] == pytest.approx(0.23)
    assert (state["offset"], state["health"]["seq"]) == (2, 6)


def test_state_and_summary_are_the_same_but_for_tracks() -> None:
    shell = started(SCENE)
    shell.walk(WALK)
    found = core.live_state(shell.core, 7, at_us(0))
    assert found is not None
    state, summary = msgspec.json.decode(found[0]), msgspec.json.decode(found[1])
    assert state.pop("tracks")[0]["id"] == "a"
    assert state == summary
    assert (summary["generation"], summary["version"], found[2]) == (1, 7, summary["offset"])
    assert summary["fps"] == 10.0
    quiet = core.live_state(shell.core, 8, at_us(10))
    assert quiet is not None
    assert msgspec.json.decode(quiet[1])["fps"] == 0.0


def test_severity_follows_alerts_for_a_while_and_the_camera_s_condition() -> None:
    shell = started(
        Scene(
            zones={"door": msgspec.structs.replace(DOOR, loitering_s=1)},
            severities={"loitering.started/door": "critical"},
        )
    )
    shell.walk([frame(i * 0.1, person("a", 0.5, 0.5)) for i in range(20)])
    assert shown(shell)["severity"] == "critical"  # type: ignore[index]
    shell.walk([frame(40 + i * 0.1, person("b", 0.1, 0.5)) for i in range(5)], first_seq=21)
    assert shown(shell)["severity"] == "info"  # type: ignore[index]
    shell.tick(60)
    assert shown(shell)["severity"] == "warning"  # type: ignore[index]


def test_a_changed_scene_applies_at_an_observation_and_is_an_event() -> None:
    shell = started(SCENE)
    shell.walk(WALK[:38])
    assert shell.core.picture.occupancy == {"door": {"person": 1}}
    wider = msgspec.structs.replace(
        SCENE, zones={"door": Zone([(0.3, 0.0), (0.9, 0.0), (0.9, 1.0), (0.3, 1.0)]), "new": DOOR}
    )
    shell.step(Configure(wider, 2))
    assert shell.kinds()[-2:] == ["zone.exited", "camera.scene_changed"]
    assert shell.row.events[-1].event.data == {
        "version": 2,
        "added": ["zone:new"],
        "changed": ["zone:door"],
    }
    assert shell.row.events[-1].event.seq == 38
    assert shell.core.picture.occupancy == {"door": {}, "new": {}}
    assert shell.core.picture.counts["gate"].outs == 1
    shell.walk(WALK[38:], first_seq=39)
    assert shell.core.picture.occupancy["door"] == {"person": 1}
    moves = shell.row.moves
    shell.step(Configure(wider, 2))
    assert shell.row.moves == moves


def test_a_scene_that_changed_while_the_camera_was_down_applies_at_the_restart() -> None:
    shell = started(SCENE)
    shell.walk(WALK[:38])
    shell.row.scene = Scene()
    shell.row.scene_version = 2
    shell.restart()
    shell.commit()
    assert shell.kinds()[-2:] == ["zone.exited", "camera.scene_changed"]
    assert shell.core.picture.counts == {}


def test_a_scene_that_comes_while_a_session_opens_waits_for_it() -> None:
    shell = started()
    shell.walk(WALK[:5])
    core.step(
        shell.core,
        [
            Attach(CAMERA, "h/2", "s2", 1, 0),
            Configure(SCENE, 2),
            Detach(CAMERA, "h/1", 0, True, "bye"),
        ],
        0,
    )
    assert core.pending_commit(shell.core) is None
    core.session_opened(shell.core, "s2", shell.row.open_session(1, "s2"), 0)
    shell.commit()
    assert shell.kinds()[-2:] == ["track.ended", "camera.scene_changed"]


def test_events_are_numbered_without_holes_and_chained() -> None:
    shell = started(SCENE)
    shell.walk(WALK, batch=9)
    chain = CHAIN_START
    for number, stored in enumerate(shell.row.events, start=1):
        assert stored.event.offset == number
        chain = seal(stored.event, chain, received_us=0, time_us=0).hash
        assert stored.hash == chain
    assert shell.row.position.chain == chain


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_core_restored_from_its_row_goes_on_as_if_nothing_had_happened(cut: int) -> None:
    scene = Scene(
        zones={"door": msgspec.structs.replace(DOOR, loitering_s=1)},
        lines={"gate": GATE},
        lost_after_s=0.5,
    )
    whole = started(scene)
    whole.walk(WALK)
    broken = started(scene)
    broken.walk(WALK[:cut], batch=5)
    broken.send(cut + 1, *WALK[cut : cut + 3], commit=False)
    broken.restart()
    broken.hello(link="h/2")
    broken.step(broken.data(cut + 1, *WALK[cut:], link="h/2"))
    assert derived(broken.row) == derived(whole.row)
    assert broken.row.snapshot is not None
    assert whole.row.snapshot is not None
    assert snapshot.totals(broken.row.snapshot) == snapshot.totals(whole.row.snapshot)


def test_a_snapshot_of_the_next_version_is_read_and_one_beyond_is_refused() -> None:
    shell = started(SCENE)
    shell.walk(WALK[:30])
    assert shell.row.snapshot is not None
    fields = msgspec.msgpack.decode(shell.row.snapshot)
    fields |= {"v": snapshot.VERSION + 1, "added": [1, 2]}
    fields["tracks"][0].append("added at the end")
    shell.row.snapshot = msgspec.msgpack.encode(fields)
    shell.restart()
    assert len(shell.core.picture.tracks) == 1
    shell.row.snapshot = msgspec.msgpack.encode(fields | {"v": snapshot.VERSION + 2})
    with pytest.raises(BadInput, match="version"):
        shell.restart()
    shell.row.snapshot = b"\xc1"
    with pytest.raises(BadInput, match="cannot be read"):
        shell.restart()


def test_totals_of_a_row() -> None:
    shell = started(SCENE)
    assert snapshot.totals(None).counts == {}
    shell.walk(WALK[:38])
    assert shell.row.snapshot is not None
    found = snapshot.totals(shell.row.snapshot)
    assert found.counts == {"gate": {"in": 0, "out": 1}}
    assert found.occupancy == {"door": {"person": 1}}


def test_a_scene_that_cannot_be_read_is_told() -> None:
    row = Row()
    activation = msgspec.structs.replace(row.activate(), scene=b'{"zones": 3}')
    with pytest.raises(BadInput, match="scene of camera cam-1"):
        core.restore(activation, owner="o", settings=Shell().settings, now_us=0)


def test_a_paused_camera_gives_no_more_credits_and_says_so() -> None:
    shell = started()
    shell.send(1, WALK[0])
    limit = shell.core.order.credit.limit
    effects = core.pause(shell.core, True, 64, at_us(1))
    assert [answer.credits for answer in effects.answers if isinstance(answer, Acked)] == [
        limit - 1
    ]
    shell.commit()
    assert (status(shell), shell.core.liveness.reason) == ("stale", "paused")
    assert shell.of("camera.stale")[0].event.data == {"reason": "paused"}
    shell.send(2, WALK[1])  # what was admitted before is taken
    assert shell.core.order.acked == 2
    assert shell.core.order.credit.limit == limit, "an ack gives no credits any more"
    assert status(shell) == "stale"
    resumed = core.pause(shell.core, False, 4096, at_us(3))
    assert [answer.credits for answer in resumed.answers if isinstance(answer, Acked)] == [4096]
    shell.send(3, WALK[2])
    assert status(shell) == "online"


def test_a_ping_alone_brings_a_stale_camera_back() -> None:
    shell = started()
    shell.send(1, frame(0.0, person("a", 0.5, 0.5)))
    shell.tick(9.0)
    assert status(shell) == "stale"
    shell.alive()
    assert status(shell) == "online"
    assert shell.kinds()[-2:] == ["camera.stale", "camera.online"]
