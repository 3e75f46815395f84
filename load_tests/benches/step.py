"""What one `step` of the camera core costs, by objects, zones and lines, and as a multiple of
decoding the same observation.

`run` returns figures only; the command that prints them is elsewhere. A case is one camera whose
objects walk about with 3 px of jitter (at 1920), 10 frames a second. The step is measured without
commits of their own: a row is taken and dropped every `COMMIT_EVERY` observations, and its cost is
a figure by itself.
"""

import time

import msgspec

from actors.core.camera import core as camera
from actors.core.camera.core import CameraCore
from actors.core.camera.decoding import decode
from actors.core.messages.commits import Activation, Position
from actors.core.messages.deliveries import Attach, Data
from actors.core.messages.events import CHAIN_START
from actors.core.scene.scene import Scene
from actors.core.settings import CameraSettings
from load_tests.harness.results import Measured, spread
from load_tests.harness.synthetic_scene import alert_rules, scene_of, walk

FRAMES = 2_000  # observations of one case
COMMIT_EVERY = 20
REPEATS = 5  # decoding and stepping in turn; the median counts
CASES = (
    (0, 3, 1),
    (1, 3, 1),
    (5, 0, 0),
    (5, 3, 1),
    (5, 8, 4),
    (20, 3, 1),
    (50, 3, 1),
)  # objects, zones, lines
REFERENCE = (5, 3, 1)


def run(seed: int) -> Measured:
    """Figures in microseconds per observation, `ratios.step_vs_decode` of `REFERENCE`, and
    `ratios.rules10_vs_none`: the same with ten alert rules as a multiple of without."""
    figures: dict[str, object] = {}
    floor: dict[str, object] = {}
    ratio = 0.0
    for objects, zones, lines in CASES:
        case = _case(seed, objects, zones, lines)
        figures[f"{objects} objects, {zones} zones, {lines} lines"] = case.figures
        if (objects, zones, lines) == REFERENCE:
            floor, ratio = case.floor, case.ratios["step_vs_decode"]
    ruled, rules_ratio = _with_rules(seed)
    figures["with ten alert rules"] = ruled
    return Measured(figures, floor, {"step_vs_decode": ratio, "rules10_vs_none": rules_ratio})


def _with_rules(seed: int) -> tuple[dict[str, object], float]:
    """Microseconds per step of `REFERENCE` with `alert_rules`, and the median of the ratios to
    without, in turn."""
    objects, zones, lines = REFERENCE
    frames, scene = walk(seed, objects, FRAMES), scene_of(zones, lines)
    ruled = msgspec.structs.replace(scene, alerts=alert_rules(scene))
    pairs = []
    events = 0
    for _ in range(REPEATS):
        plain_s, _, _ = _time_steps(frames, scene)
        ruled_s, _, events = _time_steps(frames, ruled)
        pairs.append((ruled_s, ruled_s / plain_s))
    figures: dict[str, object] = {
        "step_us": spread([_us(seconds / FRAMES) for seconds, _ in pairs]),
        "events_per_observation": round(events / FRAMES, 4),
    }
    return figures, round(spread([ratio for _, ratio in pairs]).median, 3)


def _case(seed: int, objects: int, zones: int, lines: int) -> Measured:
    frames = walk(seed, objects, FRAMES)
    scene = scene_of(zones, lines)
    decoded, stepped, committed = list[float](), list[float](), list[float]()
    events = 0
    for _ in range(REPEATS):
        decoded.append(_us(_time_decode(frames) / FRAMES))
        stepping_s, committing_s, events = _time_steps(frames, scene)
        stepped.append(_us(stepping_s / FRAMES))
        committed.append(_us(committing_s / (FRAMES / COMMIT_EVERY)))
    figures: dict[str, object] = {
        "step_us": spread(stepped),
        "row_us": spread(committed),
        "events_per_observation": round(events / FRAMES, 4),
    }
    ratio = spread([step / plain for step, plain in zip(stepped, decoded, strict=True)]).median
    return Measured(figures, {"decode_us": spread(decoded)}, {"step_vs_decode": round(ratio, 2)})


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 2)


def _time_decode(frames: list[bytes]) -> float:
    began = time.process_time()  # what else runs here takes wall time, not this
    for raw in frames:
        decode(raw, "msgpack")
    return time.process_time() - began


def _time_steps(frames: list[bytes], scene: Scene) -> tuple[float, float, int]:
    core = _core(scene)
    stepping = committing = 0.0
    events = 0
    for index, raw in enumerate(frames):
        now_us = index * 100_000
        data = Data("bench", "h/1", "s1", index + 1, now_us, "msgpack", [raw])
        began = time.thread_time()
        camera.step(core, [data], now_us)
        stepping += time.thread_time() - began
        if index % COMMIT_EVERY == COMMIT_EVERY - 1:
            began = time.thread_time()
            row = camera.pending_commit(core)
            if row is not None:
                camera.committed(core, row, now_us)
                events += len(row.events)
            committing += time.thread_time() - began
    return stepping, committing, events


def _core(scene: Scene) -> CameraCore:
    activation = Activation(
        "bench",
        "site",
        1,
        Position("", 0, "e1", 0, CHAIN_START),
        None,
        msgspec.json.encode(scene),
        1,
    )
    core = camera.restore(activation, owner="bench", settings=CameraSettings(), now_us=0)
    camera.step(core, [Attach("bench", "h/1", "s1", 1, 0)], 0)
    camera.session_opened(core, "s1", "opened", 0)
    return core
