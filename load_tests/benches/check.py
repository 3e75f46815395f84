"""How long the checker takes for a million operations of a sound run, on one core.

The run is made up as it would be: cameras fold observations and commit every `EACH` of them, every
row is acked, and dashboards are shown every event and a state for every row. Observations cost the
checker most, because it folds them itself; they are a fifth of the operations, more than in a run
with dashboards.
"""

import time
from collections.abc import Sequence

import msgspec

from actors.core.camera import core
from actors.core.camera.snapshot import totals
from actors.core.messages.commits import Activation, Position
from actors.core.messages.deliveries import Attach, Data
from actors.core.messages.events import CHAIN_START
from actors.core.settings import CameraSettings
from cluster.event_proofs import AuditEvent, CameraTotals
from load_tests.checker.checker import check
from load_tests.harness.history import (
    Acknowledged,
    Move,
    Operation,
    Sent,
    ShownEvent,
    ShownState,
    Stored,
    WatcherPosition,
)
from load_tests.harness.results import Measured
from load_tests.harness.synthetic_scene import scene_of, walk

OPERATIONS = 1_000_000
CAMERAS = 40
OBSERVATIONS = 5_000  # of every camera
EACH = 10  # observations in a row
OBJECTS = 3
SESSION = "run"
_SETTINGS = CameraSettings(mailbox_items=100_000, process_items=100_000, mailbox_bytes=2**31)


def run(
    seed: int,
    *,
    operations: int = OPERATIONS,
    cameras: int = CAMERAS,
    observations: int = OBSERVATIONS,
) -> Measured:
    """Some ten seconds, half of them to make the run."""
    history, stored = sound_run(seed, operations, cameras, observations)
    began = time.process_time()
    found = check(history, stored)
    took_s = time.process_time() - began
    assert found == [], found[:1]
    sent = sum(isinstance(one, Sent) for one in history)
    figures: dict[str, object] = {
        "operations": len(history),
        "observations": sent,
        "events": len(stored.events),
        "moves": len(stored.moves),
        "seconds": round(took_s, 2),
        "per_s": round(len(history) / took_s),
        "a_million_s": round(1e6 * took_s / len(history), 2),
    }
    return Measured(figures, {}, {"of_a_minute": round(1e6 * took_s / len(history) / 60.0, 3)})


def sound_run(
    seed: int, operations: int, cameras: int, observations: int
) -> tuple[list[Operation], Stored]:
    """At least so many operations in which nothing is wrong."""
    bodies = walk(seed, OBJECTS, observations)
    scene = msgspec.json.encode(scene_of(2, 1))
    history: list[Operation] = []
    rows, events, moves = list[CameraTotals](), list[AuditEvent](), list[Move]()
    made = [_camera(f"cam-{number:03}", bodies, scene) for number in range(cameras)]
    for row, its_events, its_moves, its_history in made:
        rows.append(row)
        events += its_events
        moves += its_moves
        history += its_history
    watcher = 0
    while len(history) < operations:
        for row, its_events, its_moves, _ in made:
            history += _watched(f"dashboard-{watcher}", row, its_events, its_moves)
        watcher += 1
    return history, Stored(rows, events, [], moves, {row.camera: scene for row in rows})


def _camera(
    name: str, bodies: Sequence[bytes], scene: bytes
) -> tuple[CameraTotals, list[AuditEvent], list[Move], list[Operation]]:
    one = core.restore(
        Activation(name, "site", 1, Position("", 0, "e1", 0, CHAIN_START), None, scene, 1),
        owner="a",
        settings=_SETTINGS,
        now_us=0,
    )
    opens = core.step(one, [Attach(name, "bench/1", SESSION, 1, 0)], 0).opens
    assert opens is not None
    events, moves, history = list[AuditEvent](), list[Move](), list[Operation]()
    row = core.pending_commit(one)
    while row is not None:
        core.committed(one, row, 0)
        row = core.pending_commit(one)
    core.session_opened(one, opens, "opened", 0)
    last = None
    for first in range(1, len(bodies) + 1, EACH):
        items = bodies[first - 1 : first - 1 + EACH]
        core.step(
            one,
            [Data(name, "bench/1", SESSION, first, 1_000_000 * first, "msgpack", list(items))],
            1_000_000 * first,
        )
        history += [Sent(name, SESSION, first + number, body) for number, body in enumerate(items)]
        while (row := core.pending_commit(one)) is not None:
            core.committed(one, row, 0)
            last = row
            at_s = 0.1 * row.after.last_seq
            events += [
                AuditEvent(name, "e1", s.event.offset, s.body.decode(), s.hash.hex())
                for s in row.events
            ]
            moves.append(
                Move(
                    name,
                    "a",
                    "a",
                    1,
                    SESSION,
                    row.after.last_seq,
                    "e1",
                    row.after.last_offset,
                    at_s,
                )
            )
            history.append(Acknowledged(name, SESSION, row.after.last_seq, at_s + 0.01))
    assert last is not None
    at, derived = last.after, totals(last.snapshot)
    row_of = CameraTotals(
        name,
        at.session,
        at.last_seq,
        at.epoch,
        at.last_offset,
        at.chain.hex(),
        derived.counts,
        derived.occupancy,
    )
    return row_of, events, moves, history


def _watched(
    watcher: str, row: CameraTotals, events: Sequence[AuditEvent], moves: Sequence[Move]
) -> list[Operation]:
    found: list[Operation] = [WatcherPosition(watcher, row.camera, "e1", 0)]
    for event in events:
        body = msgspec.json.decode(event.body)
        found.append(
            ShownEvent(watcher, row.camera, event.epoch, event.offset, body["type"], body["time"])
        )
    return [
        *found,
        *(
            ShownState(
                watcher, row.camera, move.generation, move.offset, "online", move.at_s + 0.02
            )
            for move in moves
        ),
    ]
