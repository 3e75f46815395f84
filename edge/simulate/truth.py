"""What really happened in a simulated world: crossings and entries of true positions. Shares no
code with the camera core on purpose."""

from dataclasses import dataclass, field
from itertools import pairwise

from actors.core.scene.scene import Scene

Point = tuple[float, float]


@dataclass
class Truth:
    """Counts since the start. `lines`: line → [in, out]; `zones`: zone → label → entries; `log` as
    (second, kind, place, track, way)."""

    scene: Scene
    keep_log: bool = False
    lines: dict[str, list[int]] = field(default_factory=dict)
    zones: dict[str, dict[str, int]] = field(default_factory=dict)
    alarms: int = 0
    log: list[tuple[float, str, str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lines = {name: [0, 0] for name in self.scene.lines}
        self.zones = {name: {} for name in self.scene.zones}

    def moved(self, track: str, label: str, before: Point, now: Point, second: float) -> None:
        """Something went from `before` to `now` in one frame."""
        for name, line in self.scene.lines.items():
            if line.labels is not None and label not in line.labels:
                continue
            way = sum(_crossing(a, b, before, now) for a, b in pairwise(line.points))
            if way:
                self.lines[name][0 if way > 0 else 1] += 1
                self._note(second, "line.crossed", name, track, "in" if way > 0 else "out")
        for name, zone in self.scene.zones.items():
            if (
                (zone.labels is None or label in zone.labels)
                and _inside(zone.points, now)
                and not _inside(zone.points, before)
            ):
                self.zones[name][label] = self.zones[name].get(label, 0) + 1
                self._note(second, "zone.entered", name, track, "")

    def _note(self, second: float, kind: str, place: str, track: str, way: str) -> None:
        if self.keep_log:
            self.log.append((second, kind, place, track, way))


def _side(a: Point, b: Point, p: Point) -> bool:
    """Whether `p` is to the right of the way from a to b (y points down), or on it."""
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) >= 0.0


def _crossing(a: Point, b: Point, before: Point, now: Point) -> int:
    """+1 when the step crosses a-b from left to right (in), -1 the other way, 0 when it does
    not."""
    was, is_now = _side(a, b, before), _side(a, b, now)
    if was == is_now or _side(before, now, a) == _side(before, now, b):
        return 0
    return 1 if is_now else -1


def _inside(points: list[Point], p: Point) -> bool:
    """Ray casting."""
    inside = False
    for (x1, y1), (x2, y2) in zip(points, [*points[1:], points[0]], strict=True):
        if (y1 > p[1]) != (y2 > p[1]) and p[0] < (x2 - x1) * (p[1] - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside
