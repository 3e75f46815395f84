"""Making commit rows and events for tests of the stores."""

import os
from collections.abc import Sequence
from typing import Any

import msgspec

from actors.core.messages.commits import CommitRow, DeadLetter, Position
from actors.core.messages.events import Event, StoredEvent, seal, seal_open
from actors.core.messages.personal import Sealing
from actors.core.times import rfc3339
from storage.ports.cameras import CameraStore
from storage.ports.registry import Registry

RECEIVED_US = 1_790_000_000_000_000
OWNER = "actor-1"
SESSION = "session-1"


def event_of(
    camera: str,
    position: Position,
    number: int = 1,
    *,
    label: str | None = None,
    received_us: int = RECEIVED_US,
) -> StoredEvent:
    """The `number`-th event after `position`."""
    offset = position.last_offset + number
    event = Event(
        id=f"{camera}/{position.epoch}/{offset}",
        type="zone.entered",
        site="site",
        camera=camera,
        epoch=position.epoch,
        offset=offset,
        session=position.session,
        seq=position.last_seq + number,
        time=rfc3339(received_us),
        received=rfc3339(received_us),
        severity="info",
        label=label,
        zone="door",
    )
    return seal(event, position.chain, received_us=received_us, time_us=received_us)


def alarm_of(
    camera: str,
    position: Position,
    data: dict[str, Any],
    *,
    received_us: int = RECEIVED_US,
    text: str | None = None,
) -> StoredEvent:
    """The alarm after `position`, its personal values taken out."""
    plain = event_of(camera, position, received_us=received_us).event
    said = {"data": data} if text is None else {"text": text, "data": data}
    alarm = msgspec.structs.replace(plain, type="alarm.seen", zone=None, data=said)
    sealing = Sealing(os.urandom(32))
    return seal_open(alarm, position.chain, sealing, received_us=received_us, time_us=received_us)


def row_of(
    camera: str,
    generation: int,
    before: Position,
    *,
    seqs: int = 1,
    events: Sequence[StoredEvent] = (),
    letters: Sequence[DeadLetter] = (),
    owner: str = OWNER,
    snapshot: bytes = b"snapshot",
) -> CommitRow:
    """An advance by `seqs` observations with `events`."""
    chain = events[-1].hash if events else before.chain
    after = msgspec.structs.replace(
        before,
        last_seq=before.last_seq + seqs,
        last_offset=before.last_offset + len(events),
        chain=chain,
    )
    return CommitRow(
        camera, owner, generation, before, after, snapshot, list(events), list(letters)
    )


def letter_of(seq: int, *, detail: str = "unknown field", raw: bytes = b"{}") -> DeadLetter:
    """A refused observation."""
    return DeadLetter(SESSION, seq, "bad_input", detail, raw, RECEIVED_US)


async def running(
    registry: Registry, cameras: CameraStore, names: Sequence[str], *, owner: str = OWNER
) -> dict[str, tuple[int, Position]]:
    """Register, assign, activate and open a session for `names`: camera → (generation,
    position)."""
    for name in names:
        await registry.register(name, "site")
        assert await cameras.assign(name, owner, previous=None)
    for activation in await cameras.activate(owner, names):
        assert (
            await cameras.open_session(activation.camera, owner, activation.generation, SESSION)
            == "opened"
        )
    rows = await cameras.ownership(names)
    return {name: (rows[name].generation, rows[name].position) for name in names}
