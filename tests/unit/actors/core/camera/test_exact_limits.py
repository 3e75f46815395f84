"""Bounds and timers of a camera at their very edge: what is promised to the second, the frame and
the item holds there, and not one later."""

from itertools import pairwise
from typing import Any

import pytest

from actors.core.camera import core
from actors.core.camera.journal import Journal
from actors.core.camera.ordering import ASK_AGAIN_MAX_US, OPENINGS, Ordering
from actors.core.errors import Unavailable
from actors.core.messages.deliveries import Acked, AskedAgain, Attach, Dismissed
from actors.core.messages.events import CHAIN_START
from actors.core.scene import lines
from actors.core.scene.lines import CompiledLine
from actors.core.scene.scene import Line, Scene, Zone
from actors.core.severity import ALERT_HOLD_US
from tests.support.load.cores import CAMERA, Shell, acked, at_us, frame, person

WALK = [frame(i * 0.1, person("a", 0.1 + i * 0.005, 0.5)) for i in range(60)]
PATIENT = {"stale_after_s": 1_000, "offline_after_s": 2_000}  # what is tested here is not silence


def started(**settings: Any) -> Shell:
    shell = Shell(**settings)
    shell.hello()
    return shell


# holes


def test_a_hole_filled_in_part_gets_new_patience() -> None:
    shell = started(gap_timeout_s=10, **PATIENT)
    shell.send(1, *WALK[:3])
    shell.send(10, *WALK[9:12])  # 4 to 9 are missing
    shell.now = 8.0
    assert acked(shell.send(4, *WALK[3:5])) == 5  # 6 to 9 still are
    shell.tick(17.9)
    assert shell.of("stream.gap") == []
    shell.tick(18.0)
    (gap,) = shell.of("stream.gap")
    assert (gap.event.data["first_seq"], gap.event.data["last_seq"]) == (6, 9)


def test_a_hole_filled_in_part_is_asked_for_soon_again() -> None:
    """However long the pauses had become, a device that answers is not kept waiting."""
    shell = started(gap_timeout_s=500, **PATIENT)
    shell.send(1, *WALK[:3])
    shell.send(10, *WALK[9:12])
    for now in (1.0, 3.0, 7.0):
        shell.tick(now)
    shell.send(4, *WALK[3:5])
    assert shell.tick(7.9) == []
    assert shell.tick(8.0) == [AskedAgain(CAMERA, "h/1", 6)]
    assert shell.tick(9.9) == []
    assert shell.tick(10.0) == [AskedAgain(CAMERA, "h/1", 6)]


def test_a_hole_is_given_up_at_its_time_and_not_before() -> None:
    shell = started(gap_timeout_s=10, **PATIENT)
    shell.send(1, *WALK[:3])
    shell.send(10, *WALK[9:12])
    shell.tick(9.999_999)
    assert shell.of("stream.gap") == []
    shell.tick(10.0)
    assert len(shell.of("stream.gap")) == 1


def test_the_camera_asks_to_be_looked_at_when_its_hole_ends() -> None:
    shell = started(gap_timeout_s=1.5, **PATIENT)
    shell.send(10, *WALK[9:12])
    shell.tick(1.0)
    assert core.next_deadline_us(shell.core) == at_us(1.5)


def test_pauses_between_questions_double_up_to_their_limit() -> None:
    order = Ordering(CAMERA, "s1", 0, window_items=100, gap_timeout_us=10**12)
    order.attach(Attach(CAMERA, "h/1", "s1", 1, 0))
    order.beyond_hole(5, 6, 0)
    asked: list[int] = []
    now = 0
    while len(asked) < 7:
        now += 500_000
        if order.ask_if_due(now):
            asked.append(now)
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert asked[0] == 1_000_000
    assert pauses == [2_000_000, 4_000_000, *[ASK_AGAIN_MAX_US] * 4]


def test_a_hole_does_not_outlive_the_hello_that_follows() -> None:
    """What the older link had sent beyond the hole comes again: nothing of it may be waited for."""
    shell = started(gap_timeout_s=10, **PATIENT)
    shell.send(1, *WALK[:3])
    shell.send(10, *WALK[9:12])
    shell.now = 9.0
    shell.hello(link="h/2")
    shell.tick(12.0)
    assert shell.of("stream.gap") == []
    assert core.next_deadline_us(shell.core) != at_us(12.0)


# credits and mailboxes


def test_the_last_observation_of_the_credits_is_taken_and_the_next_is_not() -> None:
    shell = started(mailbox_items=64)
    assert acked(shell.send(1, *(WALK + WALK[:4]))) == 64
    shell = started(mailbox_items=64)
    (answer,) = shell.send(1, *(WALK + WALK[:5]))
    assert isinstance(answer, Dismissed)
    assert answer.code == 4008


def test_a_gap_may_reach_the_end_of_the_credits_and_no_further() -> None:
    shell = started(mailbox_items=64)
    assert acked(shell.gap(1, 64)) == 64
    shell = started(mailbox_items=64)
    (answer,) = shell.gap(1, 65)
    assert isinstance(answer, Dismissed)


def test_hellos_that_wait_for_a_session_are_bounded() -> None:
    order = Ordering(CAMERA, "s0", 0, window_items=100, gap_timeout_us=1)
    for number in range(OPENINGS):
        assert order.attach(Attach(CAMERA, f"h/{number}", f"n{number}", 1, 0)) == []
    (answer,) = order.attach(Attach(CAMERA, "h/x", "nx", 1, 0))
    assert isinstance(answer, Dismissed)
    assert answer.code == Unavailable.close_code
    assert len(order.opening) == OPENINGS


def test_a_paused_camera_acks_without_new_credits() -> None:
    shell = started(mailbox_items=64)
    core.pause(shell.core, True, 64, at_us(0))
    shell.answers = []
    shell.send(1, *WALK[:10])
    acks = [answer for answer in shell.answers if isinstance(answer, Acked)]
    assert acks
    assert {ack.seq + ack.credits for ack in acks} == {64}  # those it had before, and none beyond


# lines


@pytest.mark.parametrize("frames", [3, 12])
def test_a_crossing_counts_with_the_frame_that_the_line_names(frames: int) -> None:
    line = CompiledLine("gate", Line([(0.5, 1.0), (0.5, 0.0)], frames=frames), "d")
    crossing = lines.touched()
    far = line.most_travel  # beyond every doubt from the first frame on
    counted = [
        lines.advance(crossing, line, 1 if number == 0 else 0, far, confirmed=True)
        for number in range(frames + 1)
    ]
    assert counted == [0] * (frames - 1) + [1, 0]


# alerts


def journal_at(stream_s: float, *, clock_s: float) -> Journal:
    journal = Journal(CAMERA, "site-1", "e1", 0, CHAIN_START)
    move(journal, stream_s, clock_s=clock_s)
    return journal


def move(journal: Journal, stream_s: float, *, clock_s: float) -> None:
    journal.moment(
        "s1",
        1,
        time_us=round(clock_s * 1e6),
        stream_us=round(stream_s * 1e6),
        received_us=0,
    )


def test_an_alert_is_held_for_its_time_of_the_stream_whatever_the_clock_says() -> None:
    """The camera's clock was set back by an hour, which its stream does not follow."""
    journal = journal_at(3_700.0, clock_s=100.0)
    journal.emit("alarm.fire", level="critical")
    assert journal.alert_until_us == 3_700_000_000 + ALERT_HOLD_US
    move(journal, 3_710.0, clock_s=110.0)
    journal.emit("alarm.smoke", level="warning")
    assert journal.alert == "critical"


def test_an_alert_ends_with_its_time() -> None:
    journal = journal_at(0.0, clock_s=0.0)
    journal.emit("alarm.fire", level="critical")
    move(journal, ALERT_HOLD_US / 1e6, clock_s=0.0)
    journal.emit("alarm.smoke", level="warning")
    assert journal.alert == "warning"


# a changed scene


def test_who_stands_still_is_in_a_new_zone_as_soon_as_it_is_drawn() -> None:
    shell = Shell(Scene(min_hits=1))
    shell.hello()
    still = [frame(i * 0.1, person("a", 0.5, 0.5)) for i in range(20)]
    shell.walk(still[:10])
    around = Zone([(0.3, 0.3), (0.7, 0.3), (0.7, 0.7), (0.3, 0.7)], enter_frames=1)
    shell.step(core.Configure(Scene(min_hits=1, zones={"yard": around}), 2))
    shell.walk(still[10:], first_seq=11)
    assert "zone.entered" in shell.kinds()
