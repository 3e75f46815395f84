"""What the checker is told of faults of links."""

from load_tests.faults.times import Strike
from load_tests.harness.scenarios import LASTS
from load_tests.runs.fault_acts import LATE_PING_S, OF_LINKS, lost_on_their_way

PING_S = 25.0


def test_who_is_cut_off_without_an_end_has_the_patience_of_its_client() -> None:
    """However a link is silent: nobody but the client at its end can tell."""
    strikes = [
        Strike(name, 100.0 * number, 100.0 * number + 45.0, "a proxy")
        for number, name in enumerate(OF_LINKS, 1)
    ]
    silent = {name for name, kind in OF_LINKS.items() if kind != "reset"}
    spans = lost_on_their_way(strikes, ["w"], PING_S)
    assert {(one.from_s, one.until_s) for one in spans} == {
        (strike.at_s, strike.over_s) for strike in strikes if strike.name in silent
    }
    assert all(one.told_s > PING_S + LATE_PING_S for one in spans)
    assert silent == {"links-silent", "links-one-way"}


def test_such_a_fault_lasts_until_every_client_has_noticed() -> None:
    strikes = [Strike(name, 0.0, 1.0, "a proxy") for name in OF_LINKS]
    (told_s,) = {one.told_s for one in lost_on_their_way(strikes, ["w"], PING_S)}
    assert {name for name, kind in OF_LINKS.items() if kind != "reset"} == LASTS.keys()
    assert min(LASTS.values()) > told_s
