"""From unit costs to a fleet: what a number of cameras and dashboards needs, and what breaks first
(pure arithmetic).

Every cost is linear in its unit: seconds, cameras, observations, deliveries, dashboards. A fixed
base is paid once per node, those of PostgreSQL and Redis once. That is stated here because it is
the model's one assumption about the product; those about the fleet are fields of
:class:`PlannedFleet`, those about what breaks are :data:`LIMITS`, each with its source. Processor
figures are of one core of the machine that was calibrated.
"""

import math
from collections.abc import Mapping, Sequence

import msgspec

from actors.core.settings import HubSettings
from load_tests.harness.environment import MachineInfo

PARTS = ("hub", "camera", "postgres", "redis", "ray", "other")
ON_NODES = (
    "hub",
    "camera",
    "ray",
    "other",
)  # the other two have machines of their own once there is more than one node
DAY_S = 86_400
GIB = 2**30


class PartCost(msgspec.Struct, frozen=True):
    """Processor microseconds of one part: per second of being there, per camera and second, per
    observation, and per delivery to a dashboard."""

    base_us: float = 0.0
    camera_us: float = 0.0
    observation_us: float = 0.0
    delivery_us: float = 0.0


class UnitCosts(msgspec.Struct, frozen=True):
    """Unit costs at one density (`per_actor` cameras in an actor process). `source` says what
    measured them, `measured` the day; bytes are proportional set sizes: pages that processes share
    are divided among them. `base_bytes`: by part, with nothing to do."""

    per_actor: int
    source: str
    measured: str
    version: str
    machine: MachineInfo
    cpu: dict[str, PartCost]
    base_bytes: dict[str, int]
    actor_bytes: int
    camera_bytes: int
    dashboard_bytes: int
    row_wal_bytes: int
    event_bytes: int
    rows_per_camera_s: float
    events_per_observation: float
    wall_cameras: int
    fps: float = 10.0


class PlannedFleet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fleet and the nodes for it. Every dashboard watches the wall of one site and its events.
    `full`: share of a core or of a memory that is planned to be used; `events_per_camera_h`:
    durable events of a camera in an hour (a walker of `load_tests.harness.synthetic_scene` makes
    far more)."""

    cameras: int
    fps: float = 10.0
    dashboards: int = 0
    cameras_per_site: int = 50
    events_per_camera_h: float = 60.0
    wall_hz: float = 4.0
    live_hz: float = 10.0
    keep_days: int = 30
    node_cores: int = 16
    node_gib: float = 64.0
    full: float = 0.6


class Limit(msgspec.Struct, frozen=True):
    """What breaks when `need` passes `bound`; `answer`: what the design says to it; `source`: where
    the bound is from."""

    name: str
    unit: str
    bound: float
    answer: str
    source: str


class Broken(msgspec.Struct, frozen=True):
    """A limit against what a fleet needs; `share` above 1 breaks."""

    name: str
    unit: str
    need: float
    bound: float
    share: float
    answer: str
    source: str


class Need(msgspec.Struct, frozen=True):
    """What a fleet needs. `hubs`: processes, each of one thread; `cores` and `memory_bytes` by
    part, at full use; rates per second; volumes in bytes. `breaks`: all limits, the worst first."""

    fleet: PlannedFleet
    per_actor: int
    observations_per_s: float
    deliveries_per_s: float
    actors: int
    rows_per_s: float
    redis_messages_per_s: float
    cores: dict[str, float]
    memory_bytes: dict[str, float]
    nodes: int
    hubs: int
    redis_shards: int
    postgres_cores: float
    wal_bytes_per_s: float
    event_bytes_per_day: float
    event_bytes_kept: float
    breaks: list[Broken]


LIMITS: Mapping[str, Limit] = {
    limit.name: limit
    for limit in (
        Limit(
            "PostgreSQL connections",
            "connections",
            1_000,
            "pack cameras (`cluster.cameras_per_actor`): a connection per actor process",
            "a process each; a few hundred are usual, 1,000 is a large server",
        ),
        Limit(
            "actors in one Ray cluster",
            "actors",
            10_000,
            "pack cameras; beyond it, cells: an Eyrie each for a region, cut by site",
            "Ray's own release benchmarks: 10,000 actors on 64 nodes",
        ),
        Limit(
            "nodes of one Ray cluster",
            "nodes",
            250,
            "larger nodes; beyond it, cells",
            "Ray's own release benchmarks: 250 nodes",
        ),
        Limit(
            "PostgreSQL cores",
            "cores",
            64,
            "a longer `camera.commit_interval_s` (rows fall in proportion); beyond it, cells",
            "one primary; 64 cores is a large one",
        ),
        Limit(
            "write-ahead log",
            "bytes/s",
            500e6,
            "a longer `camera.commit_interval_s`; beyond it, cells",
            "what one good NVMe disk writes",
        ),
        Limit(
            "events kept in one database",
            "bytes",
            20e12,
            "`events.keep_days`, export of old days; beyond it, cells",
            "day partitions of one server; larger ones run, their backups take days",
        ),
        Limit(
            "cores of one Redis",
            "cores",
            0.6,
            "shards: streams and states of a site share the hash tag {site}; one Redis is what "
            "runs "
            "today",
            "one thread executes commands; planned to 60 %",
        ),
        Limit(
            "one supervisor",
            "cameras",
            100_000,
            "not measured at this size: `bench actors` measures smaller ones; beyond it, cells",
            "an assumption, marked as one",
        ),
    )
}


def predict(costs: UnitCosts, fleet: PlannedFleet) -> Need:
    """What `fleet` needs by `costs`; with one node's base."""
    observations = fleet.cameras * fleet.fps
    sites = math.ceil(fleet.cameras / fleet.cameras_per_site)
    events = fleet.cameras * fleet.events_per_camera_h / 3600
    deliveries = fleet.dashboards * (fleet.wall_hz + events / sites)
    actors = math.ceil(fleet.cameras / costs.per_actor)
    rows = fleet.cameras * costs.rows_per_camera_s
    cores = {
        part: (
            cost.camera_us * fleet.cameras
            + cost.observation_us * observations
            + cost.delivery_us * deliveries
        )
        / 1e6
        for part, cost in costs.cpu.items()
    }
    memory: dict[str, float] = {part: 0.0 for part in costs.base_bytes}
    memory["camera"] = float(actors * costs.actor_bytes + fleet.cameras * costs.camera_bytes)
    memory["hub"] = float(fleet.dashboards * costs.dashboard_bytes)
    base_cores = {part: cost.base_us / 1e6 for part, cost in costs.cpu.items()}
    nodes = _nodes(cores, memory, base_cores, costs, fleet)
    times = {part: nodes if part in ON_NODES else 1 for part in PARTS}
    cores = {part: used + base_cores[part] * times[part] for part, used in cores.items()}
    memory = {
        part: size + costs.base_bytes.get(part, 0) * times[part] for part, size in memory.items()
    }
    wal = rows * costs.row_wal_bytes + events * costs.event_bytes
    kept = events * costs.event_bytes * DAY_S
    redis_cores = cores.get("redis", 0.0)
    need = Need(
        fleet,
        costs.per_actor,
        observations,
        deliveries,
        actors,
        rows,
        redis_messages(fleet, costs.per_actor, events),
        cores,
        memory,
        nodes,
        max(
            1,
            math.ceil(cores.get("hub", 0.0) / fleet.full),
            math.ceil(fleet.dashboards / HubSettings().max_connections),
        ),
        max(1, math.ceil(redis_cores / LIMITS["cores of one Redis"].bound)),
        cores.get("postgres", 0.0),
        wal,
        kept,
        kept * fleet.keep_days,
        [],
    )
    return msgspec.structs.replace(need, breaks=breaking(need))


def row_us(costs: UnitCosts) -> float:
    """Microseconds of PostgreSQL for a row moved, at the rate that was calibrated."""
    cost = costs.cpu["postgres"]
    return (cost.camera_us + cost.observation_us * costs.fps) / costs.rows_per_camera_s


def redis_message_us(costs: UnitCosts) -> float:
    """Microseconds of Redis for a publication, its way to one hub included, at the rate that was
    calibrated."""
    cost, fleet = (
        costs.cpu["redis"],
        PlannedFleet(costs.wall_cameras, costs.fps, cameras_per_site=costs.wall_cameras),
    )
    events = costs.events_per_observation * costs.fps * costs.wall_cameras
    return (
        (cost.camera_us + cost.observation_us * costs.fps)
        * costs.wall_cameras
        / redis_messages(fleet, costs.per_actor, events)
    )


def redis_messages(fleet: PlannedFleet, per_actor: int, events_per_s: float) -> float:
    """Publications a second: states at `live_hz` at most, the summaries of an actor's cameras per
    site and tick, a heartbeat per actor and site, events."""
    sites_of_actor = max(1.0, per_actor / fleet.cameras_per_site)
    pairs = math.ceil(fleet.cameras / per_actor) * sites_of_actor
    return (
        fleet.cameras * min(fleet.fps, fleet.live_hz) + pairs * (fleet.wall_hz + 1) + events_per_s
    )


def breaking(need: Need) -> list[Broken]:
    """Every limit against the need, the worst first."""
    needs = {
        "PostgreSQL connections": float(need.actors + need.nodes),
        "actors in one Ray cluster": float(need.actors),
        "nodes of one Ray cluster": float(need.nodes),
        "PostgreSQL cores": need.postgres_cores,
        "write-ahead log": need.wal_bytes_per_s,
        "events kept in one database": need.event_bytes_kept,
        "cores of one Redis": need.cores.get("redis", 0.0),
        "one supervisor": float(need.fleet.cameras),
    }
    found = [
        Broken(
            name,
            limit.unit,
            needs[name],
            limit.bound,
            needs[name] / limit.bound,
            limit.answer,
            limit.source,
        )
        for name, limit in LIMITS.items()
    ]
    return sorted(found, key=lambda broken: -broken.share)


def _nodes(
    cores: Mapping[str, float],
    memory: Mapping[str, float],
    base_cores: Mapping[str, float],
    costs: UnitCosts,
    fleet: PlannedFleet,
) -> int:
    """Nodes for hubs and camera actors with their Ray; PostgreSQL and Redis have machines of their
    own beyond one node."""
    free_cores = fleet.node_cores * fleet.full - sum(base_cores.get(part, 0.0) for part in ON_NODES)
    free_bytes = fleet.node_gib * GIB * fleet.full - sum(
        costs.base_bytes.get(part, 0) for part in ON_NODES
    )
    by_cores = sum(cores.get(part, 0.0) for part in ON_NODES) / max(free_cores, 1e-9)
    by_bytes = sum(memory.get(part, 0.0) for part in ON_NODES) / max(free_bytes, 1.0)
    return max(1, math.ceil(max(by_cores, by_bytes)))


def missed(predicted: float, measured: float) -> float:
    """By which share of the measured value the prediction is off."""
    return abs(predicted - measured) / measured if measured else math.inf


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def in_words(broken: Sequence[Broken]) -> list[str]:
    """What breaks, in lines; one line when nothing does."""
    found = [
        f"{one.name}: {_short(one.need)} of {_short(one.bound)} {one.unit} ({one.share:,.1f} "
        f"times) - {one.answer}"
        for one in broken
        if one.share > 1
    ]
    return found or [f"nothing; nearest is {broken[0].name} at {broken[0].share:.0%} of its bound"]
