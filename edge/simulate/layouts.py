"""The places of the simulated site: scenes (zones, lines) and the lanes on which things move
through them.

Points are where feet or wheels touch the ground, in picture coordinates. Lanes pass zones well
inside and lines well off the ends, so what should be counted is beyond dispute; only detectors are
imperfect.
"""

from dataclasses import dataclass

from actors.core.scene.scene import Line, Scene, Zone

Point = tuple[float, float]

PEOPLE = (("person", 0.93), ("bicycle", 0.04), ("dog", 0.03))
VEHICLES = (("car", 0.78), ("truck", 0.12), ("bus", 0.06), ("motorcycle", 0.04))
VEHICLE_LABELS = [name for name, _ in VEHICLES]
PEOPLE_LABELS = [name for name, _ in PEOPLE]


@dataclass(frozen=True)
class Stop:
    """A place to halt: at `at` (0..1 of the way) with `chance`, for `seconds` (shortest,
    longest)."""

    at: float
    chance: float
    seconds: tuple[float, float]


@dataclass(frozen=True)
class Lane:
    """A way through the picture. `speed` in picture widths a second (slowest, fastest), `every_s`
    the mean time between two arrivals."""

    points: tuple[Point, ...]
    labels: tuple[tuple[str, float], ...]
    speed: tuple[float, float]
    every_s: float
    spread: float = 0.03  # how far to the side of the lane things keep, picture widths
    stops: tuple[Stop, ...] = ()
    turn_back: float = 0.0  # chance to go back the same way after the last stop
    pairs: float = 0.0  # chance to come side by side with another


@dataclass(frozen=True)
class Layout:
    """One kind of place."""

    name: str
    scene: Scene
    lanes: tuple[Lane, ...]
    near: float  # height of a person whose feet are at the bottom of the picture, picture heights
    far: float  # the same at the top


_ENTRANCE = Layout(
    "entrance",
    Scene(
        zones={
            "lobby": Zone(
                [(0.22, 0.33), (0.78, 0.33), (0.82, 0.52), (0.18, 0.52)], labels=PEOPLE_LABELS
            )
        },
        lines={
            "door": Line(
                [(0.85, 0.62), (0.15, 0.62)],
                labels=PEOPLE_LABELS,
                name_in="entering",
                name_out="leaving",
            )
        },
    ),
    (
        Lane(
            ((0.40, 1.12), (0.42, 0.70), (0.46, 0.43), (0.47, 0.27)),
            PEOPLE,
            (0.05, 0.09),
            7.0,
            0.04,
            (Stop(0.53, 0.15, (1.0, 3.0)), Stop(0.80, 0.2, (2.0, 14.0))),
            0.1,
            0.25,
        ),
        Lane(
            ((0.53, 0.27), (0.55, 0.43), (0.60, 0.70), (0.62, 1.12)),
            PEOPLE,
            (0.05, 0.09),
            9.0,
            0.04,
            (Stop(0.42, 0.15, (1.0, 4.0)),),
        ),
    ),
    0.34,
    0.12,
)

_STREET = Layout(
    "street",
    Scene(
        zones={
            "junction": Zone(
                [(0.56, 0.44), (0.82, 0.44), (0.84, 0.70), (0.54, 0.70)], labels=VEHICLE_LABELS
            ),
            "pavement": Zone(
                [(0.60, 0.78), (0.90, 0.78), (0.90, 0.97), (0.60, 0.97)],
                labels=PEOPLE_LABELS,
                loitering_s=10.0,
            ),
        },
        lines={
            "road": Line(
                [(0.45, 0.74), (0.45, 0.40)],
                labels=VEHICLE_LABELS,
                name_in="eastbound",
                name_out="westbound",
            ),
            "footpath": Line(
                [(0.40, 0.99), (0.40, 0.77)],
                labels=PEOPLE_LABELS,
                name_in="eastbound",
                name_out="westbound",
            ),
        },
    ),
    (
        Lane(
            ((-0.15, 0.63), (1.15, 0.63)),
            VEHICLES,
            (0.10, 0.20),
            6.0,
            0.012,
            (Stop(0.46, 0.3, (2.0, 7.0)),),
        ),
        Lane(
            ((1.15, 0.53), (-0.15, 0.53)),
            VEHICLES,
            (0.10, 0.20),
            7.0,
            0.012,
            (Stop(0.55, 0.2, (2.0, 5.0)),),
        ),
        Lane(
            ((-0.08, 0.86), (1.08, 0.88)),
            PEOPLE,
            (0.04, 0.07),
            12.0,
            0.02,
            (Stop(0.72, 0.25, (5.0, 18.0)),),
            0.0,
            0.2,
        ),
        Lane(
            ((1.08, 0.91), (-0.08, 0.90)),
            PEOPLE,
            (0.04, 0.07),
            14.0,
            0.02,
            (Stop(0.25, 0.2, (3.0, 9.0)),),
            0.0,
            0.2,
        ),
    ),
    0.26,
    0.10,
)

_PLAZA = Layout(
    "plaza",
    Scene(
        zones={
            "square": Zone(
                [
                    (0.33, 0.62),
                    (0.42, 0.46),
                    (0.60, 0.46),
                    (0.69, 0.62),
                    (0.60, 0.80),
                    (0.42, 0.80),
                ],
                labels=PEOPLE_LABELS,
            )
        },
        lines={
            "west": Line(
                [(0.24, 0.98), (0.22, 0.65), (0.24, 0.30)],
                labels=PEOPLE_LABELS,
                name_in="arriving",
                name_out="leaving",
            ),
            "east": Line(
                [(0.78, 0.30), (0.80, 0.65), (0.78, 0.98)],
                labels=PEOPLE_LABELS,
                name_in="arriving",
                name_out="leaving",
            ),
        },
    ),
    (
        Lane(
            ((-0.06, 0.55), (0.50, 0.62), (1.06, 0.66)),
            PEOPLE,
            (0.05, 0.08),
            9.0,
            0.03,
            (Stop(0.5, 0.3, (3.0, 12.0)),),
            0.15,
            0.3,
        ),
        Lane(
            ((1.06, 0.58), (0.50, 0.63), (-0.06, 0.70)),
            PEOPLE,
            (0.05, 0.08),
            10.0,
            0.03,
            (Stop(0.48, 0.3, (3.0, 12.0)),),
            0.15,
            0.3,
        ),
        Lane(
            ((0.50, 1.25), (0.51, 0.63), (1.06, 0.60)),
            PEOPLE,
            (0.05, 0.08),
            13.0,
            0.03,
            (Stop(0.5, 0.2, (2.0, 8.0)),),
        ),
    ),
    0.28,
    0.11,
)

LAYOUTS = (_ENTRANCE, _STREET, _PLAZA)


def layout(index: int) -> Layout:
    """The place of the camera with this index."""
    return LAYOUTS[index % len(LAYOUTS)]
