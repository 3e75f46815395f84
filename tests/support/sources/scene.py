"""One scene, written as each origin writes it: two people walk through a picture with a zone and a
line in it, one of them twice."""

from collections.abc import Callable
from xml.sax.saxutils import quoteattr

import msgspec

from actors.core.messages.observations import Observation
from actors.core.scene.scene import Line, Scene, Zone
from actors.core.times import rfc3339
from edge.adapters.ndjson import read
from edge.adapters.readings import AdapterOptions, ReadMessage
from edge.sources.axis import AxisFrames
from edge.sources.deepstream import DeepStreamFrames
from edge.sources.frames import FrameFormat, FrameMapping
from edge.sources.frigate.mapping import FrigateMapping, FrigateOptions
from edge.sources.frigate.messages import read_config
from edge.sources.mapping_file import JsonFrames, read_mapping
from edge.sources.onvif.metadata import OnvifMetadata
from edge.sources.receipts import Given, Mapping, Memory, Receipt
from tests.support.servers.frigate import HEIGHT, WIDTH, config, event

START_US = 1_790_000_000_000_000
STEP_US = 200_000
FRAMES = 130
CAMERA = "yard"
SIDES = ("topleftx", "toplefty", "bottomrightx", "bottomrighty")
SCENE = Scene(
    zones={
        "middle": Zone(
            points=[(0.4, 0.4), (0.6, 0.4), (0.6, 0.9), (0.4, 0.9)], enter_frames=1, exit_frames=1
        )
    },
    lines={"gate": Line(points=[(0.3, 0.0), (0.3, 1.0)], frames=1)},
    min_hits=1,
)

Seen = dict[str, tuple[float, float]]  # id → feet


def frames() -> list[tuple[int, Seen]]:
    """(time, who is where), the last ones empty. Positions are whole pixels of 1280x720."""
    made = []
    for index in range(FRAMES):
        seen: Seen = {}
        if index < 80:
            seen["7"] = (_pixel(0.1 + 0.01 * index, WIDTH), _pixel(0.7, HEIGHT))
        if 10 <= index < 70:
            seen["8"] = (_pixel(0.9 - 0.012 * (index - 10), WIDTH), _pixel(0.6, HEIGHT))
        made.append((START_US + index * STEP_US, seen))
    return made


def box(feet: tuple[float, float]) -> tuple[float, float, float, float]:
    """Whole pixels again, 0..1."""
    x, y = feet
    half, tall = 64 / WIDTH, 216 / HEIGHT
    return x - half, y - tall, x + half, y


def _pixel(part: float, size: int) -> float:
    return round(part * size) / size


def ndjson() -> list[Observation]:
    """In our own form."""
    lines = [
        msgspec.json.encode(
            {
                "camera": CAMERA,
                "time": rfc3339(at),
                "objects": [
                    {"label": "person", "id": key, "box": box(feet)} for key, feet in seen.items()
                ],
            }
        )
        for at, seen in frames()
    ]
    found = list(read(iter(lines), AdapterOptions()))
    return [one.observation for one in found if isinstance(one, ReadMessage)]


def frigate() -> list[Observation]:
    """As updates of objects; each ends where it was seen last."""
    mapping = FrigateMapping(FrigateOptions(), Memory())
    mapping.configured(read_config(msgspec.json.encode(config(CAMERA))))
    receipts = []
    before: Seen = {}
    for at, seen in frames():
        for key, (x, y) in seen.items():
            kind = "update" if key in before else "new"
            receipts.append(_frigate(kind, key, at, x, y))
        for key in before.keys() - seen.keys():
            receipts.append(_frigate("end", key, at - STEP_US, *before[key]))
        before = seen
    return _mapped(mapping, receipts)


def _frigate(kind: str, key: str, at: int, x: float, y: float) -> Receipt:
    topic, payload = event(kind, key, camera=CAMERA, at=(at - START_US) / 1_000_000, x=x, y=y)
    return Receipt(f"frigate/{topic}", payload, at)


def deepstream_full() -> list[Observation]:
    """One message an object, in disorder within a second; an empty place says so."""
    payloads = []
    for at, seen in frames():
        for key, feet in seen.items():
            sides = dict(
                zip(
                    ("topleftx", "toplefty", "bottomrightx", "bottomrighty"), _px(feet), strict=True
                )
            )
            found = {"id": key, "person": {"confidence": 0.9}, "bbox": sides}
            payloads.append((at, {**_head(at), "object": found, "event": {"type": "moving"}}))
        if not seen:
            payloads.append((at, {**_head(at), "event": {"type": "empty"}}))
    swapped = [payloads[index ^ 1] for index in range(len(payloads) & ~1)] + payloads[
        len(payloads) & ~1 :
    ]
    return _framed(
        DeepStreamFrames((WIDTH, HEIGHT)), [(at, msgspec.json.encode(one)) for at, one in swapped]
    )


def _head(at: int) -> dict[str, object]:
    return {"@timestamp": rfc3339(at), "sensor": {"id": CAMERA}}


def deepstream_minimal() -> list[Observation]:
    """One message a frame."""
    payloads = [
        {
            "version": "4.0",
            "id": str(at),
            "@timestamp": rfc3339(at),
            "sensorId": CAMERA,
            "objects": [
                "|".join([key, *map(str, _px(feet)), "person"]) for key, feet in seen.items()
            ],
        }
        for at, seen in frames()
    ]
    return _framed(
        DeepStreamFrames((WIDTH, HEIGHT)),
        [(at, msgspec.json.encode(one)) for (at, _), one in zip(frames(), payloads, strict=True)],
    )


def axis() -> list[Observation]:
    """Without a class at first."""
    said = []
    for at, seen in frames():
        found = []
        for key, feet in seen.items():
            left, top, right, bottom = box(feet)
            sides = {"left": left, "top": top, "right": right, "bottom": bottom}
            found.append(
                {
                    "track_id": key,
                    "bounding_box": sides,
                    "timestamp": rfc3339(at),
                    "class": {"type": "Person", "score": 0.8},
                }
            )
        frame = {"observations": found, "operations": [], "timestamp": rfc3339(at)}
        said.append((at, msgspec.json.encode({"frame": frame})))
    return _framed(AxisFrames(), said)


def onvif() -> list[Observation]:
    """``tt:MetadataStream`` in the coordinates of the schema."""
    said = []
    for at, seen in frames():
        objects = ""
        for key, feet in seen.items():
            left, top, right, bottom = box(feet)
            sides = {"left": left * 2 - 1, "right": right * 2 - 1, "top": 1 - top * 2}
            sides["bottom"] = 1 - bottom * 2
            written = " ".join(f'{name}="{value!r}"' for name, value in sides.items())
            objects += (
                f"<tt:Object ObjectId={quoteattr(key)}><tt:Appearance><tt:Shape><tt:BoundingBox "
                f'{written}/><tt:CenterOfGravity x="0" y="0"/></tt:Shape><tt:Class>'
                '<tt:Type Likelihood="0.9">Person</tt:Type></tt:Class></tt:Appearance></tt:Object>'
            )
        said.append(
            (
                at,
                '<?xml version="1.0"?><tt:MetadataStream xmlns:tt='
                '"http://www.onvif.org/ver10/schema"><tt:VideoAnalytics>'
                f'<tt:Frame UtcTime="{rfc3339(at)}">{objects}</tt:Frame>'
                "</tt:VideoAnalytics></tt:MetadataStream>",
            )
        )
    return _framed(OnvifMetadata(Memory(), 1), [(at, text.encode()) for at, text in said])


MAPPING = f"""
[camera]
path = "from"
[time]
path = "t"
form = "us"
[objects]
path = "seen"
id = "n"
fixed_label = "person"
box = ["b.0", "b.1", "b.2", "b.3"]
frame_size = [{WIDTH}, {HEIGHT}]
"""


def any_json() -> list[Observation]:
    """In a form of nobody."""
    said = [
        (
            at,
            msgspec.json.encode(
                {
                    "from": CAMERA,
                    "t": at,
                    "seen": [{"n": key, "b": _px(feet)} for key, feet in seen.items()],
                }
            ),
        )
        for at, seen in frames()
    ]
    return _framed(JsonFrames(read_mapping(MAPPING)), said)


ORIGINS: dict[str, Callable[[], list[Observation]]] = {
    "ndjson": ndjson,
    "frigate": frigate,
    "deepstream_full": deepstream_full,
    "deepstream_minimal": deepstream_minimal,
    "axis": axis,
    "onvif": onvif,
    "json": any_json,
}


def _px(feet: tuple[float, float]) -> list[int]:
    left, top, right, bottom = box(feet)
    return [round(left * WIDTH), round(top * HEIGHT), round(right * WIDTH), round(bottom * HEIGHT)]


def _framed(frame_format: FrameFormat, said: list[tuple[int, bytes]]) -> list[Observation]:
    receipts = [Receipt(f"any/{CAMERA}/frame", payload, at) for at, payload in said]
    return _mapped(FrameMapping(frame_format, Memory()), receipts)


def _mapped(mapping: Mapping, receipts: list[Receipt]) -> list[Observation]:
    outcomes = [one for receipt in receipts for one in mapping.receive(receipt)]
    outcomes += mapping.due(receipts[-1].received_us + 60_000_000)
    assert {one.source for one in outcomes} == {CAMERA}
    return [one.observation for one in outcomes if isinstance(one, Given)]
