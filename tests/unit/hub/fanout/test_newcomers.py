"""Which cameras everybody who watches has been asked about."""

from hub.fanout.newcomers import MAX_STRANGERS, Newcomers


def test_who_comes_first_has_been_asked_about_what_there_is_and_about_nothing_later() -> None:
    newcomers = Newcomers()
    assert not newcomers.shown("north", "gate")
    newcomers.begin("north", ["gate"])
    newcomers.begin("north", ["vault"])  # the second who watches says nothing of the first
    assert newcomers.shown("north", "gate")
    assert not newcomers.shown("north", "vault")
    assert not newcomers.shown("south", "gate")


def test_events_wait_from_the_first_of_a_new_camera_until_it_is_admitted() -> None:
    newcomers = Newcomers()
    newcomers.begin("north", ["gate"])
    assert not newcomers.waits("north", ["gate"], "e", 6)
    assert newcomers.waits("north", ["yard"], "e", 7)
    assert newcomers.waits("north", ["gate"], "e", 8), "nobody overtakes"
    assert newcomers.waiting() == ["north"]
    assert newcomers.place("north") == ("e", 7), "where who comes meanwhile starts"
    assert newcomers.place("south") is None
    assert newcomers.admit("north", ["gate", "yard"]) == (["yard"], ("e", 7))
    assert newcomers.waiting() == []
    assert not newcomers.waits("north", ["yard"], "e", 8)


def test_what_the_registry_does_not_know_is_waited_for_once_and_not_shown() -> None:
    newcomers = Newcomers()
    newcomers.begin("north", ["gate"])
    assert newcomers.waits("north", ["ghost"], "e", 1)
    assert newcomers.admit("north", ["gate"]) == ([], ("e", 1))
    assert not newcomers.waits("north", ["ghost"], "e", 2)
    assert not newcomers.shown("north", "ghost")
    assert newcomers.admit("north", ["gate", "ghost"]) == (["ghost"], None)
    assert newcomers.shown("north", "ghost")
    newcomers.forget("north")
    assert not newcomers.shown("north", "gate")


def test_nobody_waits_for_one_more_stranger_than_are_remembered() -> None:
    newcomers = Newcomers()
    newcomers.begin("north", ["gate"])
    for found in (range(MAX_STRANGERS - 10), range(MAX_STRANGERS - 10, MAX_STRANGERS + 10)):
        assert newcomers.waits("north", [f"ghost-{number}" for number in found], "e", 1)
        newcomers.admit("north", ["gate"])
    assert not newcomers.waits("north", ["one-more"], "e", 2)
    assert not newcomers.shown("north", "one-more")
    newcomers.admit("north", ["gate", "ghost-1"])
    assert newcomers.waits("north", ["one-more"], "e", 3), "there is room again"
