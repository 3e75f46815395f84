"""Lines under jitter: what counts is what the true path does, and whoever stands on a line does
nothing."""

import random
from collections.abc import Callable, Iterator
from itertools import pairwise

import msgspec
import pytest

from actors.core.camera import snapshot
from actors.core.scene.scene import Line, Scene
from tests.support.load.cores import Shell, frame, person

GATE = Line([(0.5, 1.0), (0.5, 0.0)])  # walking up: to the picture's right is `in`
FPS = 25
KINDS: dict[str, tuple[str, float]] = {
    "sigma 0.5 %": ("gauss", 0.005),
    "sigma 1 %": ("gauss", 0.01),
    "within 1 %": ("uniform", 0.01),
    "within 2 %": ("uniform", 0.02),
}
SEEDS = range(2)
FAR = 0.15  # from here on nobody doubts on which side somebody is


def jitter(kind: str, dice: random.Random) -> Callable[[], float]:
    spread, size = KINDS[kind]
    return (
        (lambda: dice.gauss(0.0, size))
        if spread == "gauss"
        else (lambda: dice.uniform(-size, size))
    )


def counted(people: list[list[tuple[str, float] | None]]) -> Shell:
    """The camera that saw these people: per frame (id, x) of each, None where it was missed."""
    shell = Shell(Scene(lines={"gate": GATE}), mailbox_items=100_000)
    shell.hello()
    frames = []
    for index in range(max(map(len, people))):
        seen = [
            person(at[0], at[1], 0.5, size=0.06)
            for path in people
            if index < len(path) and (at := path[index]) is not None
        ]
        frames.append(frame(index / FPS, *seen))
    shell.walk(frames, batch=250)
    return shell


def flow(shell: Shell) -> tuple[int, int]:
    count = shell.core.picture.counts["gate"]
    return count.ins, count.outs


def way(*legs: tuple[float, float, int]) -> Iterator[float]:
    """The true x: legs of (x to go to, speed per frame, frames to stay)."""
    x = legs[0][0]
    for target, speed, stay in legs:
        steps = int(abs(target - x) / speed)
        yield from (x + (target - x) * i / steps for i in range(steps))
        x = target
        yield from [x] * stay


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seconds", [12, 60])
def test_who_stands_on_a_line_and_goes_back_counts_nothing(kind: str, seconds: int) -> None:
    people: list[list[tuple[str, float] | None]] = []
    for number in range(60 if seconds < 60 else 8):
        dice = random.Random(number)
        error, home = jitter(kind, dice), dice.choice((0.2, 0.8))
        legs = [
            (home, 0.01, 5),
            (0.5 + dice.uniform(-0.002, 0.002), 0.01, seconds * FPS),
            (home, 0.01, 5),
        ]
        people.append([(f"p{number}", x + error()) for x in way(*legs)])
    assert flow(counted(people)) == (0, 0)


def test_a_new_id_for_somebody_on_the_line_counts_nothing() -> None:
    """The tracker loses and finds a person who stands on the line: where each id was first seen
    says nothing about where it came from."""
    people: list[list[tuple[str, float] | None]] = []
    for number in range(40):
        dice = random.Random(number)
        error = jitter("within 1 %", dice)
        path = list(way((0.2, 0.01, 5), (0.5, 0.01, 300), (0.2, 0.01, 5)))
        people.append([(f"p{number}-{index > 180}", x + error()) for index, x in enumerate(path)])
    assert flow(counted(people)) == (0, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_counts_are_those_of_the_true_path(kind: str, seed: int) -> None:
    """Random walks between places far to either side and on the line: drift, jitter, misses, new
    ids where nobody doubts the side."""
    dice = random.Random(f"{kind} {seed}")
    error = jitter(kind, dice)
    people: list[list[tuple[str, float] | None]] = []
    ins = outs = 0
    for number in range(30):
        legs: list[tuple[float, float, int]] = []
        for _ in range(dice.randint(2, 6)):
            if legs and dice.random() < 0.4:
                legs.append(
                    (
                        0.5 + dice.uniform(-0.002, 0.002),
                        dice.uniform(0.002, 0.03),
                        dice.randint(0, 200),
                    )
                )
            far = 0.5 + dice.choice((-1, 1)) * dice.uniform(FAR, 0.4)
            legs.append((far, dice.uniform(0.002, 0.03), dice.randint(5, 60)))
        sides = [x > 0.5 for x, _, _ in legs if abs(x - 0.5) >= FAR]
        ins += sum(not a and b for a, b in pairwise(sides))
        outs += sum(a and not b for a, b in pairwise(sides))
        path: list[tuple[str, float] | None] = []
        drift, name = 0.0, 0
        for x in way(*legs):
            drift = min(max(drift + dice.gauss(0.0, 0.0005), -0.003), 0.003)
            if abs(x - 0.5) >= FAR and dice.random() < 0.01:
                name += 1
            path.append(
                (f"p{number}-{name}", x + drift + error()) if dice.random() > 0.08 else None
            )
        people.append(path)
    assert flow(counted(people)) == (ins, outs), f"{kind}, seed {seed}"


def test_after_a_touch_the_travel_starts_anew() -> None:
    """Before, what was travelled on the way to the line counted too: 0.8 % beyond it were enough
    for who came from afar."""
    shy = list(way((0.3, 0.01, 0), (0.508, 0.01, 50), (0.3, 0.01, 5)))
    assert flow(counted([[("a", x) for x in shy]])) == (0, 0)
    bold = list(way((0.3, 0.01, 0), (0.52, 0.01, 50), (0.3, 0.01, 5)))
    assert flow(counted([[("a", x) for x in bold]])) == (1, 1)


def test_an_outlier_does_not_hide_the_next_crossing() -> None:
    path = list(way((0.3, 0.01, 10), (0.8, 0.01, 5)))
    path[4] = 0.9
    assert flow(counted([[("a", x) for x in path]])) == (1, 0)


def test_a_snapshot_of_an_older_release_goes_on_counting() -> None:
    """Crossings had four values: signed crossings, frames, travel before and distance."""
    shell = counted([[("a", x) for x in way((0.3, 0.01, 0), (0.505, 0.01, 1))]])
    assert shell.row.snapshot is not None
    found = msgspec.msgpack.decode(shell.row.snapshot)
    crossings = snapshot.TrackRow.__struct_fields__.index("crossings")
    found["tracks"][0][crossings] = {
        key: crossing[:4] for key, crossing in found["tracks"][0][crossings].items()
    }
    assert found["tracks"][0][crossings]
    shell.row.snapshot = msgspec.msgpack.encode(found)
    shell.now = 2.0
    shell.restart()
    seq = shell.core.order.seq
    shell.hello()
    shell.walk(
        [frame(2 + i / FPS, person("a", 0.51 + i * 0.01, 0.5, size=0.06)) for i in range(8)],
        first_seq=seq + 1,
    )
    assert flow(shell) == (1, 0)
