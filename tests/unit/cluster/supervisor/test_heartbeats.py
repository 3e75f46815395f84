"""Who is silent is told by marks that do not move, whatever the clock they are of."""

from cluster.supervisor.heartbeats import Beats
from storage.ports.processes import ActorRecord

HOUR_US = 3_600_000_000


def told(beats: Beats, now: float, **marks: int) -> dict[str, float]:
    return beats.silent_s([ActorRecord(name, beat_us=mark) for name, mark in marks.items()], now)


def test_silence_counts_from_the_last_change_that_was_seen() -> None:
    beats = Beats()
    assert told(beats, 10.0, a=1, b=1) == {"a": 0.0, "b": 0.0}
    assert told(beats, 14.0, a=2, b=1) == {"a": 0.0, "b": 4.0}
    assert told(beats, 16.0, a=2, b=1) == {"a": 2.0, "b": 6.0}


def test_a_clock_that_is_set_makes_nobody_silent_and_hides_nobody() -> None:
    beats = Beats()
    told(beats, 10.0, alive=5 * HOUR_US, dead=5 * HOUR_US)
    assert told(beats, 13.0, alive=6 * HOUR_US, dead=5 * HOUR_US) == {"alive": 0.0, "dead": 3.0}
    assert told(beats, 16.0, alive=HOUR_US, dead=5 * HOUR_US) == {"alive": 0.0, "dead": 6.0}


def test_a_replaced_process_and_one_that_could_not_renew_have_their_time_again() -> None:
    beats = Beats()
    told(beats, 10.0, a=1)
    assert told(beats, 20.0) == {}
    assert told(beats, 21.0, a=1) == {"a": 0.0}
    beats.forget()
    assert told(beats, 30.0, a=1) == {"a": 0.0}
