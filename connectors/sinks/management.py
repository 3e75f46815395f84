"""What people do to sinks, for the command line and REST alike: make, look, test, pause, skip,
replay, rotate, delete. Every change has its audit record in its own transaction."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import BadInput, Conflict, NotFound
from actors.core.times import Rfc3339, rfc3339
from connectors.sinks import guard, sealed, signatures, trial
from connectors.sinks import spec as specs
from connectors.sinks.http_client import HttpAnswer, HttpClient
from connectors.sinks.sealed import Secret, Secrets
from storage.ports.background.jobs import Values
from storage.ports.background.sinks import (
    Attempt,
    CursorRow,
    HoleKind,
    Outcome,
    SinkBook,
    SinkHole,
    SinkReplay,
    SinkRow,
    SinkState,
)
from storage.ports.policy import Audit

SHOWN = 20  # cameras, holes and attempts that are shown of one sink

Record = Callable[[str, str, str], Audit]  # (action, target, detail) → the record of a change


class SinkStatus(msgspec.Struct, frozen=True):
    """A sink and how far it is behind: cameras and events not passed on yet, cameras parked and
    failing, the last error. `reason`: why it is paused or disabled."""

    name: str
    kind: str
    state: SinkState
    reason: str
    spec: Values
    created: Rfc3339
    cameras: int
    events: int
    parked: int
    failing: int
    error: str
    behind_s: float


class SinkCamera(msgspec.Struct, frozen=True):
    """How far a sink is in one camera; `last_offset` is the camera's end. `retry_at`: null while it
    waits for nothing."""

    camera: str
    epoch: str
    offset: int
    last_offset: int
    sent: str
    failures: int
    parked: bool
    error: str
    retry_at: Rfc3339 | None
    changed: Rfc3339


class HoleShown(msgspec.Struct, frozen=True):
    """Events that did not go out."""

    at: Rfc3339
    camera: str
    epoch: str
    first: int
    last: int
    kind: HoleKind
    reason: str
    error: str
    who: str


class AttemptShown(msgspec.Struct, frozen=True):
    """One try to send an event. `status`: of HTTP, 0 without an answer."""

    at: Rfc3339
    camera: str
    event: str
    status: int
    ms: int
    outcome: Outcome
    detail: str
    replay: bool


class SinkShown(SinkStatus, frozen=True):
    """One, with its cameras (those in trouble first), its holes and attempts (the newest first), at
    most 20 of each."""

    cursors: list[SinkCamera]
    holes: list[HoleShown]
    attempts: list[AttemptShown]


class SinkManagement:
    """For one who acts, `who`; `record` makes the audit record of a change. `keyring`: the folder
    of ``sinks.key``; `receivers`: networks in which private webhooks are reached all the same."""

    def __init__(
        self,
        store: SinkBook,
        keyring: Path,
        receivers: Sequence[str],
        *,
        who: str,
        record: Record,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._receivers = receivers
        self._who = who
        self._record = record
        self._now_s = now_s

    async def make(
        self, name: str, values: Values, *, secret: str, from_start: bool, paused: bool
    ) -> str:
        """A new one; what its receiver verifies with, which nobody is shown again. `secret` is for
        webhooks. Raises BadInput, Conflict."""
        specs.require_name(name)
        spec = specs.parse(values)
        kind = specs.kind_of(spec)
        kept = Secrets((Secret(secret),) if kind == "webhook" else ())
        text = sealed.seal(await self._key(), name, kept)
        row = SinkRow(name, kind, specs.built(spec), secrets=text, who=self._who)
        audit = self._record("sink.make", name, msgspec.json.encode(values).decode())
        if not await self._store.make(row, from_now=not from_start, paused=paused, audit=audit):
            raise Conflict(f"there is a sink {name} already")
        return signatures.shareable(secret) if kept.all else ""

    async def status(self, row: SinkRow) -> SinkStatus:
        """One as lists show it."""
        return SinkStatus(**await self._status(row))

    async def show(self, row: SinkRow, camera: str | None = None) -> SinkShown:
        """One with all that is known; attempts of `camera` alone."""
        cursors = await self._store.cursors(row.name, limit=SHOWN)
        holes = await self._store.holes(row.name, cameras=None, limit=SHOWN)
        tried = await self._store.attempts(row.name, camera=camera, limit=SHOWN)
        return SinkShown(
            **await self._status(row),
            cursors=[_camera(one) for one in cursors],
            holes=[_hole(one) for one in holes],
            attempts=[_attempt(one) for one in tried],
        )

    async def test(self, row: SinkRow) -> HttpAnswer:
        """What the receiver says of one message now. Raises Conflict for another kind."""
        spec = specs.parse(row.spec)
        kept = sealed.unseal(await self._key(), row.name, row.secrets)
        client = HttpClient(guard.networks(self._receivers))
        return await trial.trial(row.name, spec, kept, client, self._now_s())

    async def set_state(self, name: str, state: SinkState, action: str, reason: str = "") -> None:
        """Raises NotFound."""
        audit = self._record(f"sink.{action}", name, reason)
        if not await self._store.set_state(name, state, reason, audit=audit):
            raise missing(name)

    async def retry(self, name: str, camera: str) -> None:
        """Raises Conflict where nothing waits."""
        audit = self._record("sink.retry", f"{name}/{camera}", "")
        if not await self._store.retry(name, camera, audit=audit):
            raise Conflict(f"camera {camera} waits for nothing at sink {name}")

    async def skip(self, name: str, camera: str, reason: str) -> tuple[str, int]:
        """(epoch, offset) of the event that is passed over. Raises Conflict where nothing is
        parked."""
        at = await self._cursor(name, camera)
        if at is None or not at.parked:
            raise Conflict(
                f"camera {camera} is not parked at sink {name}", hint="`eyrie sinks show` says."
            )
        epoch, offset = at.epoch, at.offset + 1
        hole = SinkHole(camera, epoch, offset, offset, "skipped", reason, who=self._who)
        audit = self._record("sink.skip", f"{name}/{camera}/{epoch}/{offset}", reason)
        if not await self._store.skip(name, camera, hole, audit=audit):
            raise Conflict(f"camera {camera} went on just now")
        return epoch, offset

    async def replay(
        self, row: SinkRow, camera: str, first: int, last: int = 0, epoch: str = ""
    ) -> SinkReplay:
        """Events once more; `last` 0: up to where the sink is, `epoch` empty: the present one.
        Raises Conflict, NotFound, BadInput."""
        if row.kind != "webhook":
            raise Conflict(
                f"sink {row.name} keeps a stream of each event once",
                hint="Consumers read a stream again from where they want.",
            )
        at = await self._cursor(row.name, camera)
        if at is None:
            raise NotFound(f"sink {row.name} knows no camera {camera}")
        last = last or at.offset
        if not 1 <= first <= last:
            raise BadInput("from and to are offsets, the first not beyond the last")
        asked = SinkReplay(0, camera, epoch or at.epoch, first, last)
        detail = f"{asked.epoch} {first}..{last}"
        audit = self._record("sink.replay", f"{row.name}/{camera}", detail)
        number = await self._store.replay(row.name, asked, who=self._who, audit=audit)
        if not number:
            raise missing(row.name)
        return msgspec.structs.replace(asked, id=number)

    async def rotate(self, row: SinkRow, secret: str) -> str:
        """Both sign for a day; what the receiver verifies with from now on. Raises Conflict for
        what signs nothing, NotFound."""
        if row.kind != "webhook":
            raise Conflict(f"sink {row.name} is no webhook", hint="Nothing of it is signed.")
        key = await self._key()
        kept = sealed.unseal(key, row.name, row.secrets).rotated(secret, self._now_s())
        audit = self._record("sink.rotate", row.name, "")
        if not await self._store.set_secrets(
            row.name, sealed.seal(key, row.name, kept), audit=audit
        ):
            raise missing(row.name)
        return signatures.shareable(secret)

    async def delete(self, name: str) -> None:
        """With all that is known of it. Raises NotFound."""
        if not await self._store.remove(name, audit=self._record("sink.delete", name, "")):
            raise missing(name)

    async def row(self, name: str) -> SinkRow:
        """Raises NotFound."""
        row = await self._store.get(name)
        if row is None:
            raise missing(name)
        return row

    async def _status(self, row: SinkRow) -> dict[str, Any]:
        lag = await self._store.lag(row.name)
        told = msgspec.structs.asdict(lag) | {"behind_s": round(lag.behind_s, 3)}
        about = {"name": row.name, "kind": row.kind, "state": row.state, "reason": row.reason}
        return {**about, "spec": row.spec, "created": rfc3339(row.created_us), **told}

    async def _cursor(self, name: str, camera: str) -> CursorRow | None:
        return next(iter(await self._store.cursors(name, limit=1, camera=camera)), None)

    async def _key(self) -> bytes:
        return await asyncio.to_thread(sealed.key_of, self._keyring)


def missing(name: str) -> NotFound:
    """The same, whether it is not there or not to be known of."""
    return NotFound(f"there is no sink {name[:80]}", hint="`eyrie sinks list` shows what there is.")


def _camera(row: CursorRow) -> SinkCamera:
    told = msgspec.structs.asdict(row)
    changed, retry = told.pop("changed_us"), told.pop("retry_at_us")
    return SinkCamera(**told, changed=rfc3339(changed), retry_at=rfc3339(retry) if retry else None)


def _hole(row: SinkHole) -> HoleShown:
    names = ("camera", "epoch", "first", "last", "kind", "reason", "error", "who")
    return HoleShown(rfc3339(row.at_us), **{name: getattr(row, name) for name in names})


def _attempt(row: Attempt) -> AttemptShown:
    told = msgspec.structs.asdict(row)
    return AttemptShown(rfc3339(told.pop("at_us")), **told)
