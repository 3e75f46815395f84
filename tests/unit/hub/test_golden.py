"""What past versions wrote is read by today's structs, and today's files are those of today's
code."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.core.camera import core as camera
from actors.core.camera.snapshot import VERSION, Snapshot, TrackRow, decode
from actors.core.errors import BadInput
from actors.core.messages.commits import Activation, Position
from actors.core.messages.edge_protocol import Hello
from actors.core.messages.event_data import TYPES, LineCrossed
from actors.core.messages.events import CHAIN_START
from actors.core.scene.lines import Crossing
from actors.core.scene.zones import Stay
from actors.core.settings import CameraSettings
from tests.support.golden import again, problems, read, snapshot_problems, versions
from tools import golden

TODAY = f"v{golden.VERSION}"


@pytest.mark.parametrize("version", versions())
def test_everything_of_a_version_is_still_read(version: str) -> None:
    assert list(problems(version)) == []


def test_the_files_of_this_version_are_those_of_this_code() -> None:
    folder = golden.FOLDER / TODAY
    stale = [
        name
        for name, text in golden.files().items()
        if (folder / name).read_text(encoding="utf-8") != text
    ]
    assert stale == [], (
        "the shapes changed: look at what `python -m tools.golden` changes in tests/golden, and "
        "commit it"
    )


def test_every_type_of_event_is_in_them() -> None:
    kinds = {event["type"] for event in read(TODAY, "events")}
    assert kinds == {*TYPES, "alarm.door.forced"}


def test_the_tool_writes_where_it_is_told(tmp_path: Path) -> None:
    golden.write(tmp_path / "v9")
    assert sorted(path.name for path in (tmp_path / "v9").iterdir()) == [
        "events.json",
        "messages.json",
        "snapshots.json",
        "states.json",
    ]


def changed(struct: type[msgspec.Struct], **other: Any) -> Any:
    """A copy of a struct with fields of another type, or (None) without them."""
    fields: list[tuple[str, Any, Any]] = []
    for field in msgspec.structs.fields(struct):
        kind = other.get(field.name, field.type)
        if kind is not None:
            fields.append(
                (
                    field.name,
                    kind,
                    msgspec.field(default=field.default) if not field.required else msgspec.field(),
                )
            )
    config = struct.__struct_config__
    return msgspec.defstruct(
        struct.__name__,
        fields,
        kw_only=True,
        omit_defaults=config.omit_defaults,
        tag_field=config.tag_field,
        tag=config.tag,
    )


def test_a_field_that_was_removed_is_found() -> None:
    full = next(m["json"] for m in read(TODAY, "messages") if m["name"] == "hello, full")
    assert list(again(full, changed(Hello))) == []
    assert list(again(full, changed(Hello, producer=None))) == [
        "$.producer: 'vendor 1.0' became nothing"
    ]


def test_a_field_of_another_type_is_found() -> None:
    data = next(event["data"] for event in read(TODAY, "events") if event["type"] == "line.crossed")
    assert list(again(data, changed(LineCrossed))) == []
    assert any("refused" in problem for problem in again(data, changed(LineCrossed, way=int)))


def test_a_new_field_that_is_required_is_found() -> None:
    data = next(event["data"] for event in read(TODAY, "events") if event["type"] == "line.crossed")
    stricter = msgspec.defstruct(
        "Stricter", [("speed", float)], bases=(LineCrossed,), kw_only=True, frozen=True
    )
    assert any("missing required field `speed`" in problem for problem in again(data, stricter))


def snapshots() -> Iterator[Any]:
    """Every snapshot that there is."""
    for version in versions():
        for snapshot in read(version, "snapshots"):
            yield pytest.param(snapshot, id=f"{version} {snapshot['name']}")


def by_next_release(data: bytes) -> bytes:
    """The same snapshot as a later release may write it: a version more, fields that are unknown
    today, longer rows."""
    tree = msgspec.msgpack.decode(data)
    tree["v"] = VERSION + 1
    tree["later"] = {"new": [1, 2]}
    for row in tree.get("tracks", ()):
        columns = list(TrackRow.__struct_fields__)
        row += [None] * (len(columns) - len(row))
        for name, shape in (("stays", Stay), ("crossings", Crossing)):
            for value in row[columns.index(name)].values():
                value += [field.default for field in msgspec.structs.fields(shape)[len(value) :]]
                value.append("new")
        row.append({"new": True})
    for count in tree.get("counts", {}).values():
        count.append(3)
    return msgspec.msgpack.encode(tree)


@pytest.mark.parametrize("snapshot", [*snapshots()])
def test_a_snapshot_of_the_next_release_is_read(snapshot: dict[str, Any]) -> None:
    assert (
        list(snapshot_problems(by_next_release(base64.b64decode(snapshot["msgpack"])), snapshot))
        == []
    )


@pytest.mark.parametrize("snapshot", [*snapshots()])
def test_a_camera_goes_on_from_it(snapshot: dict[str, Any]) -> None:
    data = base64.b64decode(snapshot["msgpack"])
    found = decode(data)
    position = Position(found.session, found.seq, "e1", 5, CHAIN_START)
    scene = msgspec.json.encode(golden.SCENE)
    activation = Activation("cam-1", "site-1", 2, position, data, scene, found.scene_version)
    core = camera.restore(activation, owner="me", settings=CameraSettings(), now_us=0)
    assert sorted(core.picture.tracks) == snapshot["tracks"]
    assert camera.live_state(core, 1, 0) is not None or core.journal.waiting


def test_a_snapshot_of_today_is_read_by_the_release_before() -> None:
    """Its track rows had no pace and no votes: rows only grow at their end, and a reader ignores
    what it does not know."""
    fields = [
        (f.name, f.type, msgspec.field(default=f.default)) if not f.required else (f.name, f.type)
        for f in msgspec.structs.fields(TrackRow)
        if f.name not in ("pace", "votes")
    ]
    before = msgspec.defstruct("TrackRow", fields, array_like=True)
    reader = msgspec.defstruct(
        "Snapshot",
        [("tracks", list[before], [])],  # type: ignore[valid-type]
        bases=(Snapshot,),
        kw_only=True,
    )
    for snapshot in read(TODAY, "snapshots"):
        found: Any = msgspec.msgpack.decode(base64.b64decode(snapshot["msgpack"]), type=reader)
        assert sorted(row.id for row in found.tracks) == snapshot["tracks"]
        assert {key: count.ins for key, count in found.counts.items()} == {
            key: c["in"] for key, c in snapshot["counts"].items()
        }


def test_a_snapshot_of_two_releases_later_is_refused() -> None:
    data = msgspec.msgpack.encode({"v": VERSION + 2})
    with pytest.raises(BadInput, match="has version"):
        decode(data)
