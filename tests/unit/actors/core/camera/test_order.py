"""Order, duplicates, sessions, holes and credits, seen through the core's entrance."""

from typing import Any

import msgspec
import pytest

from actors.core.camera import core
from actors.core.messages.deliveries import (
    NOT_OWNER,
    Acked,
    AskedAgain,
    Attach,
    Dismissed,
    Refused,
    Welcomed,
)
from tests.support.load.cores import CAMERA, Shell, acked, at_us, frame, person, welcome

WALK = [frame(i * 0.1, person("a", 0.1 + i * 0.005, 0.5)) for i in range(60)]


def started(**settings: Any) -> Shell:
    shell = Shell(**settings)
    shell.hello()
    return shell


def test_a_first_session_is_opened_and_welcomed() -> None:
    shell = Shell()
    answers = shell.hello()
    assert answers == [Welcomed(CAMERA, "h/1", "s1", 1, 2048)]
    assert shell.row.position.session == "s1"


def test_acks_come_after_the_commit() -> None:
    shell = started()
    assert shell.send(1, *WALK[:3], commit=False) == []
    row = core.pending_commit(shell.core)
    assert row is not None
    assert (row.before.last_seq, row.after.last_seq) == (0, 3)
    assert core.committed(shell.core, row, 0) == [Acked(CAMERA, "h/1", 3, 2048)]


def test_one_commit_is_in_flight_and_stepping_goes_on() -> None:
    shell = started()
    shell.send(1, *WALK[:3], commit=False)
    first = core.pending_commit(shell.core)
    shell.send(4, *WALK[3:6], commit=False)
    assert first is not None
    assert core.pending_commit(shell.core) is None
    assert shell.row.commit(first)
    core.committed(shell.core, first, 0)
    second = core.pending_commit(shell.core)
    assert second is not None
    assert second.before == first.after
    assert second.after.last_seq == 6


def test_another_row_than_the_one_in_flight_is_a_mistake() -> None:
    shell = started()
    shell.send(1, WALK[0], commit=False)
    row = core.pending_commit(shell.core)
    assert row is not None
    with pytest.raises(ValueError, match="in flight"):
        core.committed(shell.core, msgspec.structs.replace(row), 0)


def test_duplicates_are_acked_and_change_nothing() -> None:
    shell = started()
    shell.walk(WALK)
    moves, events = shell.row.moves, len(shell.row.events)
    assert acked(shell.send(1, *WALK)) == 60
    assert acked(shell.send(30, *WALK[29:])) == 60
    assert (shell.row.moves, len(shell.row.events)) == (moves, events)


def test_a_delivery_that_overlaps_is_applied_from_what_is_new() -> None:
    shell = started()
    shell.send(1, *WALK[:10])
    assert acked(shell.send(5, *WALK[4:20])) == 20


def test_another_body_under_a_known_seq_is_an_integrity_alarm_once() -> None:
    shell = started()
    shell.send(1, *WALK[:10])
    for _ in range(2):
        shell.send(5, frame(0.4, person("b", 0.9, 0.9)))
    (alarm,) = shell.of("stream.integrity")
    assert alarm.event.severity == "critical"
    assert alarm.event.data == {"seq": 5}
    assert alarm.event.seq == 10


def test_a_resend_in_another_encoding_is_no_alarm() -> None:
    shell = started()
    shell.send(1, *WALK[:3])
    again = msgspec.json.encode(msgspec.msgpack.decode(WALK[0]))
    shell.step(shell.data(1, again, form="json"))
    assert shell.of("stream.integrity") == []


def test_a_hole_is_asked_for_once_and_again_later() -> None:
    shell = started()
    shell.send(1, *WALK[:3])
    assert shell.send(10, *WALK[9:12]) == [AskedAgain(CAMERA, "h/1", 4)]
    assert shell.send(13, *WALK[12:15]) == []
    shell.now = 1.0
    assert shell.send(16, *WALK[15:18]) == [AskedAgain(CAMERA, "h/1", 4)]
    assert shell.tick(2.9) == []
    assert shell.tick(3.0) == [AskedAgain(CAMERA, "h/1", 4)]
    assert acked(shell.send(4, *WALK[3:18])) == 18
    assert shell.core.order.hole is None
    assert "stream.gap" not in shell.kinds()


def test_the_tail_of_overtaken_deliveries_is_asked_for_and_is_no_gap() -> None:
    """Calls to an actor keep no order: the last delivery overtakes the one before it, and nothing
    more comes by itself."""
    shell = started(gap_timeout_s=2, stale_after_s=100, offline_after_s=200)
    assert shell.send(4, *WALK[3:6]) == [AskedAgain(CAMERA, "h/1", 1)]
    assert acked(shell.send(1, *WALK[:3])) == 3
    assert core.next_deadline_us(shell.core) == at_us(1.0)
    assert shell.tick(1.0) == [AskedAgain(CAMERA, "h/1", 4)]
    assert shell.tick(3.0) == [AskedAgain(CAMERA, "h/1", 4)]
    assert acked(shell.send(4, *WALK[3:6])) == 6
    assert core.next_deadline_us(shell.core) == at_us(103.0)
    assert "stream.gap" not in shell.kinds()


def test_a_hole_that_nobody_fills_becomes_a_gap_and_what_comes_later_is_counted() -> None:
    shell = started(stale_after_s=100, offline_after_s=200)
    shell.send(1, *WALK[:3])
    shell.send(10, *WALK[9:12])
    answers = shell.tick(30.0)
    assert AskedAgain(CAMERA, "h/1", 10) in answers
    (gap,) = shell.of("stream.gap")
    assert gap.event.data == {"first_seq": 4, "last_seq": 9, "missing": 6, "reason": "timeout"}
    assert gap.event.seq == 9
    assert acked(shell.send(10, *WALK[9:12])) == 12
    moves = shell.row.moves
    assert acked(shell.send(4, *WALK[3:9])) == 12
    assert shell.row.moves == moves
    assert shell.core.order.late == 6


def test_a_hole_is_forgotten_with_its_link() -> None:
    shell = started(stale_after_s=100, offline_after_s=200)
    shell.send(1, *WALK[:3])
    shell.send(10, WALK[9])
    shell.detach(clean=False)
    shell.tick(40.0)
    assert welcome(shell.hello(link="h/2")).resume_from == 4
    assert "stream.gap" not in shell.kinds()


def test_a_declared_gap_takes_its_place_in_the_numbering() -> None:
    shell = started()
    shell.send(1, *WALK[:3])
    assert acked(shell.gap(4, 8)) == 8
    assert acked(shell.send(9, WALK[8])) == 9
    (gap,) = shell.of("stream.gap")
    assert gap.event.data == {"first_seq": 4, "last_seq": 8, "missing": 5, "reason": "shed"}
    moves = shell.row.moves
    assert acked(shell.gap(4, 8)) == 9
    assert shell.row.moves == moves


def test_a_gap_that_overlaps_covers_the_rest_and_one_beyond_a_hole_asks() -> None:
    shell = started()
    shell.send(1, *WALK[:5])
    shell.gap(3, 8)
    assert shell.of("stream.gap")[0].event.data["first_seq"] == 6
    assert shell.gap(20, 21) == [AskedAgain(CAMERA, "h/1", 9)]


def test_the_newest_session_wins_and_the_older_is_refused_for_good() -> None:
    shell = started()
    shell.walk(WALK)
    answers = shell.hello("s2", "h/2")
    assert [(a.link, a.code) for a in answers if isinstance(a, Dismissed)] == [("h/1", 4509)]
    assert welcome(answers).resume_from == 1
    assert [(a.link, a.code) for a in shell.send(61, WALK[0]) if isinstance(a, Dismissed)] == [
        ("h/1", 4509)
    ]
    assert [(a.link, a.code) for a in shell.hello("s1", "h/3") if isinstance(a, Dismissed)] == [
        ("h/3", 4509)
    ]
    (ended,) = shell.of("track.ended")
    assert ended.event.data["end_reason"] == "session_reset"
    assert (ended.event.session, ended.event.seq) == ("s1", 60)


def test_a_superseded_session_is_refused_by_the_store_after_a_restart() -> None:
    shell = started()
    shell.hello("s2", "h/2")
    shell.restart()
    (refusal,) = shell.hello("s1", "h/3")
    assert isinstance(refusal, Dismissed)
    assert refusal.code == 4509
    assert welcome(shell.hello("s2", "h/4")).session == "s2"


def test_nothing_of_the_old_session_is_applied_while_a_new_one_opens() -> None:
    shell = started()
    shell.send(1, *WALK[:3])
    effects = core.step(shell.core, [Attach(CAMERA, "h/2", "s2", 1, 0)], 0)
    assert effects.opens == "s2"
    assert core.step(shell.core, [shell.data(4, WALK[3])], 0).answers == []
    assert core.pending_commit(shell.core) is None
    refused = core.session_opened(shell.core, "s2", "superseded", 0)
    assert [type(answer) for answer in refused.answers] == [Dismissed, AskedAgain]
    assert acked(shell.send(4, WALK[3])) == 4


def test_hellos_that_come_while_a_session_opens_wait_their_turn() -> None:
    shell = started()
    core.step(
        shell.core,
        [
            Attach(CAMERA, "h/2", "s2", 1, 0),
            Attach(CAMERA, "h/3", "s3", 1, 0),
            Attach(CAMERA, "h/1", "s1", 1, 0),
        ],
        0,
    )
    first = core.session_opened(shell.core, "s2", shell.row.open_session(1, "s2"), 0)
    assert first.opens == "s3"
    second = core.session_opened(shell.core, "s3", shell.row.open_session(1, "s3"), 0)
    assert second.opens is None
    assert welcome(second.answers).session == "s3"
    assert [(a.link, a.code) for a in first.answers if isinstance(a, Dismissed)] == [
        ("h/1", 4509),
        ("h/1", 4509),
    ]
    assert [(a.link, a.code) for a in second.answers if isinstance(a, Dismissed)] == [("h/2", 4509)]


def test_a_session_must_not_open_over_uncommitted_work() -> None:
    shell = started()
    shell.send(1, *WALK[:3], commit=False)
    core.step(shell.core, [Attach(CAMERA, "h/2", "s2", 1, 0)], 0)
    with pytest.raises(ValueError, match="uncommitted"):
        core.session_opened(shell.core, "s2", "opened", 0)
    with pytest.raises(ValueError, match="did not ask"):
        core.session_opened(shell.core, "s9", "opened", 0)


def test_the_same_session_moves_to_a_newer_link() -> None:
    shell = started()
    shell.send(1, *WALK[:3])
    answers = shell.hello("s1", "h/2")
    assert isinstance(answers[0], Dismissed)
    assert (answers[0].link, answers[0].code) == ("h/1", 1000)
    assert welcome(answers).resume_from == 4
    (moved,) = shell.send(4, WALK[3], link="h/1")
    assert isinstance(moved, Dismissed)
    assert moved.code == 1000
    assert acked(shell.send(4, WALK[3], link="h/2")) == 4


def test_what_is_stepped_and_not_committed_is_resent_without_harm() -> None:
    shell = started()
    shell.send(1, *WALK[:5], commit=False)
    assert welcome(shell.hello(link="h/2")).resume_from == 1
    shell.answers = []
    shell.step(shell.data(1, *WALK[:7], link="h/2"))
    assert acked(shell.answers) == 7
    assert shell.row.position.last_seq == 7


def test_after_a_restart_data_of_the_current_session_is_taken_and_any_other_must_say_hello() -> (
    None
):
    shell = started()
    shell.send(1, *WALK[:3])
    shell.restart()
    assert acked(shell.send(4, WALK[3], link="h/9")) == 4
    (answer,) = shell.send(1, WALK[0], session="s7", link="h/8")
    assert isinstance(answer, Dismissed)
    assert answer.code == NOT_OWNER


def test_sending_beyond_the_credit_dismisses_the_link() -> None:
    shell = started(mailbox_items=64)
    shell.send(1, *WALK[:60])
    (answer,) = shell.send(61, *(WALK[:60] + WALK[:5]))
    assert isinstance(answer, Dismissed)
    assert answer.code == 4008
    assert shell.row.position.last_seq == 60
    assert welcome(shell.hello(link="h/2")).credits == 64


def test_credits_of_a_predecessor_still_hold() -> None:
    shell = started(mailbox_items=64)
    shell.send(1, *WALK[:10])
    shell.restart()
    core.set_window(shell.core, 2)
    assert welcome(shell.hello()).credits == 2
    assert (
        acked(shell.send(11, *WALK[10:60])) == 60
    )  # what the one before admitted is not sent away


def test_credit_never_moves_back() -> None:
    shell = started(mailbox_items=100)
    core.set_window(shell.core, 10)
    (ack,) = shell.send(1, *WALK[:20])
    assert ack == Acked(CAMERA, "h/1", 20, 80)
    (ack,) = shell.send(21, *WALK[20:])
    assert ack == Acked(CAMERA, "h/1", 60, 40)


def test_bad_items_become_dead_letters_in_their_places() -> None:
    shell = started()
    old = frame(-3e9, person("a", 0.5, 0.5))
    answers = shell.send(1, WALK[0], b"\xc1", old, b"raw", WALK[4])
    assert [(a.seq, a.code) for a in answers if isinstance(a, Refused)] == [
        (2, "bad_input"),
        (3, "bad_time"),
        (4, "bad_input"),
    ]
    assert acked(answers) == 5
    assert [(letter.seq, letter.raw) for letter in shell.row.letters] == [
        (2, b"\xc1"),
        (3, old),
        (4, b"raw"),
    ]


def test_events_that_wait_push_back_before_memory_runs_full() -> None:
    shell = started(mailbox_bytes=65_536)
    crowd = [
        frame(i * 0.1, *(person(f"t{k}", 0.002 * k + 0.05, 0.5) for k in range(120)))
        for i in range(4)
    ]
    shell.send(1, *crowd[:3], commit=False)
    shell.send(4, crowd[3], commit=False)
    assert shell.core.order.seq == 3
    shell.answers = []
    shell.commit()
    assert AskedAgain(CAMERA, "h/1", 4) in shell.answers


def test_a_second_whole_replay_changes_no_row() -> None:
    shell = started()
    shell.walk(WALK)
    shell.detach()
    moves, position = shell.row.moves, shell.row.position
    shell.now = 100.0
    shell.restart()
    assert welcome(shell.hello(link="h/5")).resume_from == 61
    shell.send(1, *WALK, link="h/5")
    shell.now = 120.0
    shell.tick(120.0)
    shell.detach("h/5")
    assert (shell.row.moves, shell.row.position) == (moves, position)


def test_a_sign_of_life_of_a_stranger_is_told_to_say_hello() -> None:
    shell = started()
    shell.answers = []
    shell.alive("h/7")
    assert [(a.link, a.code) for a in shell.answers if isinstance(a, Dismissed)] == [
        ("h/7", NOT_OWNER)
    ]


def test_an_interrupted_session_reset_is_made_up_for() -> None:
    shell = started()
    shell.walk(WALK)
    assert shell.row.open_session(1, "s2") == "opened"
    shell.restart()
    shell.commit()
    assert shell.of("track.ended")[0].event.session == "s1"
    assert welcome(shell.hello("s2", "h/2")).resume_from == 1
    assert core.next_deadline_us(shell.core) == at_us(8.0)


def test_a_gap_beyond_the_credits_is_not_taken() -> None:
    shell = started()
    (answer,) = shell.gap(1, 2**53 - 1)
    assert isinstance(answer, Dismissed)
    assert answer.code == 4008
    assert "stream.gap" not in shell.kinds()


def test_what_is_missing_is_counted_up_to_what_json_can_say() -> None:
    shell = started()
    shell.core.missing = 2**53 - 3
    for first in range(1, 500, 100):
        shell.gap(first, first + 99)
        shell.hello()
    assert shell.core.missing == 2**53 - 1
    assert shell.row.position.last_seq == 500
