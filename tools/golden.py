"""Write the golden files of the present version anew: what crosses the border or lies in the
database, in every shape that there is.

``python -m tools.golden`` writes ``tests/golden/v<VERSION>/``. The files of a released version are
never written again: raise VERSION with the first incompatible or additive change after a release.
Tests decode the files of every version with today's structs.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from actors.core.camera import core
from actors.core.camera.dead_letters import ReplayedLetter, replay
from actors.core.camera.snapshot import totals
from actors.core.messages.edge_protocol import (
    Ack,
    Bye,
    Gap,
    Hello,
    Observe,
    Ping,
    Pong,
    Reject,
    Resync,
    Welcome,
)
from actors.core.messages.events import published
from actors.core.messages.observations import Alarm, Backlog, Object, Observation
from actors.core.scene.alert_rules import AlertRule, Condition, Occupancy
from actors.core.scene.scene import Ground, Line, Place, Scene, Zone
from tests.support.load.cores import Shell, at, at_us, frame, person

VERSION = 1
FOLDER = Path(__file__).resolve().parent.parent / "tests" / "golden"

SCENE = Scene(
    zones={
        "door": Zone(
            [(0.4, 0.0), (0.6, 0.0), (0.6, 1.0), (0.4, 1.0)],
            loitering_s=2,
            labels=["person", "car"],
        )
    },
    lines={
        "mid": Line(
            [(0.5, 0.0), (0.5, 1.0)],
            name_in="to the yard",
            name_out="to the street",
            labels=["person"],
        )
    },
    stationary_after_s=1.0,
    expected_fps=10.0,
    severities={"line.crossed/mid": "critical"},
    ground=Ground(
        [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)],
        [(0.0, 0.0), (20.0, 0.0), (20.0, 10.0), (0.0, 10.0)],
    ),
    alerts={
        "forced": AlertRule(
            [Condition(events=["alarm.door.forced"]), Condition(occupancy=[Occupancy("door")])],
            "critical",
            clear_after_s=5.0,
        ),
        "kept": AlertRule([Condition(events=["alarm.door.forced"])], clear_after_s="never"),
    },
    place=Place("north gate", 52.52, 13.405, "ground floor", "deliveries"),
)
SEEN = Object(
    "car",
    (0.1, 0.2, 0.3, 0.4),
    0.91,
    "t1",
    "van",
    {"colour": "red", "doors": 4, "moving": True, "speed": 1.5},
)


def messages() -> list[dict[str, Any]]:
    """Every message of the edge protocol, full and as short as it may be, in both encodings."""
    alarm = Alarm("door.forced", "critical", "door", "t1", "forced open", {"sensor": 7})
    full = Observation(at(1.25), [SEEN, Object("person", (0.0, 0.0, 0.5, 1.0))], alarm)
    found: list[tuple[str, msgspec.Struct]] = [
        ("hello", Hello("cam-1", "boot-1")),
        ("hello, full", Hello("cam-1", "boot-1", 17, "vendor 1.0", (1920, 1080), "a.b.c")),
        ("observe", Observe("cam-1", 1, [Observation(at(0))])),
        (
            "observe, full",
            Observe(
                "cam-1",
                5,
                [full, Observation(at(2), []), Observation(at(3), None, alarm)],
                at(3.5),
                Backlog(3, 1200),
            ),
        ),
        ("gap", Gap("cam-1", 8, 12, "shed")),
        ("ping", Ping()),
        ("pong", Pong()),
        ("bye", Bye(1000)),
        ("bye, full", Bye(4509, "superseded by a newer session", "cam-1")),
        ("welcome", Welcome("cam-1", "boot-1", 18, 64, 4.0, at(4))),
        ("ack", Ack("cam-1", 20, 64)),
        ("resync", Resync("cam-1", 21)),
        ("reject", Reject("cam-1", 22, "bad_box", "the box has no area")),
    ]
    return [
        {
            "name": name,
            "schema": f"edge/{message.__struct_config__.tag}",
            "json": msgspec.json.decode(msgspec.json.encode(message)),
            "msgpack": base64.b64encode(msgspec.msgpack.encode(message)).decode(),
        }
        for name, message in found
    ]


def lived() -> Shell:
    """A camera that everything happened to."""
    shell = Shell(SCENE)
    shell.hello()
    alarm = Alarm("door.forced", "critical", "door", "a", "forced open", {"sensor": 7})
    way = (
        [0.2 + 0.015 * i for i in range(20)]
        + [0.5] * 30
        + [0.5 + 0.02 * i for i in range(1, 22)]
        + [0.9 - 0.02 * i for i in range(20)]
    )
    wavering = [
        Object("truck" if i < 4 else "car", (0.7, 0.7, 0.8, 0.8), 0.4, "w") for i in range(len(way))
    ]
    frames = [
        frame(i / 10, person("a", x, 0.5), SEEN, wavering[i], alarm=alarm if i in (5, 9) else None)
        for i, x in enumerate(way)
    ]
    shell.walk(frames, batch=8)
    last = len(frames)
    shell.send(last, frame(77.0))
    shell.send(last + 1, frame(-30.0))
    shell.gap(last + 2, last + 4)
    shell.send(last + 5, frame(60.0))
    shell.step(core.ResetCounts(reason="midnight"))
    shell.step(core.Configure(msgspec.structs.replace(SCENE, lines={}), 2))
    replay(
        shell.core,
        ReplayedLetter(1, "boot-0", 3, "bad_input", frame(0.3, SEEN, alarm=alarm), "ada"),
        at_us(2.0),
    )
    shell.commit()
    shell.tick(10.0)
    shell.tick(40.0)
    shell.send(last + 6, frame(61.0, person("b", 0.5, 0.5)))
    shell.detach()
    return shell


def events() -> list[dict[str, Any]]:
    """What happened to it, as dashboards get it."""
    return [
        msgspec.json.decode(published(stored.body, stored.hash)) for stored in lived().row.events
    ]


def open_tracks(frames: int = 40) -> Shell:
    """A camera in the middle of its work."""
    shell = Shell(SCENE)
    shell.hello()
    walk = [
        frame(
            i / 10,
            person("a", 0.2 + 0.01 * i, 0.5),
            person("b", 0.5, 0.7, label="car"),
            SEEN,
            Object("dog", (0.7, 0.7, 0.8, 0.8), 0.4),
            *([person("c", 0.9 - 0.015 * i, 0.6)] if i > 5 else []),
        )
        for i in range(frames)
    ]
    shell.walk(walk, batch=5)
    return shell


def states() -> dict[str, Any]:
    """States, a summary, walls and a scene."""
    shell = open_tracks()
    data = shell.data(41, frame(4.0, person("a", 0.61, 0.5)))
    shell.step(msgspec.structs.replace(data, sent_us=at_us(3.9), backlog=Backlog(3, 1200)))
    shown = core.live_state(shell.core, 7, at_us(4.1))
    fresh = core.live_state(Shell().core, 1, at_us(0))
    assert shown is not None
    assert fresh is not None
    state, summary = msgspec.json.decode(shown[0]), msgspec.json.decode(shown[1])
    return {
        "state": [state, msgspec.json.decode(fresh[0])],
        "summary": [summary, msgspec.json.decode(fresh[1])],
        "wall": [
            {"site": "site-1", "tick": 3, "full": True, "cameras": [summary]},
            {"tick": 1, "full": False, "cameras": []},
        ],
        "scene": [msgspec.json.decode(msgspec.json.encode(scene)) for scene in (Scene(), SCENE)],
    }


def snapshots() -> list[dict[str, Any]]:
    """What lies in camera rows, and what it must be read as."""
    empty = Shell(SCENE)
    empty.hello()
    empty.send(1, frame(0.1))
    return [
        _snapshot(name, shell)
        for name, shell in (
            ("an empty frame", empty),
            ("open tracks", open_tracks()),
            ("everything happened", lived()),
        )
    ]


def _snapshot(name: str, shell: Shell) -> dict[str, Any]:
    data = shell.row.snapshot
    assert data is not None
    found = totals(data)
    return {
        "name": name,
        "msgpack": base64.b64encode(data).decode(),
        "tracks": sorted(shell.core.picture.tracks),
        "counts": found.counts,
        "occupancy": found.occupancy,
        "status": found.status,
    }


def files() -> dict[str, str]:
    """File name → text."""
    parts = {
        "messages": messages(),
        "events": events(),
        "states": states(),
        "snapshots": snapshots(),
    }
    return {
        f"{name}.json": json.dumps(part, indent=1, ensure_ascii=False) + "\n"
        for name, part in parts.items()
    }


def write(folder: Path) -> None:
    """Write the files of the present version into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / f"v{VERSION}")
