"""JSON of any form by a mapping file, and what `source test` shows of a message."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.core.errors import BadInput
from actors.core.messages.observations import Alarm
from edge.adapters.readings import ReadMessage, RefusedInput
from edge.sources.command import main
from edge.sources.mapping_file import JsonFrames, read_mapping
from edge.sources.receipts import Receipt

MAPPING = """
[camera]
path = "device.name"
[time]
path = "ts"
form = "ms"
[objects]
path = "found"
id = "track"
label = "class"
score = "sure"
score_of = 100
box = ["x", "y", "w", "h"]
form = "size"
frame_size = [200, 100]
labels = { Human = "person" }
attributes = { color = "look.color" }
[alarm]
type = "vendor.intrusion"
when = { path = "event", is = "intrusion" }
severity = "critical"
text = "message"
data = { rule = "rule.name" }
"""
OBJECT = {"track": 7, "class": "Human", "sure": 80, "x": 20, "y": 10, "w": 40, "h": 50}
MESSAGE: dict[str, Any] = {
    "device": {"name": "front"},
    "ts": 1_790_000_000_000,
    "found": [{**OBJECT, "look": {"color": "red"}}, {"track": 8}],
    "event": "intrusion",
    "message": "Somebody",
    "rule": {"name": "fence"},
}


def read(mapping: str, message: Any, topic: str = "a/b") -> ReadMessage:
    found = JsonFrames(read_mapping(mapping)).read(Receipt(topic, msgspec.json.encode(message), 5))
    (one,) = found
    assert isinstance(one, ReadMessage)
    return one


def test_a_mapping_reads_objects_and_an_alarm() -> None:
    found = read(MAPPING, MESSAGE)
    (seen,) = found.observation.objects or []
    assert (found.source, seen.id, seen.label, seen.score) == ("front", "7", "person", 0.8)
    assert seen.box == pytest.approx((0.1, 0.1, 0.3, 0.6))
    assert seen.attributes == {"color": "red"}
    assert [one.code for one in found.dropped] == ["malformed"]
    assert found.observation.alarm == Alarm(
        "vendor.intrusion", "critical", text="Somebody", data={"rule": "fence"}
    )
    assert read(MAPPING, {**MESSAGE, "event": "none"}).observation.alarm is None


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({**MESSAGE, "device": {}}, "no_camera"),
        ({**MESSAGE, "device": {"name": True}}, "no_camera"),
        ({**MESSAGE, "ts": "soon"}, "no_time"),
        ({**MESSAGE, "ts": 1e30}, "bad_time"),
        ({**MESSAGE, "found": None, "event": "none"}, "not_read"),
        ([], "not_read"),
    ],
)
def test_messages_that_do_not_fit(message: Any, code: str) -> None:
    with pytest.raises(RefusedInput) as refused:
        read(MAPPING, message)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[camera]",
        '[camera]\nfixed = "a"',
        '[camera]\nfixed = "a"\npath = "b"\n[alarm]\ntype = "x"',
        '[camera]\nfixed = "a"\n[alarm]\ntype = "Not a type"',
        '[camera]\nfixed = "a"\n[objects]\nbox = ["a", "b", "c"]\nlabel = "l"',
        '[camera]\nfixed = "a"\n[objects]\nbox = ["a", "b", "c", "d"]',
        '[camera]\nfixed = "a"\n[alarm]\ntype = "x"\nexec = "import os"',
    ],
)
def test_mapping_files_that_are_none(text: str) -> None:
    with pytest.raises(BadInput):
        read_mapping(text)


def test_the_command_shows_what_becomes_of_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.toml").write_text(MAPPING)
    (tmp_path / "good.json").write_bytes(msgspec.json.encode(MESSAGE))
    (tmp_path / "bad.json").write_bytes(b"{")
    command = ["source", "test", "--format", "json", "--mapping", str(tmp_path / "m.toml")]
    assert main([*command, "--sample", str(tmp_path / "good.json")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert msgspec.json.decode(shown[0])["camera"] == "front"
    assert shown[1].startswith("left out or changed: malformed")
    assert main([*command, "--sample", str(tmp_path / "bad.json")]) == 1
    assert capsys.readouterr().out.startswith("refused: malformed")
