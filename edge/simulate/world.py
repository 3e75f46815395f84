"""One simulated camera: a seeded world and the detector that looks at it. Pure: the same seed,
index and rate give the same frames.

The detector jitters every side of a box by a few pixels, misses some, and does not see what
something nearer hides, though never for so long that its tracker would lose it.
"""

import math
import random
from dataclasses import dataclass, field
from itertools import pairwise

from actors.core.messages.observations import Alarm, Object
from actors.core.scene.scene import Scene
from edge.simulate.layouts import Lane, Layout, layout
from edge.simulate.truth import Point, Truth

WIDTH, HEIGHT = 1920, 1080
JITTER_PX = 1.5  # standard deviation of a side; never more than `JITTER_MAX_PX`
JITTER_MAX_PX = 4.0
MISSED = 0.04  # share of boxes that the detector misses
HIDDEN = 0.65  # share of a box behind a nearer one from which on it is not seen
HIDDEN_S = {
    "vehicle": 0.3,
    "person": 1.0,
}  # seconds after which the tracker guesses where a hidden one is
FOUND_S = 0.8  # seconds that one found again stays visible
MAX_AGENTS = 24
PLATED = 0.6  # share of vehicles whose plate is read
ALARM_EVERY_S = 240.0  # mean seconds between two presses of the help point
_VEHICLE = {
    "car": (1.55, 0.9),
    "truck": (2.1, 1.6),
    "bus": (2.9, 1.7),
    "motorcycle": (0.7, 0.8),
}  # width, height in person heights
_WALKER = {"person": (0.38, 1.0), "bicycle": (0.7, 1.0), "dog": (0.45, 0.4)}
_COLORS = ("white", "black", "silver", "blue", "red", "green")
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


@dataclass
class Agent:
    """Something that moves. `travelled` along its way in picture widths, `waits` the halts still
    ahead as (where, seconds)."""

    id: str
    label: str
    way: list[Point]
    speed: float
    waits: list[tuple[float, float]]
    attributes: dict[str, str | int | float | bool] | None
    confidence: float
    travelled: float = 0.0
    paused_s: float = 0.0
    unseen_frames: int = 0
    found_frames: int = 0  # frames for which the tracker still holds on to one it has found again
    at: Point = (0.0, 0.0)
    lengths: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lengths = [math.dist(a, b) for a, b in pairwise(self.way)]
        self.at = self.way[0]

    @property
    def gone(self) -> bool:
        """At the end of its way."""
        return self.travelled >= sum(self.lengths)

    def advance(self, dt: float) -> None:
        """Move on by `dt` seconds."""
        if self.paused_s > 0.0:
            self.paused_s -= dt
            return
        self.travelled += self.speed * dt
        if self.waits and self.travelled >= self.waits[0][0]:
            self.travelled, self.paused_s = self.waits.pop(0)
        left = self.travelled
        for (a, b), length in zip(pairwise(self.way), self.lengths, strict=True):
            if left <= length:
                share = left / length
                self.at = (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share)
                return
            left -= length
        self.at = self.way[-1]


Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Frame:
    """What the detector says of one frame, `second` seconds after the start."""

    second: float
    objects: list[Object]
    alarm: Alarm | None = None


class SimulatedCamera:
    """The camera number `index` of the site with this `seed`, at `fps` frames a second."""

    def __init__(self, seed: int, index: int, *, fps: float = 10.0, keep_log: bool = False) -> None:
        self.layout: Layout = layout(index)
        self.scene: Scene = self.layout.scene
        self.truth = Truth(self.scene, keep_log)
        self._dt = 1.0 / fps
        self._world = random.Random(f"world {seed} {index}")
        self._detector = random.Random(f"detector {seed} {index}")
        self._frames = 0
        self._names = 0
        self._agents: list[Agent] = []
        self._arrivals = [self._world.uniform(0.0, lane.every_s) for lane in self.layout.lanes]
        self._alarm_s = self._world.expovariate(1.0 / ALARM_EVERY_S)
        self._arriving = True

    @property
    def empty(self) -> bool:
        """Nothing is in the world."""
        return not self._agents

    def stop_arrivals(self) -> None:
        """Let nothing new in, so that the world empties and its truth is final."""
        self._arriving = False

    def step(self) -> Frame:
        """The next frame."""
        second = self._frames * self._dt
        self._frames += 1
        self._move(second)
        alarm = None
        if self._arriving:
            self._arrive(second)
            if second >= self._alarm_s:
                self._alarm_s = second + self._world.expovariate(1.0 / ALARM_EVERY_S)
                self.truth.alarms += 1
                alarm = Alarm("help_point", text="The help point was pressed")
        return Frame(second, self._look(), alarm)

    def _move(self, second: float) -> None:
        for agent in self._agents:
            before = agent.at
            agent.advance(self._dt)
            if agent.at != before:
                self.truth.moved(agent.id, agent.label, before, agent.at, second)
        self._agents = [agent for agent in self._agents if not agent.gone]

    def _arrive(self, second: float) -> None:
        for number, lane in enumerate(self.layout.lanes):
            if second < self._arrivals[number]:
                continue
            rest = min(self._world.expovariate(1.0 / lane.every_s), 4.0 * lane.every_s)
            self._arrivals[number] = second + max(rest, 0.35 * lane.every_s)
            speed = self._world.uniform(*lane.speed)
            side = self._world.uniform(-lane.spread, lane.spread)
            self._enter(lane, speed, side)
            if self._world.random() < lane.pairs:
                self._enter(
                    lane,
                    speed,
                    side + self._world.uniform(0.025, 0.05) * (1.0 if side < 0 else -1.0),
                )

    def _enter(self, lane: Lane, speed: float, side: float) -> None:
        if len(self._agents) >= MAX_AGENTS:
            return
        self._names += 1
        world = self._world
        label = world.choices(
            [name for name, _ in lane.labels], [weight for _, weight in lane.labels]
        )[0]
        way = [_beside(lane.points, at, side) for at in range(len(lane.points))]
        length = sum(math.dist(a, b) for a, b in pairwise(way))
        waits = [
            (stop.at * length, world.uniform(*stop.seconds))
            for stop in lane.stops
            if world.random() < stop.chance
        ]
        if waits and world.random() < lane.turn_back:
            way = _there_and_back(way, waits[-1][0])
        attributes: dict[str, str | int | float | bool] | None = None
        if label in _VEHICLE:
            attributes = {"color": world.choice(_COLORS)}
            if world.random() < PLATED:
                letters = "".join(world.choices(_LETTERS, k=3))
                attributes["license_plate"] = f"{letters}-{world.randint(100, 999)}"
        self._agents.append(
            Agent(str(self._names), label, way, speed, waits, attributes, world.uniform(0.62, 0.95))
        )

    def _look(self) -> list[Object]:
        """The detector: nearest first, so what hides is known before what is hidden."""
        seen: list[Object] = []
        nearer: list[Box] = []
        for agent in sorted(self._agents, key=_depth, reverse=True):
            box = self._box(agent)
            hidden = max((_covered(box, other) for other in nearer), default=0.0)
            nearer.append(box)
            missed = self._detector.random() < MISSED
            noise = [
                max(-JITTER_MAX_PX, min(JITTER_MAX_PX, self._detector.gauss(0.0, JITTER_PX)))
                for _ in range(4)
            ]
            blur = self._detector.gauss(0.0, 0.03)
            shown = _clip(
                (
                    box[0] + noise[0] / WIDTH,
                    box[1] + noise[1] / HEIGHT,
                    box[2] + noise[2] / WIDTH,
                    box[3] + noise[3] / HEIGHT,
                )
            )
            if shown is None:
                continue
            patience = HIDDEN_S["vehicle" if agent.label in _VEHICLE else "person"]
            agent.found_frames -= 1
            if missed or (hidden > HIDDEN and agent.found_frames < 0):
                agent.unseen_frames += 1
                if agent.unseen_frames * self._dt <= patience:
                    continue
                agent.found_frames = math.ceil(FOUND_S / self._dt)
            agent.unseen_frames = 0
            score = round(max(0.3, min(0.99, agent.confidence - 0.3 * hidden + blur)), 3)
            seen.append(Object(agent.label, shown, score, agent.id, attributes=agent.attributes))
        return seen

    def _box(self, agent: Agent) -> Box:
        """The true box: upright on the point where it stands, smaller the farther away."""
        x, y = agent.at
        tall = self.layout.far + (self.layout.near - self.layout.far) * max(0.0, min(1.2, y))
        width, height = _VEHICLE.get(agent.label) or _WALKER[agent.label]
        half = width * tall * HEIGHT / WIDTH / 2.0
        return (x - half, y - height * tall, x + half, y)


def _depth(agent: Agent) -> float:
    return agent.at[1]


def _beside(points: tuple[Point, ...], at: int, side: float) -> Point:
    """The waypoint `at`, moved by `side` across the direction of its lane."""
    a, b = points[max(at - 1, 0)], points[min(at + 1, len(points) - 1)]
    length = math.dist(a, b)
    return (
        points[at][0] - (b[1] - a[1]) / length * side,
        points[at][1] + (b[0] - a[0]) / length * side,
    )


def _there_and_back(way: list[Point], turn: float) -> list[Point]:
    """The way up to `turn`, and back."""
    there = [way[0]]
    left = turn
    for a, b in pairwise(way):
        length = math.dist(a, b)
        if left <= length:
            there.append(
                (a[0] + (b[0] - a[0]) * left / length, a[1] + (b[1] - a[1]) * left / length)
            )
            break
        there.append(b)
        left -= length
    return there + there[-2::-1]


def _covered(box: Box, other: Box) -> float:
    """The share of `box` that `other` covers."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return (
        width * height / ((box[2] - box[0]) * (box[3] - box[1]))
        if width > 0.0 and height > 0.0
        else 0.0
    )


def _clip(box: Box) -> Box | None:
    """The box within the picture, or None when its middle is outside."""
    if not (0.0 < (box[0] + box[2]) / 2.0 < 1.0 and 0.0 < (box[1] + box[3]) / 2.0 < 1.0):
        return None
    clipped = tuple(round(max(0.0, min(1.0, side)), 5) for side in box)
    return clipped if clipped[0] < clipped[2] and clipped[1] < clipped[3] else None  # type: ignore[return-value]
