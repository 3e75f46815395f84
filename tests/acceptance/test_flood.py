"""Issue 3, *Back-pressure*: a flood from one camera leaves the ack latency of its neighbours where
it is, measured on the real stack."""

import pytest

from load_tests.benches import flood
from load_tests.harness.results import Spread

pytestmark = [pytest.mark.ray, pytest.mark.prove, pytest.mark.timeout(600)]


def test_a_flood_from_one_camera_does_not_move_the_acks_of_its_neighbours() -> None:
    measured = flood.run(1)
    ratios = measured.ratios
    assert ratios["flood_vs_calm_p50_s"] <= ratios["allowed_p50_s"], measured
    assert ratios["flood_vs_calm_p99_s"] <= ratios["allowed_p99_s"], measured
    flooded = measured.figures["flood_per_s"]
    assert isinstance(flooded, Spread)
    assert flooded.least > 50 * flood.FPS, "the camera that was to flood did not"
