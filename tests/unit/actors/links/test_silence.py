"""A peer that owes something and says nothing is lost; one that owes nothing is left in peace."""

from actors.links.silence import Say, Silence


def ticks(silence: Silence, first: float, times: int) -> list[Say]:
    return [silence.tick(first + silence.tick_s * number) for number in range(times)]


def test_a_silent_peer_that_owes_an_answer_is_asked_and_then_lost() -> None:
    silence = Silence(4.0)
    silence.start(0.0)
    silence.owed = True
    assert ticks(silence, 1.0, 4) == [Say.PING, Say.PING, Say.PING, Say.LOST]


def test_one_that_answers_pings_is_kept_for_as_long_as_it_owes() -> None:
    silence = Silence(4.0)
    silence.start(0.0)
    silence.owed = True
    for second in range(1, 20):
        assert silence.tick(float(second)) is Say.PING
        silence.sent()
        silence.heard(second + 0.1)
    silence.owed = False
    assert silence.tick(20.0) is Say.NOTHING


def test_what_needs_no_ack_has_to_be_heard_of_once() -> None:
    silence = Silence(4.0)
    silence.start(0.0)
    silence.sent()
    assert silence.tick(1.0) is Say.PING
    silence.heard(1.1)
    assert silence.tick(2.0) is Say.NOTHING


def test_no_ping_goes_to_one_that_was_just_heard() -> None:
    silence = Silence(4.0)
    silence.start(0.0)
    silence.owed = True
    silence.heard(0.9)
    assert silence.tick(1.0) is Say.WAIT


def test_a_late_tick_says_that_this_process_stood_still_and_nothing_about_the_peer() -> None:
    silence = Silence(4.0)
    silence.start(0.0)
    silence.owed = True
    assert silence.tick(60.0) is Say.PING
    assert ticks(silence, 61.0, 3) == [Say.PING, Say.PING, Say.LOST]
