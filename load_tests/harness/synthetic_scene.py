"""Scenes and made-up walkers for the benches: objects that walk about with 3 px of jitter (at
1920), ten frames a second."""

import random
from datetime import UTC, datetime, timedelta

import msgspec

from actors.core.messages.observations import Object, Observation
from actors.core.scene.alert_rules import AlertRule, Condition, Occupancy
from actors.core.scene.scene import Line, Scene, Zone

JITTER = 3 / 1920
_START = datetime(2026, 3, 1, tzinfo=UTC)


def scene_of(zones: int, lines: int) -> Scene:
    """A scene of overlapping five-cornered zones and upright lines."""
    found = {}
    for index in range(zones):
        x, y = 0.04 + 0.1 * (index % 8), 0.3 + 0.1 * (index % 3)
        found[f"zone-{index}"] = Zone(
            [(x, y), (x + 0.2, y), (x + 0.25, y + 0.15), (x + 0.2, y + 0.3), (x, y + 0.3)],
            loitering_s=30,
        )
    across = {
        f"line-{index}": Line([(0.5, 0.15 + 0.2 * index), (0.5, 0.35 + 0.2 * index)])
        for index in range(lines)
    }
    return Scene(zones=found, lines=across)


def alert_rules(scene: Scene) -> dict[str, AlertRule]:
    """Ten rules over the zones and lines of `scene`, of every kind that there is."""
    zones, lines = list(scene.zones), list(scene.lines)
    crowds = {
        f"crowd-{index}": AlertRule(
            [Condition(occupancy=[Occupancy(zones[index % len(zones)], over=1 + index, for_s=2.0)])]
        )
        for index in range(4)
    }
    moments = {
        "in": Condition(events=["zone.entered"], zones=zones[:1], labels=["person"]),
        "over": Condition(events=["line.crossed"], lines=lines),
        "loiters": Condition(events=["loitering.started"]),
        "alarm": Condition(events=["alarm.*"]),
        "away": Condition(events=["camera.offline"]),
        "severe": Condition(events=["stream.gap", "track.started"], at_least="warning"),
    }
    return crowds | {name: AlertRule([one]) for name, one in moments.items()}


def walk(seed: int, objects: int, frames: int) -> list[bytes]:
    """`frames` observations in MessagePack. Walkers move 0.1 to 0.6 % of the picture per frame and
    turn back at its sides; both corners and the scores jitter."""
    dice = random.Random(seed)
    walkers = [
        [
            dice.uniform(0.1, 0.9),
            dice.uniform(0.3, 0.9),
            dice.choice((-1, 1)) * dice.uniform(0.001, 0.006),
        ]
        for _ in range(objects)
    ]
    found = []
    for number in range(frames):
        seen = []
        for index, walker in enumerate(walkers):
            walker[0] += walker[2]
            if not 0.05 < walker[0] < 0.95:
                walker[2] = -walker[2]
            x, y = walker[0] + dice.gauss(0, JITTER), walker[1] + dice.gauss(0, JITTER)
            seen.append(
                Object(
                    "person",
                    (x - 0.02, y - 0.15, x + 0.02, y),
                    round(dice.uniform(0.6, 0.99), 3),
                    f"t{index}",
                )
            )
        found.append(
            msgspec.msgpack.encode(Observation(_START + timedelta(milliseconds=100 * number), seen))
        )
    return found
