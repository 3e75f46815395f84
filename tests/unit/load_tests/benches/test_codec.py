"""The codec bench compares like with like, and says what it promises."""

import pytest

from load_tests.benches import codec


def test_every_case_does_its_work_and_has_a_floor_and_a_ratio() -> None:
    measured = codec.run(1, slices=1, slice_s=0.001)
    names = set(codec.cases(1))
    assert {f"{name}_vs_floor" for name in names} == set(measured.ratios)
    assert (
        names
        == set(measured.floor)
        == set(measured.figures) - {"objects", "observations_per_message"}
    )
    assert all(ratio > 0 for ratio in measured.ratios.values())


@pytest.mark.parametrize(
    "name", ["observation_encode_msgpack", "observation_encode_json", "publication_frame_json"]
)
def test_encoders_and_their_floors_write_the_same_bytes(name: str) -> None:
    case = codec.cases(1)[name]
    assert case.product() == case.floor()
    assert isinstance(made := case.product(), bytes)
    assert len(made) == case.size
