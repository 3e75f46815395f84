"""Times to notice and to heal, out of hand-made histories."""

from load_tests.faults.times import HEAL_S, FaultTimes, Strike, table, times, unhealed
from load_tests.harness.history import Acknowledged, Operation, ShownState

END_S = 200.0


def acks(camera: str, *without: tuple[float, float]) -> list[Operation]:
    """Twice a second, but for the spans in `without`."""
    moments = [number / 2 for number in range(2 * int(END_S))]
    return [
        Acknowledged(camera, "s1", n + 1, at)
        for n, at in enumerate(moments)
        if not any(a <= at < b for a, b in without)
    ]


def state(at_s: float, status: str, reason: str = "", camera: str = "cam") -> ShownState:
    return ShownState("w", camera, 1, 0, status, at_s, 0.0, reason)


def one(history: list[Operation], *, lasted_s: float = 0.0) -> FaultTimes:
    (found,) = times([Strike("kill-hub", 100.0, 100.0 + lasted_s, "pid 7 is gone")], history, END_S)
    return found


def test_what_nobody_noticed_is_healed_at_once() -> None:
    found = one([*acks("cam"), state(1.0, "online"), state(199.0, "online")])
    assert (found.noticed_s, found.healed_s, found.told, found.acks_missing_s) == (
        None,
        0.0,
        [],
        0.5,
    )


def test_told_and_healed_are_measured_from_the_fault_with_what_was_said() -> None:
    said = [
        state(1.0, "online"),
        state(106.0, "stale", "store_lost"),
        state(109.0, "disconnected"),
        state(121.5, "online"),
    ]
    found = one([*acks("cam", (101.0, 120.0)), *said, state(199.0, "online")], lasted_s=10.0)
    assert (found.lasted_s, found.noticed_s, found.healed_s) == (10.0, 6.0, 21.5)
    assert found.told == ["stale (store_lost)", "disconnected"]
    assert found.acks_missing_s == 19.5
    assert unhealed([found]) == []


def test_every_camera_must_come_back() -> None:
    found = one([*acks("cam"), *acks("other", (104.0, 150.0)), state(1.0, "online")])
    assert (found.noticed_s, found.healed_s) == (None, 50.0), (
        "acks stood still, and nobody was told"
    )


def test_what_did_not_heal_or_took_too_long_is_named() -> None:
    never = one([*acks("cam", (101.0, END_S)), state(1.0, "online")])
    assert never.healed_s is None
    late = one([*acks("cam", (101.0, 101.0 + HEAL_S + 1)), state(1.0, "online")])
    assert [line.partition(":")[0] for line in unhealed([never, late])] == ["kill-hub", "kill-hub"]
    still = one([*acks("cam"), state(1.0, "online"), state(104.0, "stale", "x")])
    assert still.healed_s is None, "the last state stands to the end"


def test_each_fault_has_the_time_to_the_next() -> None:
    strikes = [Strike("b", 150.0, 150.0, ""), Strike("a", 100.0, 100.0, "")]
    history = [
        *acks("cam", (110.0, 120.0), (160.0, 170.0)),
        state(1.0, "online"),
        state(112.0, "stale"),
        state(121.0, "online"),
    ]
    found = times(
        strikes,
        [*history, state(164.0, "offline"), state(171.0, "online"), state(199.0, "online")],
        END_S,
    )
    assert [(one.name, one.noticed_s, one.healed_s, one.told) for one in found] == [
        ("a", 12.0, 21.0, ["stale"]),
        ("b", 14.0, 21.0, ["offline"]),
    ]
    assert "| a | 12 s | 21 s | – | 10.5 s | `stale` |" in table(found)


def test_faults_of_a_pair_are_one() -> None:
    pair = [
        Strike("b", 100.2, 120.0, "y"),
        Strike("a", 100.0, 100.0, "x", 3.0),
        Strike("c", 150.0, 150.0, "z"),
    ]
    found = times(
        pair, [*acks("cam", (101.0, 110.0)), state(1.0, "online"), state(199.0, "online")], END_S
    )
    assert [(one.name, one.lasted_s, one.back_s, one.proof) for one in found] == [
        ("a + b", 20.0, 3.0, "x; y"),
        ("c", 0.0, None, "z"),
    ]
    assert found[0].acks_missing_s == 9.5


def test_a_run_without_faults_has_no_times() -> None:
    assert times([], [], 10.0) == []
