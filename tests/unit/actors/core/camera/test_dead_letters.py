"""Replaying a dead letter: a fact of its own, and nothing else."""

import msgspec
import pytest

from actors.core.camera import core
from actors.core.camera.dead_letters import ReplayedLetter, form_of, replay
from actors.core.errors import Conflict, Unavailable
from actors.core.messages.commits import Replayed
from actors.core.messages.deliveries import Attach
from actors.core.messages.observations import Alarm
from actors.core.scene.scene import Scene, Zone
from tests.support.load.cores import CAMERA, Shell, at_us, derived, frame, person

SCENE = Scene(
    zones={"door": Zone([(0.4, 0.0), (0.6, 0.0), (0.6, 1.0), (0.4, 1.0)], enter_frames=1)},
    min_hits=1,
)


def letter(raw: bytes, number: int = 7) -> ReplayedLetter:
    return ReplayedLetter(number, "s1", 3, "bad_input", raw, "ada")


def started() -> Shell:
    shell = Shell(SCENE)
    shell.hello()
    shell.send(1, *[frame(i * 0.1, person("a", 0.2 + i * 0.05, 0.5)) for i in range(6)])
    return shell


def test_a_replay_is_an_event_marked_with_its_row() -> None:
    shell = started()
    before = (shell.core.order.seq, derived(shell.row), shell.core.picture.occupancy)
    event = replay(
        shell.core, letter(frame(0.35, person("b", 0.5, 0.5), person("c", 0.5, 0.5))), at_us(1.0)
    )
    row = core.pending_commit(shell.core)
    assert row is not None
    assert row.replayed == [Replayed(7, "ada")]
    stored = row.events[-1].event
    assert (stored.id, stored.type, stored.time, stored.severity) == (
        event,
        "stream.replayed",
        "2026-03-01T12:00:00.350000Z",
        "notice",
    )
    assert stored.data == {
        "letter": 7,
        "session": "s1",
        "seq": 3,
        "code": "bad_input",
        "objects": {"person": 2},
    }
    assert shell.row.commit(row)
    core.committed(shell.core, row, at_us(1.0))
    assert (shell.core.order.seq, derived(shell.row), shell.core.picture.occupancy) == before
    assert core.pending_commit(shell.core) is None


def test_an_alarm_in_it_is_raised() -> None:
    shell = started()
    replay(
        shell.core,
        letter(frame(0.1, alarm=Alarm("tamper", "critical", text="covered"))),
        at_us(1.0),
    )
    row = core.pending_commit(shell.core)
    assert row is not None
    assert [(e.event.type, e.event.severity) for e in row.events[-2:]] == [
        ("stream.replayed", "notice"),
        ("alarm.tamper", "critical"),
    ]


@pytest.mark.parametrize(
    "raw", [b"{}", b"", b"\xc1", b"no json", b'{"time":"1950-01-01T00:00:00Z"}']
)
def test_what_is_still_refused_changes_nothing(raw: bytes) -> None:
    shell = started()
    with pytest.raises(Conflict, match="dead letter 7 is still refused"):
        replay(shell.core, letter(raw), at_us(1.0))
    assert core.pending_commit(shell.core) is None


def test_it_waits_for_a_session_that_opens() -> None:
    shell = started()
    core.step(shell.core, [Attach(CAMERA, "h/2", "s2", 1, at_us(1.0))], at_us(1.0))
    with pytest.raises(Unavailable):
        replay(shell.core, letter(frame(0.1)), at_us(1.0))


def test_the_encoding_is_told_by_the_first_byte() -> None:
    item = {"time": "2026-03-01T12:00:00Z"}
    assert form_of(b" " + msgspec.json.encode(item)) == "json"
    assert form_of(msgspec.msgpack.encode(item)) == "msgpack"
