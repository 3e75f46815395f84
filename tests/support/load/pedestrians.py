"""Pedestrians whose counts are known by how they were made, seen by a detector and tracker that are
as bad as real ones.

Truth is written down when a walk is laid out, in pixels, by plain comparisons; nothing here is
shared with what counts. The detector jitters each corner by `JITTER_PX`, misses frames, loses
people behind things for a while, and the tracker gives some a new id on the way. A new id is given
where it changes no count: away from line and zone, since no counter can know that two ids are one
person.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from actors.core.scene.scene import Line, Scene, Zone

WIDTH, HEIGHT = 640, 480
LINE_X = 320  # the line stands upright across the whole picture
ZONE = (420, 120, 560, 470)  # left, top, right, bottom; feet stand between y 160 and 450
JITTER_PX = 3.0  # standard deviation of a box's place; its size wavers by a third of it
MISSED = 0.08  # share of detections that never come
QUIET_S = 8.0  # seconds without anybody at the end: every track is over

SCENE = Scene(
    lines={
        "gate": Line(
            [(LINE_X / WIDTH, 1.0), (LINE_X / WIDTH, 0.0)],
            name_in="to the right",
            name_out="to the left",
        )
    },
    zones={
        "square": Zone(
            [
                (ZONE[0] / WIDTH, ZONE[1] / HEIGHT),
                (ZONE[2] / WIDTH, ZONE[1] / HEIGHT),
                (ZONE[2] / WIDTH, ZONE[3] / HEIGHT),
                (ZONE[0] / WIDTH, ZONE[3] / HEIGHT),
            ],
        )
    },
)

Detection = tuple[
    int, int, float, float, float, float
]  # frame from 0, id, left, top, width, height in pixels from 0


@dataclass
class Walk:
    """One person: begins at `start_s` and passes these x one after the other (pixels) at `speed`
    px/s, waiting `waits` seconds at each."""

    start_s: float
    xs: list[float]
    waits: list[float]
    y: float
    speed: float
    ids: list[int]
    hidden_s: list[tuple[float, float]] = field(default_factory=list)

    def moments(self, fps: float) -> Iterator[tuple[int, float]]:
        """(frame, x of the feet) while this person is there."""
        time_s, x = self.start_s, self.xs[0]
        begun = [(time_s, x)]
        for target, wait in zip(self.xs[1:], self.waits[1:], strict=True):
            time_s += abs(target - x) / self.speed
            begun.append((time_s, target))
            if wait:
                time_s += wait
                begun.append((time_s, target))
            x = target
        frame = -(-self.start_s * fps // 1)
        while frame / fps <= begun[-1][0]:
            now = frame / fps
            index = next(i for i in range(len(begun) - 1) if now <= begun[i + 1][0])
            (t0, x0), (t1, x1) = begun[index], begun[index + 1]
            yield int(frame), x0 + (x1 - x0) * ((now - t0) / (t1 - t0) if t1 > t0 else 1.0)
            frame += 1


@dataclass
class Crowd:
    """All of them, and what is true of them."""

    fps: float
    walks: list[Walk]
    to_right: int
    to_left: int
    entries: int
    frames: int = 0

    def detections(self, seed: int) -> list[Detection]:
        """What the detector says, in order of frames."""
        dice = random.Random(seed)
        found: list[Detection] = []
        for walk in self.walks:
            for frame, x in walk.moments(self.fps):
                now = frame / self.fps
                self.frames = max(self.frames, frame + 1)
                if dice.random() < MISSED or any(a <= now < b for a, b in walk.hidden_s):
                    continue
                width, height = 32 + dice.gauss(0, JITTER_PX / 3), 90 + dice.gauss(0, JITTER_PX / 3)
                left, bottom = (
                    x - width / 2 + dice.gauss(0, JITTER_PX),
                    walk.y + dice.gauss(0, JITTER_PX),
                )
                found.append((frame, self._id(walk, x), left, bottom - height, width, height))
        return sorted(found)

    def _id(self, walk: Walk, x: float) -> int:
        return walk.ids[0] if len(walk.ids) == 1 or x < 200 else walk.ids[1]


def crowd(seed: int, fps: float, people: int = 40) -> Crowd:
    """A crowd of `people`: through, back, hesitating, waiting at the line, turning on it, standing
    in the square."""
    dice = random.Random(seed)
    walks: list[Walk] = []
    to_right = to_left = entries = 0
    for number in range(people):
        y, speed, start = dice.uniform(160, 450), dice.uniform(35, 110), dice.uniform(0, 60)
        ids = [100 + 2 * number] if number % 4 else [100 + 2 * number, 101 + 2 * number]
        kind = number % 6
        if kind == 0:  # from left to right, through the square
            xs, waits = [30.0, 610.0], [0.0, 0.0]
            to_right, entries = to_right + 1, entries + 1
        elif kind == 1:  # from right to left
            xs, waits = [610.0, 30.0], [0.0, 0.0]
            to_left, entries = to_left + 1, entries + 1
        elif kind == 2:  # comes close to the line, hesitates, goes back
            xs, waits = [30.0, LINE_X - 5.0, 30.0], [0.0, dice.uniform(3, 15), 0.0]
        elif kind == 3:  # waits close to the line, then goes over it
            xs, waits = [30.0, LINE_X - 4.0, 380.0, 390.0], [0.0, dice.uniform(5, 20), 0.0, 0.0]
            to_right += 1
        elif kind == 4:  # over the line, waits just behind it, and back
            xs, waits = [100.0, LINE_X + 25.0, 100.0], [0.0, dice.uniform(2, 10), 0.0]
            to_right, to_left = to_right + 1, to_left + 1
        else:  # into the square, stands there, and out again the way it came
            xs, waits = [380.0, dice.uniform(450, 530), 380.0], [0.0, dice.uniform(5, 20), 0.0]
            entries += 1
        if kind in (2, 3, 4, 5):
            ids = ids[:1]
        walk = Walk(start, xs, waits, y, speed, ids)
        if number % 3 == 0:
            # Behind something for a moment, wherever that is, the line included.
            length = walk_s(walk)
            begin = start + dice.uniform(0.2, 0.7) * length
            walk.hidden_s.append((begin, begin + dice.uniform(0.3, 1.2)))
        walks.append(walk)
    return Crowd(fps, walks, to_right, to_left, entries)


def walk_s(walk: Walk) -> float:
    """How long a walk takes."""
    return sum(abs(b - a) for a, b in zip(walk.xs, walk.xs[1:], strict=False)) / walk.speed + sum(
        walk.waits
    )


def naive_counts(detections: list[Detection]) -> tuple[int, int]:
    """(to the right, to the left) of a counter that looks at each track's last two frames, as many
    do."""
    side: dict[int, bool] = {}
    right = left = 0
    for _, key, x, _, width, _ in detections:
        here = x + width / 2 >= LINE_X
        if key in side and side[key] != here:
            right, left = right + here, left + (not here)
        side[key] = here
    return right, left


def mot_text(detections: list[Detection], frames: int, fps: float) -> str:
    """The detections as MOT Challenge results: frames and pixels from 1, ten columns. A last frame
    after a pause ends every track."""
    rows = [
        f"{frame + 1},{key},{left + 1:.2f},{top + 1:.2f},{width:.2f},{height:.2f},0.90,-1,-1,-1"
        for frame, key, left, top, width, height in detections
    ]
    far = frames + round(QUIET_S * fps)
    rows.append(f"{far},-1,10.00,10.00,5.00,5.00,0.90,-1,-1,-1")
    return "\n".join(rows) + "\n"
