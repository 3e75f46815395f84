"""Issue 7, *Paper scale*: what the capacity model says of a load that it was not calibrated with,
held against that load, measured."""

import pytest

from load_tests.capacity import calibrate
from load_tests.capacity.model import PARTS, PlannedFleet, missed, predict
from load_tests.harness.terminal import say

pytestmark = [pytest.mark.ray, pytest.mark.prove, pytest.mark.timeout(900)]

ALLOWED = 0.25


@pytest.mark.parametrize(
    ("per_actor", "cameras", "fps", "dashboards"), [(32, 64, 6.0, 40), (1, 12, 6.0, 40)]
)
def test_a_prediction_holds_within_a_quarter(
    per_actor: int, cameras: int, fps: float, dashboards: int
) -> None:
    costs = calibrate.calibrate(1, per_actor, say)
    fleet = PlannedFleet(
        cameras,
        fps,
        dashboards,
        cameras_per_site=cameras,
        events_per_camera_h=costs.events_per_observation * fps * 3600,
        node_cores=64,
    )
    need = predict(costs, fleet)
    found = calibrate.measure(2, per_actor, fleet, say)
    cores = sum(need.cores.values()), sum(found.cpu.values())
    memory = sum(need.memory_bytes.values()), float(sum(found.pss.values()))
    for part in PARTS:
        say(
            f"{part:9} cores {need.cores[part]:.3f} predicted, {found.cpu.get(part, 0.0):.3f} "
            "measured"
        )
    say(
        f"cores {cores[0]:.3f} predicted, {cores[1]:.3f} measured; MiB {memory[0] / 2**20:.0f} "
        f"predicted, {memory[1] / 2**20:.0f} measured"
    )
    assert missed(*cores) <= ALLOWED, (need.cores, found.cpu)
    assert missed(*memory) <= ALLOWED, (need.memory_bytes, found.pss)
