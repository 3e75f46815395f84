"""The capacity model's arithmetic: costs are found again from loads that were made of them, needs
add up, what breaks is named."""

import msgspec
import pytest

from actors.core.errors import StartError
from load_tests.capacity.derivation import Point, derive
from load_tests.capacity.model import (
    GIB,
    LIMITS,
    ON_NODES,
    PARTS,
    PartCost,
    PlannedFleet,
    UnitCosts,
    in_words,
    missed,
    predict,
)
from load_tests.harness.environment import this_machine
from load_tests.model_command import fleet_of

CPU = {part: PartCost(10_000.0, 500.0, 20.0, 3.0) for part in PARTS}
BASE = {part: 100 * 2**20 for part in PARTS if part != "camera"}
COSTS = UnitCosts(
    32,
    "a test",
    "2026-03-01",
    "1",
    this_machine(),
    CPU,
    BASE,
    80 * 2**20,
    2**18,
    2**14,
    2_000,
    900,
    4.0,
    0.01,
    32,
)


def point(fps: float, dashboards: int, cameras: int = 32) -> Point:
    """The load that `COSTS` would make."""
    observations, deliveries = cameras * fps, dashboards * 5.0
    cpu = {
        part: (
            cost.base_us
            + cost.camera_us * cameras
            + cost.observation_us * observations
            + cost.delivery_us * deliveries
        )
        / 1e6
        for part, cost in CPU.items()
    }
    pss = dict(COSTS.base_bytes)
    pss["hub"] += dashboards * COSTS.dashboard_bytes
    pss["camera"] = (cameras > 0) * COSTS.actor_bytes + (
        cameras * COSTS.camera_bytes if fps > 5 else 0
    )
    return Point(
        cameras,
        fps,
        dashboards,
        cpu,
        pss,
        1,
        deliveries,
        observations,
        4.0 * cameras,
        0.01 * observations,
        8_000.0 * cameras,
    )


def found_again() -> UnitCosts:
    return derive(
        point(0, 0, 0),
        point(2, 0),
        point(10, 0),
        point(10, 100),
        per_actor=32,
        event_bytes=900,
        source="a test",
        measured="2026-03-01",
        version="1",
        machine=COSTS.machine,
    )


def test_unit_costs_are_found_again_in_loads_made_of_them() -> None:
    found = found_again()
    for part, cost in CPU.items():
        for field in ("base_us", "camera_us", "observation_us", "delivery_us"):
            assert getattr(found.cpu[part], field) == pytest.approx(getattr(cost, field))
    assert (found.actor_bytes, found.camera_bytes, found.dashboard_bytes) == (
        COSTS.actor_bytes,
        COSTS.camera_bytes,
        COSTS.dashboard_bytes,
    )
    assert (found.row_wal_bytes, found.rows_per_camera_s, found.events_per_observation) == (
        2_000,
        4.0,
        0.01,
    )


def test_loads_that_are_no_series_are_refused() -> None:
    for wrong in (
        (point(10, 0), point(10, 0), point(10, 9)),
        (point(2, 0), point(10, 0), point(10, 0)),
    ):
        with pytest.raises(ValueError, match=r"must have the same|nothing was delivered"):
            derive(
                point(0, 0, 0),
                *wrong,
                per_actor=32,
                event_bytes=1,
                source="",
                measured="",
                version="",
                machine=COSTS.machine,
            )


def test_a_prediction_at_the_calibrated_size_is_the_calibrated_load() -> None:
    need = predict(
        COSTS,
        PlannedFleet(
            32, 10.0, 100, cameras_per_site=32, events_per_camera_h=9_000.0, node_cores=64
        ),
    )
    load = point(10, 100)
    assert need.nodes == 1
    deliveries = 100 * (4.0 + 32 * 2.5)
    assert need.deliveries_per_s == pytest.approx(deliveries)
    for part in PARTS:
        assert need.cores[part] == pytest.approx(
            load.cpu[part] + CPU[part].delivery_us * (deliveries - load.deliveries_per_s) / 1e6
        )
    assert sum(need.memory_bytes.values()) == pytest.approx(sum(load.pss.values()))


def test_a_fleet_ten_times_as_large_needs_ten_times_as_much_beyond_its_bases() -> None:
    small, large = (
        predict(COSTS, PlannedFleet(cameras, 10.0, cameras // 10)) for cameras in (32_000, 320_000)
    )
    assert large.rows_per_s == 10 * small.rows_per_s
    assert large.actors == 10 * small.actors
    assert (small.hubs - 1) * 0.6 < small.cores["hub"] <= small.hubs * 0.6
    assert 9 * small.nodes < large.nodes <= 10 * small.nodes
    assert sum(large.cores.values()) == pytest.approx(10 * sum(small.cores.values()), rel=0.05)
    assert large.event_bytes_kept == 30 * large.event_bytes_per_day
    assert small.nodes * 16 * 0.6 >= sum(small.cores[part] for part in ON_NODES)
    assert small.nodes * 64 * GIB * 0.6 >= sum(small.memory_bytes[part] for part in ON_NODES)


def test_what_breaks_first_is_named_with_the_answer() -> None:
    alone = msgspec.structs.replace(COSTS, per_actor=1)
    need = predict(alone, PlannedFleet(5_000, 10.0, 500))
    assert need.breaks[0].name in ("PostgreSQL connections", "cores of one Redis")
    assert {broken.name for broken in need.breaks} == set(LIMITS)
    assert [broken.share for broken in need.breaks] == sorted(
        (broken.share for broken in need.breaks), reverse=True
    )
    connections = next(broken for broken in need.breaks if broken.name == "PostgreSQL connections")
    assert connections.share > 5
    assert any("pack cameras" in line for line in in_words(need.breaks))
    assert in_words(predict(COSTS, PlannedFleet(10, 1.0, 1)).breaks)[0].startswith(
        "nothing; nearest is"
    )


def test_how_far_a_prediction_is_off_is_a_share_of_what_was_measured() -> None:
    assert missed(1.2, 1.0) == pytest.approx(0.2)
    assert missed(0.8, 1.0) == pytest.approx(0.2)
    assert missed(1.0, 0.0) == float("inf")


def test_a_fleet_is_read_with_reasons() -> None:
    assert fleet_of(500, None, ["fps=5", "keep_days = 90"]) == PlannedFleet(
        500, 5.0, 50, keep_days=90
    )
    for wrong in ("fps", "speed=3", "fps=many", "fps=0"):
        with pytest.raises(StartError, match=r"--set|the fleet"):
            fleet_of(500, None, [wrong])
