"""Counts that are known independently: jittering pedestrians, through the MOT adapter and the core,
against a counter as many write it."""

from collections import Counter

import msgspec
import pytest

from actors.core.camera import core
from actors.core.messages.observations import Observation
from edge.adapters import mot
from edge.adapters.readings import AdapterOptions, ReadMessage
from tests.support.load.cores import Shell, at_us
from tests.support.load.pedestrians import HEIGHT, SCENE, WIDTH, crowd, mot_text, naive_counts


def observed(text: str, fps: float) -> list[Observation]:
    """The frames of a MOT file, as the adapter reads them."""
    lines = text.encode().splitlines(keepends=True)
    readings = list(mot.read(lines, AdapterOptions((WIDTH, HEIGHT), fps, "c")))
    assert all(isinstance(reading, ReadMessage) for reading in readings)
    return [reading.observation for reading in readings if isinstance(reading, ReadMessage)]


def counted(observations: list[Observation]) -> Shell:
    """A camera that saw them."""
    shell = Shell(SCENE)
    shell.hello()
    shell.walk([msgspec.msgpack.encode(seen) for seen in observations], batch=50)
    return shell


@pytest.mark.parametrize("fps", [10.0, 25.0])
@pytest.mark.parametrize("seed", range(6))
def test_the_true_count_where_a_naive_counter_doubles_it(
    fps: float, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    known = crowd(seed, fps)
    detections = known.detections(seed)
    shell = counted(observed(mot_text(detections, known.frames, fps), fps))
    ways = Counter(stored.event.data["direction"] for stored in shell.of("line.crossed"))
    naive = naive_counts(detections)
    with capsys.disabled():
        said = (
            f"{fps:g} fps, seed {seed}: truth {known.to_right} right {known.to_left} left; "
            f"Eyrie {ways['in']}, {ways['out']}; naive {naive}"
        )
        print(f"\n  {said}", end="")  # noqa: T201  both are what this test is for
    assert (ways["in"], ways["out"]) == (known.to_right, known.to_left), said
    assert sum(naive) > 2 * (known.to_right + known.to_left), said
    assert len(shell.of("zone.entered")) == known.entries
    assert len(shell.of("zone.exited")) == known.entries
    shown = core.live_state(shell.core, 1, at_us(0))
    assert shown is not None
    state = msgspec.json.decode(shown[0])
    assert state["occupancy"] == {"square": {}}
    assert {key: state["counts"]["gate"][key] for key in ("in", "out")} == {
        "in": known.to_right,
        "out": known.to_left,
    }
