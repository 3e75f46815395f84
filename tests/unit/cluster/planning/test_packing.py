"""Who gets a process for itself."""

from cluster.planning.packing import ALONE_S, PACK_AT, PER_ROUND, SPLIT_AT, CameraCost, repack


def test_the_dearest_are_split_out_a_few_at_a_time() -> None:
    costs = [CameraCost(f"c{n}", SPLIT_AT + n / 100, 16) for n in range(5)]
    assert [(camera, alone) for camera, alone, _why in repack(costs, 0.0)] == [
        ("c4", True),
        ("c3", True),
    ][:PER_ROUND]


def test_alone_already_or_in_between_is_left() -> None:
    costs = [
        CameraCost("one", 0.9, 1),
        CameraCost("between", (SPLIT_AT + PACK_AT) / 2, 16),
        CameraCost("split", (SPLIT_AT + PACK_AT) / 2, 16, 0.0),
    ]
    assert repack(costs, 10 * ALONE_S) == []


def test_who_became_quiet_is_packed_again_after_a_while() -> None:
    quiet = [CameraCost("c", PACK_AT / 2, 16, alone_since=100.0)]
    assert repack(quiet, 100.0 + ALONE_S - 1) == []
    assert [(camera, alone) for camera, alone, _why in repack(quiet, 100.0 + ALONE_S)] == [
        ("c", False)
    ]
