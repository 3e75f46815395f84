"""What encoding and decoding cost: observations, edge messages, commands, events, states, and their
frames; JSON, MessagePack and protobuf.

The floor of each is msgspec alone on the same bytes (or from the same plain values to such bytes):
no types, no limits, no times checked. For protobuf, where msgspec has nothing, it is the same
message as JSON. Slices of both alternate; the median counts.
"""

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from actors.core.camera import decoding, rendering
from actors.core.messages.edge_protocol import FromEdge, Observe
from actors.core.messages.events import CHAIN_START, Event, published, seal
from actors.core.messages.observations import Observation
from actors.core.messages.states import Health, LastEvent, LineCount, TrackView
from hub.protocol import frames
from hub.protocol.messages import Command, ConnectRequest, JsonCodec, SubscribeRequest
from hub.protocol.protobuf_codec import ProtobufCodec, encode
from load_tests.harness.results import Measured, Spread, spread
from load_tests.harness.synthetic_scene import walk

OBJECTS = 5
PER_MESSAGE = 20  # observations in one edge message
SLICES = 7
SLICE_S = 0.12
MOMENT = "2026-03-01T12:00:00.000000Z"

Call = Callable[[], object]


class CodecCase(msgspec.Struct, frozen=True):
    """`product` and `floor` do the same work; `size`: bytes of it."""

    product: Call
    floor: Call
    size: int


def run(seed: int, *, slices: int = SLICES, slice_s: float = SLICE_S) -> Measured:
    """Microseconds of one call, by case; ratios of the medians of slices that stood beside each
    other. About 35 seconds."""
    figures: dict[str, object] = {"objects": OBJECTS, "observations_per_message": PER_MESSAGE}
    floors: dict[str, object] = {}
    ratios: dict[str, float] = {}
    for name, case in cases(seed).items():
        own, plain = alternating(case.product, case.floor, slices, slice_s)
        figures[name] = {
            "us": _rounded(own),
            "bytes": case.size,
            "mb_per_s": round(case.size / spread(own).median, 1),
        }
        floors[name] = {"us": _rounded(plain)}
        ratios[f"{name}_vs_floor"] = round(
            spread([a / b for a, b in zip(own, plain, strict=True)]).median, 2
        )
    return Measured(figures, floors, ratios)


def alternating(
    first: Call, second: Call, slices: int, slice_s: float
) -> tuple[list[float], list[float]]:
    """Microseconds of one call of both, slice by slice; each goes first as often as the other."""
    took: tuple[list[float], list[float]] = ([], [])
    for number in range(slices):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            took[which].append(_slice((first, second)[which], slice_s))
    return took


def _slice(call: Call, slice_s: float) -> float:
    calls, batch = 0, 1
    began = time.process_time()  # what else runs here takes wall time, not this
    while (passed := time.process_time() - began) < slice_s:
        for _ in range(batch):
            call()
        calls += batch
        batch = min(batch * 2, 512)
    return 1e6 * passed / calls


def _rounded(values: list[float]) -> Spread:
    found = spread(values)
    return Spread(
        round(found.median, 3), round(found.least, 3), round(found.greatest, 3), found.runs
    )


def cases(seed: int) -> dict[str, CodecCase]:
    """All of them, by name."""
    return _observations(seed) | _events() | _states() | _dashboard_messages()


def _observations(seed: int) -> dict[str, CodecCase]:
    packed = walk(seed, OBJECTS, PER_MESSAGE)
    values = [msgspec.msgpack.decode(raw, type=Observation) for raw in packed]
    found: dict[str, CodecCase] = {}
    forms: list[tuple[str, Any]] = [("msgpack", msgspec.msgpack), ("json", msgspec.json)]
    for form, library in forms:
        raw = library.encode(values[0])
        plain = library.decode(raw)
        message = library.encode(Observe("cam-1", 1, values, sent=datetime(2026, 3, 1, tzinfo=UTC)))
        loose, read, write = (
            library.Decoder(),
            library.Decoder(FromEdge).decode,
            library.Encoder().encode,
        )
        found |= {
            f"observation_decode_{form}": CodecCase(
                _call(decoding.decode, raw, form), _call(loose.decode, raw), len(raw)
            ),
            f"observation_encode_{form}": CodecCase(
                _call(write, values[0]), _call(write, plain), len(raw)
            ),
            f"edge_message_decode_{form}": CodecCase(
                _call(read, message), _call(loose.decode, message), len(message)
            ),
        }
    return found


def _events() -> dict[str, CodecCase]:
    event = Event(
        id="cam-1/e1/7",
        type="zone.entered",
        site="site-1",
        camera="cam-1",
        epoch="e1",
        offset=7,
        session="s1",
        seq=70,
        time=MOMENT,
        received=MOMENT,
        severity="info",
        track="t1",
        label="person",
        zone="door",
        data={"score": 0.93, "dwell_s": 1.5},
    )
    stored = seal(event, CHAIN_START, received_us=1, time_us=1)
    plain, encode = msgspec.json.decode(stored.body), msgspec.json.Encoder().encode

    def plain_seal() -> bytes:
        return hashlib.sha256(CHAIN_START + encode(plain)).digest()

    shown = published(stored.body, stored.hash)
    whole, read = msgspec.json.decode(shown), msgspec.json.Decoder(Event).decode
    return {
        "event_seal_json": CodecCase(
            lambda: seal(event, CHAIN_START, received_us=1, time_us=1), plain_seal, len(stored.body)
        ),
        "event_show_json": CodecCase(
            _call(published, stored.body, stored.hash), _call(encode, whole), len(shown)
        ),
        "event_decode_json": CodecCase(
            _call(read, shown), _call(msgspec.json.decode, shown), len(shown)
        ),
    }


def _states() -> dict[str, CodecCase]:
    tracks = [
        TrackView(f"t{number}", "person", 0.91, (0.1, 0.2, 0.14, 0.35), ["door"], False)
        for number in range(OBJECTS)
    ]
    view = rendering.RenderedState(
        7,
        "online",
        None,
        MOMENT,
        MOMENT,
        10.0,
        1,
        {"person": OBJECTS},
        {"door": {"person": 2}},
        {"gate": LineCount(3, 2, MOMENT)},
        "info",
        LastEvent("cam-1/e1/7", "zone.entered", MOMENT, "info", "person", "door"),
        Health(session="s1", seq=70),
        None,
        tracks,
        [],
    )

    def render() -> bytes:
        return rendering.render(
            view, camera="cam-1", site="site-1", generation=3, version=70, now_us=2
        )[0]

    state = render()
    plain, encode = msgspec.json.decode(state), msgspec.json.Encoder().encode
    return {"state_and_summary_json": CodecCase(render, _call(encode, plain), len(state))}


def _dashboard_messages() -> dict[str, CodecCase]:

    body = b'{"fill":"' + b"x" * 440 + b'"}'
    raw = msgspec.Raw(body)
    plain_encode, plain_decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
    commands = [
        Command(id=1, connect=ConnectRequest(token="t" * 300)),
        Command(id=2, subscribe=SubscribeRequest(channel="camera:cam-1")),
    ]
    as_json = b"\n".join(msgspec.json.encode(command) for command in commands)
    lines = as_json.split(b"\n")
    found: dict[str, CodecCase] = {}

    def plain_frame() -> bytes:
        return frames.frame(
            frames.TEXT,
            plain_encode({"push": {"channel": "camera:cam-1", "pub": {"data": raw, "offset": 7}}}),
        )

    def plain_commands() -> list[Any]:
        return [plain_decode(line) for line in lines]

    for codec, sent in (
        (JsonCodec(), as_json),
        (ProtobufCodec(), ProtobufCodec.delimited([encode(command) for command in commands])),
    ):
        framed = codec.frame([codec.publication("camera:cam-1", body, 7)])

        def frame(codec: JsonCodec | ProtobufCodec = codec) -> bytes:
            return codec.frame([codec.publication("camera:cam-1", body, 7)])

        found[f"publication_frame_{codec.name}"] = CodecCase(frame, plain_frame, len(framed))
        found[f"commands_decode_{codec.name}"] = CodecCase(
            _call(codec.decode, sent), plain_commands, len(sent)
        )
    return found


def _call(function: Callable[..., object], *arguments: object) -> Call:
    return lambda: function(*arguments)
