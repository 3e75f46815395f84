"""Every kind of bad object by every entrance: it costs itself at most, fares the same everywhere,
and is counted by reason.

The table says of each kind what is shown and what is told; the neighbour in its frame is always
shown. Formats of files take the kinds that they can say.
"""

import json
from collections import Counter
from dataclasses import dataclass
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import pytest

from actors.core.messages.object_faults import LEFT_OUT, MENDED
from actors.metrics import collect
from tests.support.hub.entrances import WIRES, Frame, Gate, by_replay, open_gate, told_by

TIME = "2026-03-01T12:00:00+00:00"
NEIGHBOUR: Frame = {"label": "person", "box": [0.1, 0.1, 0.2, 0.3], "id": "1", "score": 0.9}
CAR: Frame = {"label": "car", "box": [0.4, 0.4, 0.6, 0.8], "id": "7", "score": 0.8}
WITHIN = [0.4, 0.4, 0.6, 0.8]
LOST = "9" * 65  # longer than an id may be
SIZE = 1000  # pixels of the pictures of files, each way


@dataclass(frozen=True)
class Kind:
    """`bad` stands beside the neighbour in one frame. `shown`: (has a track, box) of what is shown
    of it; `told`: counts by reason."""

    bad: list[Any]
    shown: list[tuple[bool, list[float]]]
    told: dict[str, int]


def car(**fields: Any) -> Frame:
    return {**CAR, **fields}


def without(field: str) -> Frame:
    return {name: value for name, value in CAR.items() if name != field}


def left_out(reason: str, *bad: Any) -> Kind:
    return Kind(list(bad), [], {reason: len(bad)})


def shown(*bad: Any, track: bool, told: str | None = None, box: list[float] = WITHIN) -> Kind:
    return Kind(list(bad), [(track, box)] * len(bad), {told: len(bad)} if told else {})


KINDS: dict[str, Kind] = {
    "a good one": shown(car(), track=True),
    "a box over the left edge": shown(
        car(box=[-0.06, 0.4, 0.1, 0.8]), track=True, told="clipped", box=[0, 0.4, 0.1, 0.8]
    ),
    "a box over all edges": shown(
        car(box=[-0.5, -0.5, 1.5, 1.5]), track=True, told="clipped", box=[0, 0, 1, 1]
    ),
    "a box mostly outside": shown(
        car(box=[-3, 0.4, 0.5, 0.8]), track=True, told="clipped", box=[0, 0.4, 0.5, 0.8]
    ),
    "a box over the edge, no track": shown(
        car(box=[0.4, 0.4, 0.6, 1.2], id=None), track=False, told="clipped", box=[0.4, 0.4, 0.6, 1]
    ),
    "a box outside": left_out("box_outside", car(box=[1.2, 0.4, 1.4, 0.8])),
    "a box that touches the edge from outside": left_out(
        "box_outside", car(box=[1.0, 0.4, 1.2, 0.8])
    ),
    "a box in pixels": left_out("box_outside", car(box=[0, 0, 640, 480])),
    "a box of 10^300 pictures": left_out("box_outside", car(box=[-1e300, 0.4, 0.5, 0.8])),
    "a box without height": left_out("box_without_area", car(box=[0.4, 0.8, 0.6, 0.8])),
    "a box without width": left_out("box_without_area", car(box=[0.4, 0.4, 0.4, 0.8])),
    "a box backwards": left_out("box_without_area", car(box=[0.6, 0.4, 0.4, 0.8])),
    "a box with NaN": left_out("box_not_finite", car(box=[nan, 0.4, 0.6, 0.8])),
    "a box without end": left_out("box_not_finite", car(box=[0.4, 0.4, inf, 0.8])),
    "a box with null": left_out("box_not_finite", car(box=[0.4, None, 0.6, 0.8])),
    "a box of three": left_out("malformed", car(box=[0.4, 0.4, 0.6])),
    "a box of texts": left_out("malformed", car(box=["0.4", "0.4", "0.6", "0.8"])),
    "no box": left_out("malformed", without("box")),
    "no object": left_out("malformed", 7, None, "car", [], True),
    "no label": left_out("malformed", without("label")),
    "an empty label": left_out("malformed", car(label="")),
    "a label with line breaks": left_out("malformed", car(label="a\r\nb")),
    "a label of 10 KB": left_out("malformed", car(label="x" * 10_000)),
    "the id of the neighbour": shown(car(id="1"), track=False, told="repeated_id"),
    "ids -1": shown(car(id="-1"), car(id="-1"), track=False),
    "ids -1 as numbers": shown(car(id=-1), car(id=-1), track=False),
    "ids 2^64-1": shown(
        car(id="18446744073709551615"), car(id="18446744073709551615"), track=False
    ),
    "ids 2^64-1 as numbers": shown(car(id=2**64 - 1), car(id=2**64 - 1), track=False),
    "ids 2^64-1 as JavaScript writes them": shown(
        car(id=1.8446744073709552e19), car(id="1.8446744073709552e+19"), track=False
    ),
    "empty ids": shown(car(id=""), car(id=" "), track=False),
    "no ids": shown(car(id=None), without("id"), track=False),
    "an id that is a number": shown(car(id=7), track=True),
    "an id that is too long": shown(car(id=LOST), car(id=LOST), track=False, told="bad_id"),
    "ids that are no texts": shown(
        car(id=[7]), car(id={"a": 7}), car(id=True), track=False, told="bad_id"
    ),
    "a score above 1": shown(car(score=87), track=True, told="bad_score"),
    "a score that is NaN": shown(car(score=nan), track=True, told="bad_score"),
    "a score that is none": shown(car(score="high"), track=True, told="bad_score"),
    "attributes that are a list": shown(car(attributes=[1]), track=True, told="bad_attributes"),
    "an attribute that is a list": shown(
        car(attributes={"a": [1], "b": 2}), track=True, told="bad_attributes"
    ),
    "33 attributes": shown(
        car(attributes={f"a{n}": n for n in range(33)}), track=True, told="bad_attributes"
    ),
    "an empty sub-label": shown(car(sub_label=""), track=True, told="bad_attributes"),
    "an unknown field": shown(car(track="9"), track=True, told="unknown_field"),
    "513 objects": Kind(
        [car(id=str(n)) for n in range(100, 612)], [(True, WITHIN)] * 511, {"too_many": 1}
    ),
    "two faults": Kind(
        [car(box=[-0.1, 0.4, 0.6, 0.8], id=LOST, score=2), 7],
        [(False, [0, 0.4, 0.6, 0.8])],
        {"clipped": 1, "bad_id": 1, "bad_score": 1, "malformed": 1},
    ),
}
CAMERAS = {f"k{number}": name for number, name in enumerate(KINDS)}


async def check(gate: Gate, camera: str, account: Any, entrance: str) -> None:
    """State, health and account of one kind."""
    kind, where = KINDS[CAMERAS[camera]], (entrance, CAMERAS[camera])
    state = await gate.state(camera, 1)
    tracks = sorted(
        ((not t["id"].startswith("~"), t["box"]) for t in state["tracks"] if t["id"] != "1"),
        key=str,
    )
    assert len(gate.events(camera, "camera.online")) == 1, where
    assert [t["box"] for t in state["tracks"] if t["id"] == "1"] == [
        pytest.approx(NEIGHBOUR["box"], abs=1e-4)
    ], where
    assert [track for track, _box in tracks] == [track for track, _box in kind.shown], where
    assert [box for _track, box in tracks] == [
        pytest.approx(box, abs=1e-4) for _track, box in kind.shown
    ], where
    assert state["health"]["left_out"] == {r: n for r, n in kind.told.items() if r in LEFT_OUT}, (
        where
    )
    assert state["health"]["mended"] == {r: n for r, n in kind.told.items() if r in MENDED}, where
    if account is not None:
        assert account == kind.told, where


def metric(gate: Gate) -> dict[str, float]:
    (family,) = [
        family for family in collect(gate.actor.actor) if family.name == "eyrie_actor_object_faults"
    ]
    return {sample.labels["reason"]: sample.value for sample in family.samples if sample.value}


@pytest.mark.parametrize("entrance", WIRES)
async def test_a_bad_object_costs_itself_at_most_and_is_counted(
    tmp_path: Path, entrance: str
) -> None:
    async with open_gate(tmp_path, list(CAMERAS), {"min_hits": 1}) as gate:
        frames = {
            camera: [{"time": TIME, "objects": [NEIGHBOUR, *KINDS[name].bad]}]
            for camera, name in CAMERAS.items()
        }
        accounts = await WIRES[entrance](gate, frames)
        for camera in CAMERAS:
            await check(gate, camera, accounts.get(camera), entrance)
        told = sum((Counter(kind.told) for kind in KINDS.values()), Counter[str]())
        assert metric(gate) == told


# Files. Each writer gives the text of a frame in pixels, or None for what its format cannot say.


def plain(thing: Any) -> bool:
    """Whether it has what every format can say: a label, a box of four finite or undefined numbers,
    an id and a score."""
    if (
        not isinstance(thing, dict)
        or not isinstance(thing.get("label"), str)
        or len(thing) != 4
        or "id" not in thing
    ):
        return False
    sides = thing.get("box")
    numbers = (
        isinstance(sides, list)
        and len(sides) == 4
        and all(isinstance(side, int | float) for side in sides)
    )
    return (
        numbers
        and all(abs(side) < 1e9 or not isfinite(side) for side in sides or [])
        and isinstance(thing["score"], int | float)
    )


def pixels(thing: Frame) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (side * SIZE for side in thing["box"])
    return x1, y1, x2, y2


def mot(things: list[Frame]) -> str | None:
    ids = [str(thing["id"]).strip() for thing in things]
    if not all(
        text.removeprefix("-").replace("e+19", "").replace(".", "").isdigit() and len(text) < 65
        for text in ids
    ):
        return None
    if any(thing["label"] not in ("car", "person") or thing["score"] > 1 for thing in things):
        return None
    rows = [
        (f"1,{track}", *pixels(thing), thing["score"])
        for track, thing in zip(ids, things, strict=True)
    ]
    return "".join(
        f"{head},{x1 + 1},{y1 + 1},{x2 - x1},{y2 - y1},{score},-1,-1,-1\n"
        for head, x1, y1, x2, y2, score in rows
    )


def minimal(things: list[Frame]) -> str | None:
    texts = [
        "|".join(map(str, (t["id"], *pixels(t), t["label"], "#", "", t["score"])))
        for t in things
        if isinstance(t["id"], str | int)
    ]
    return (
        json.dumps(
            {
                "version": "4.0",
                "id": "1",
                "@timestamp": TIME,
                "sensorId": "@camera@",
                "objects": texts,
            }
        )
        if len(texts) == len(things)
        else None
    )


def full(things: list[Frame]) -> str | None:
    if any(not t["label"] or len(t["label"]) > 64 or not t["label"].isprintable() for t in things):
        return None  # a message that is no object is a message refused
    sides = ("topleftx", "toplefty", "bottomrightx", "bottomrighty")
    found = (
        {
            "id": t["id"],
            "bbox": dict(zip(sides, pixels(t), strict=True)),
            t["label"]: {"type": "x", "confidence": t["score"]},
        }
        for t in things
    )
    return "".join(
        json.dumps({"@timestamp": TIME, "sensor": {"id": "@camera@"}, "object": thing}) + "\n"
        for thing in found
    )


def opendatacam(things: list[Frame]) -> str | None:
    if not all(map(isfinite, [side for t in things for side in t["box"]])):
        return None  # a centre of it is no side
    boxes = [(t, *pixels(t)) for t in things]
    found = [
        {
            "id": t["id"],
            "x": (x1 + x2) / 2,
            "y": (y1 + y2) / 2,
            "w": x2 - x1,
            "h": y2 - y1,
            "confidence": t["score"] * 100,
            "name": t["label"],
        }
        for t, x1, y1, x2, y2 in boxes
    ]
    return json.dumps({"frameId": 1, "timestamp": TIME, "objects": found})


def coco(things: list[Frame]) -> str | None:
    if any(t["label"] not in ("car", "person") for t in things):
        return None
    boxes = [(t, *pixels(t)) for t in things]
    return json.dumps(
        [
            {
                "image_id": 0,
                "category_id": 1 if t["label"] == "person" else 3,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": t["score"],
            }
            | {"track_id": t["id"]}
            for t, x1, y1, x2, y2 in boxes
        ]
    )


FILES = {
    "mot": (mot, 21),
    "minimal": (minimal, 26),
    "full": (full, 26),
    "opendatacam": (opendatacam, 27),
    "coco": (coco, 26),
}  # kinds told


@pytest.mark.parametrize("form", FILES)
async def test_files_fare_as_wires_do(tmp_path: Path, form: str) -> None:
    write, kinds = FILES[form]
    texts = {}
    for camera, name in CAMERAS.items():
        things = [NEIGHBOUR, *KINDS[name].bad]
        text = write(things) if all(map(plain, things)) else None
        if text is not None:
            texts[camera] = text
    assert len(texts) == kinds, [CAMERAS[camera] for camera in texts]
    async with open_gate(tmp_path, list(CAMERAS), {"min_hits": 1}) as gate:
        name = {"minimal": "deepstream", "full": "deepstream"}.get(form, form)
        named = {camera: text.replace("@camera@", camera) for camera, text in texts.items()}
        accounts = await by_replay(gate, name, named, frame_size=(SIZE, SIZE))
        for camera, account in accounts.items():
            assert account.adds_up, (form, CAMERAS[camera], account)
            await check(gate, camera, told_by(account), form)
