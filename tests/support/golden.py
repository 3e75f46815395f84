"""Golden files of every version, and what it means that today's structs still read them."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from actors.core.camera.snapshot import decode, totals
from actors.core.messages.edge_protocol import EdgeSends, ToEdge
from actors.core.messages.event_data import shape_of
from actors.core.messages.events import Event
from actors.core.messages.states import State, Summary, Wall
from actors.core.scene.scene import Scene

FOLDER = Path(__file__).resolve().parents[1] / "golden"
SHAPES: dict[str, Any] = {"state": State, "summary": Summary, "wall": Wall, "scene": Scene}
MESSAGES: Any = EdgeSends | ToEdge


def versions() -> list[str]:
    """Names of the versions that there are files of."""
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


def read(version: str, name: str) -> Any:
    """A file of a version; empty when that version had none."""
    path = FOLDER / version / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def lost(then: Any, now: Any, path: str = "$") -> Iterator[str]:
    """What `then` says and `now`, the same read by today's structs and written again, does not.
    Null and missing are the same."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key, value in then.items():
            if key in now or value is not None:
                yield from lost(value, now.get(key, _Missing), f"{path}.{key}")
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for index, value in enumerate(then):
            yield from lost(value, now[index], f"{path}[{index}]")
    elif (
        isinstance(then, float | int)
        and not isinstance(then, bool)
        and isinstance(now, float | int)
    ):
        if then != now:
            yield f"{path}: {then} became {now}"
    elif then != now and not _same_time(then, now):
        yield f"{path}: {then!r} became {'nothing' if now is _Missing else repr(now)}"


class _Missing:
    """What is not there."""


def _same_time(then: Any, now: Any) -> bool:
    return (
        isinstance(then, str)
        and isinstance(now, str)
        and then.replace("+00:00", "Z") == now.replace("+00:00", "Z")
    )


def again(then: Any, shape: Any) -> Iterator[str]:
    """The problems of reading `then` by `shape`: it is refused, or something of it is lost."""
    try:
        found = msgspec.convert(then, shape, str_keys=True)
    except msgspec.ValidationError as error:
        yield f"refused: {error}"
        return
    yield from lost(then, whole(found))


def whole(value: Any) -> Any:
    """A struct as JSON would have it, defaults included."""
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        tree = {config.tag_field: config.tag} if config.tag_field is not None else {}
        told = (
            (field.encode_name, getattr(value, field.name))
            for field in msgspec.structs.fields(value)
        )
        return tree | {name: whole(part) for name, part in told if part is not msgspec.UNSET}
    if isinstance(value, dict):
        return {key: whole(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [whole(part) for part in value]
    return msgspec.to_builtins(value)


def problems(version: str) -> Iterator[str]:
    """Everything of a version that today's structs do not read as it was written."""
    for message in read(version, "messages"):
        for problem in again(message["json"], MESSAGES):
            yield f"{version} message {message['name']}: {problem}"
        packed = msgspec.msgpack.decode(base64.b64decode(message["msgpack"]), type=MESSAGES)
        if packed != msgspec.json.decode(msgspec.json.encode(message["json"]), type=MESSAGES):
            yield f"{version} message {message['name']}: MessagePack and JSON differ"
    for event in read(version, "events"):
        for problem in (*again(event, Event), *again(event["data"], shape_of(event["type"]))):
            yield f"{version} event {event['type']}: {problem}"
    for kind, bodies in dict(read(version, "states") or {}).items():
        for body in bodies:
            for problem in again(body, SHAPES[kind]):
                yield f"{version} {kind}: {problem}"
    for snapshot in read(version, "snapshots"):
        for problem in snapshot_problems(base64.b64decode(snapshot["msgpack"]), snapshot):
            yield f"{version} snapshot {snapshot['name']}: {problem}"


def snapshot_problems(data: bytes, expected: dict[str, Any]) -> Iterator[str]:
    """What a snapshot says beside what it should."""
    found, counted = decode(data), totals(data)
    tracks = sorted(row.id for row in found.tracks)
    said = {
        "tracks": tracks,
        "counts": counted.counts,
        "occupancy": counted.occupancy,
        "status": counted.status,
    }
    yield from lost({key: expected[key] for key in said}, said)
