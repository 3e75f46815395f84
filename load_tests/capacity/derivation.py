"""From measured loads to the unit costs of `load_tests.capacity.model` (pure arithmetic)."""

import msgspec

from load_tests.capacity.model import PARTS, PartCost, UnitCosts
from load_tests.harness.environment import MachineInfo


class Point(msgspec.Struct, frozen=True):
    """One measured load of a calibration. `cpu`: cores by part; `pss`: bytes by part; `actors`:
    camera processes; rates per second."""

    cameras: int
    fps: float
    dashboards: int
    cpu: dict[str, float]
    pss: dict[str, int]
    actors: int
    deliveries_per_s: float = 0.0
    observations_per_s: float = 0.0
    rows_per_s: float = 0.0
    events_per_s: float = 0.0
    wal_bytes_per_s: float = 0.0


def derive(
    idle: Point,
    slow: Point,
    fast: Point,
    watched: Point,
    *,
    per_actor: int,
    event_bytes: int,
    source: str,
    measured: str,
    version: str,
    machine: MachineInfo,
) -> UnitCosts:
    """Unit costs out of four loads: nothing; some cameras slow; the same ones fast; those with
    dashboards. Differences below 0 are noise and count as 0. Raises ValueError when the loads are
    not such a series."""
    if not (
        slow.cameras == fast.cameras == watched.cameras > 0
        and fast.observations_per_s > slow.observations_per_s > 0
    ):
        raise ValueError(
            "slow, fast and watched must have the same cameras, and fast more observations than "
            "slow"
        )
    if watched.dashboards <= 0 or watched.deliveries_per_s <= 0:
        raise ValueError("nothing was delivered")
    more = fast.observations_per_s - slow.observations_per_s
    cpu = {}
    for part in PARTS:
        base, low, high, seen = (point.cpu.get(part, 0.0) for point in (idle, slow, fast, watched))
        each = max(0.0, (high - low) / more)
        camera = max(0.0, (low - base - each * slow.observations_per_s) / slow.cameras)
        delivery = max(0.0, (seen - high) / watched.deliveries_per_s)
        cpu[part] = PartCost(base * 1e6, camera * 1e6, each * 1e6, delivery * 1e6)
    actors_pss = fast.pss.get("camera", 0)
    # A process with its cameras is measured as a whole; the cameras' own share is what the fast
    # load added to the slow one's processes.
    camera_bytes = max(0, (actors_pss - slow.pss.get("camera", 0)) // fast.cameras)
    actor_bytes = (actors_pss - camera_bytes * fast.cameras) // max(1, fast.actors)
    dashboards = max(0, (watched.pss.get("hub", 0) - fast.pss.get("hub", 0)) // watched.dashboards)
    base_bytes = {part: fast.pss.get(part, 0) for part in PARTS if part != "camera"}
    return UnitCosts(
        per_actor,
        source,
        measured,
        version,
        machine,
        cpu,
        base_bytes,
        actor_bytes,
        camera_bytes,
        dashboards,
        round(fast.wal_bytes_per_s / max(fast.rows_per_s, 1e-9)),
        event_bytes,
        fast.rows_per_s / fast.cameras,
        fast.events_per_s / fast.observations_per_s,
        fast.cameras,
        fast.fps,
    )
