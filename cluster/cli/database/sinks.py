"""``eyrie sinks``: where events go outside of Eyrie.

It asks the database, so it works while no hub runs; what it changes stands in the audit log."""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import BadInput, Conflict, NotFound
from actors.core.settings import Settings
from actors.core.times import rfc3339
from cluster.cli import console
from cluster.cli.database.audit_log import sealing_key, stored_at
from cluster.cli.database.machine_user import machine_user
from cluster.cli.database.sink_options import CHANGES, add_commands, spec_of
from cluster.cli.options import loaded
from cluster.event_archive import database_of
from connectors.sinks import guard, sealed, signatures, trial
from connectors.sinks import spec as specs
from connectors.sinks.http_client import HttpClient
from connectors.sinks.sealed import Secret, Secrets
from policy.audit import sealing
from storage.events.sinks import PostgresSinkStore
from storage.ports.audit_log import AuditDraft
from storage.ports.background.sinks import CursorRow, SinkHole, SinkReplay, SinkRow, SinkState
from storage.ports.policy import Audit
from storage.postgres.audit_log import PostgresAuditLog
from storage.postgres.pool import Database
from storage.stores import keyring_folder

SHOWN = 20  # cameras, holes and attempts that `show` lists


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    add_commands(commands)


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when it was done."""
    settings = loaded(arguments).settings
    source = arguments.source or stored_at(settings)
    key = sealing_key(arguments) if arguments.kind in CHANGES else b""

    async def act() -> int:
        database = await Database.open(reached, name="eyrie sinks")
        try:
            return await _Command(arguments, settings, database, key).act()
        finally:
            await database.close()

    with database_of(source) as reached:
        return asyncio.run(act())


class _Command:
    def __init__(
        self, arguments: argparse.Namespace, settings: Settings, database: Database, key: Any
    ) -> None:
        self._given = arguments
        self._settings = settings
        self._sinks = PostgresSinkStore(database)
        self._log = PostgresAuditLog(database)
        self._key = key

    async def act(self) -> int:
        """The exit code."""
        acts: dict[str, Callable[[], Awaitable[int]]] = {
            "make": self._make,
            "list": self._list,
            "show": self._show,
            "test": self._test,
            "pause": self._pause,
            "resume": self._resume,
            "retry": self._retry,
            "skip": self._skip,
            "replay": self._replay,
            "rotate": self._rotate,
            "delete": self._delete,
        }
        return await acts[self._given.kind]()

    async def _make(self) -> int:
        given = self._given
        name = specs.require_name(given.name)
        values = spec_of(given)
        spec = specs.parse(values)
        kind = specs.kind_of(spec)
        secret = self._new_secret() if kind == "webhook" else ""
        kept = Secrets((Secret(secret),) if secret else ())
        text = sealed.seal(self._secrets_key(), name, kept)
        row = SinkRow(name, kind, specs.built(spec), secrets=text, who=machine_user())
        audit = self._audit("sink.make", name, msgspec.json.encode(values).decode())
        if not await self._sinks.make(
            row, from_now=not given.from_start, paused=given.paused, audit=audit
        ):
            raise Conflict(f"there is a sink {name} already")
        return self._told_secret(name, secret, f"sink {name} is made")

    async def _list(self) -> int:
        shown = [await self._summary(row) for row in await self._sinks.all()]
        if self._given.json:
            console.emit(shown)
            return console.OK
        columns = ("sink", "kind", "state", "behind", "parked", "failing", "error")
        lines = [
            (
                *tuple(
                    str(one[column]) for column in ("name", "kind", "state", "events", "parked")
                ),
                str(one["failing"]),
                str(one["reason"] or one["error"])[:80],
            )
            for one in shown
        ]
        console.table("", columns, lines)
        return console.OK

    async def _show(self) -> int:
        row = await self._row()
        cursors = await self._sinks.cursors(row.name, limit=SHOWN)
        holes = await self._sinks.holes(row.name, cameras=None, limit=SHOWN)
        tried = await self._sinks.attempts(row.name, camera=self._given.camera, limit=SHOWN)
        summary = await self._summary(row)
        told = {
            **summary,
            "cameras": [_plain(one) for one in cursors],
            "holes": [_plain(one) for one in holes],
            "attempts": [_plain(one) for one in tried],
        }
        if self._given.json:
            console.emit(told)
            return console.OK
        console.table(f"sink {row.name}", ("field", "value"), _fields(summary))
        console.table("cameras", ("camera", "offset", "of", "failures", "error"), map(_at, cursors))
        console.table("holes", ("camera", "offsets", "kind", "reason"), map(_hole, holes))
        columns = ("at", "event", "status", "ms", "outcome", "detail")
        lines = [
            (
                rfc3339(one.at_us)[:19],
                one.event,
                str(one.status),
                str(one.ms),
                one.outcome,
                one.detail[:80],
            )
            for one in tried
        ]
        console.table("attempts", columns, lines)
        return console.OK

    async def _summary(self, row: SinkRow) -> dict[str, Any]:
        lag = await self._sinks.lag(row.name)
        told = msgspec.structs.asdict(lag) | {"behind_s": round(lag.behind_s, 3)}
        about = {"name": row.name, "kind": row.kind, "state": row.state, "reason": row.reason}
        return {**about, "spec": row.spec, "created": rfc3339(row.created_us), **told}

    async def _test(self) -> int:
        row = await self._row()
        spec = specs.parse(row.spec)
        kept = sealed.unseal(self._secrets_key(), row.name, row.secrets)
        client = HttpClient(guard.networks(self._settings.sinks.private_receivers))
        answer = await trial.trial(row.name, spec, kept, client, time.time())
        good = 200 <= answer.status < 300
        told = {"sink": row.name, "ok": good, "status": answer.status, "detail": answer.detail}
        word = "took" if good else "did not take"
        self._told(told, f"the receiver {word} it: {answer.status or ''} {answer.detail}"[:300])
        return console.OK if good else console.FAILED

    async def _pause(self) -> int:
        return await self._state("paused", self._given.reason)

    async def _resume(self) -> int:
        return await self._state("active")

    async def _state(self, state: SinkState, reason: str = "") -> int:
        row = await self._row()
        audit = self._audit(f"sink.{self._given.kind}", row.name, reason)
        await self._sinks.set_state(row.name, state, reason, audit=audit)
        return self._told({"sink": row.name, "state": state}, f"sink {row.name} is {state}")

    async def _retry(self) -> int:
        row, camera = await self._row(), self._given.camera
        audit = self._audit("sink.retry", f"{row.name}/{camera}")
        if not await self._sinks.retry(row.name, camera, audit=audit):
            raise Conflict(f"camera {camera} waits for nothing at sink {row.name}")
        return self._told({"sink": row.name, "camera": camera}, "it is tried again")

    async def _skip(self) -> int:
        row, camera = await self._row(), self._given.camera
        at = await self._cursor(row.name, camera)
        if at is None or not at.parked:
            raise Conflict(
                f"camera {camera} is not parked at sink {row.name}",
                hint="`eyrie sinks show` says which are.",
            )
        reason, epoch, offset = self._given.reason, at.epoch, at.offset + 1
        hole = SinkHole(camera, epoch, offset, offset, "skipped", reason, who=machine_user())
        audit = self._audit("sink.skip", f"{row.name}/{camera}/{epoch}/{offset}", reason)
        if not await self._sinks.skip(row.name, camera, hole, audit=audit):
            raise Conflict(f"camera {camera} went on just now")
        told = {"sink": row.name, "camera": camera, "epoch": epoch, "offset": offset}
        return self._told(told, f"event {offset} of {camera} is passed over, and told as a hole")

    async def _replay(self) -> int:
        row, given = await self._row(), self._given
        if row.kind != "webhook":
            raise Conflict(
                f"sink {row.name} keeps a stream of each event once",
                hint="Consumers read a stream again from where they want.",
            )
        at = await self._cursor(row.name, given.camera)
        if at is None:
            raise NotFound(f"sink {row.name} knows no camera {given.camera}")
        last = given.last or at.offset
        if not 1 <= given.first <= last:
            raise BadInput("--from and --to are offsets, the first not beyond the last")
        replay = SinkReplay(0, given.camera, given.epoch or at.epoch, given.first, last)
        detail = f"{replay.epoch} {replay.next}..{replay.last}"
        audit = self._audit("sink.replay", f"{row.name}/{given.camera}", detail)
        number = await self._sinks.replay(row.name, replay, who=machine_user(), audit=audit)
        told = {"sink": row.name, "replay": number, "from": replay.next, "to": last}
        return self._told(told, f"replay {number}: {replay.next} to {last} of {given.camera}")

    async def _rotate(self) -> int:
        row = await self._row()
        key, secret = self._secrets_key(), self._new_secret()
        kept = sealed.unseal(key, row.name, row.secrets).rotated(secret, time.time())
        audit = self._audit("sink.rotate", row.name)
        await self._sinks.set_secrets(row.name, sealed.seal(key, row.name, kept), audit=audit)
        return self._told_secret(row.name, secret, "both secrets sign for a day")

    async def _delete(self) -> int:
        row = await self._row()
        await self._sinks.remove(row.name, audit=self._audit("sink.delete", row.name))
        return self._told({"sink": row.name, "deleted": True}, f"sink {row.name} is deleted")

    async def _row(self) -> SinkRow:
        row = await self._sinks.get(self._given.name)
        if row is None:
            raise NotFound(
                f"there is no sink {self._given.name[:80]}",
                hint="`eyrie sinks list` shows what there is.",
            )
        return row

    async def _cursor(self, name: str, camera: str) -> CursorRow | None:
        rows = await self._sinks.cursors(name, limit=1_000_000)
        return next((row for row in rows if row.camera == camera), None)

    def _new_secret(self) -> str:
        """Out of a file, never out of the command line, or a fresh one."""
        if self._given.secret_file:
            path = Path(self._given.secret_file)
            try:
                return signatures.require_secret(path.read_text("utf-8").strip())
            except (OSError, UnicodeDecodeError) as error:
                raise BadInput(f"{path} cannot be read: {error}") from error
        return signatures.new_secret(self._given.scheme)

    def _secrets_key(self) -> bytes:
        return sealed.key_of(keyring_folder(self._settings))

    def _audit(self, action: str, target: str, detail: str = "") -> Audit:
        who = f"{machine_user()} (eyrie sinks)"
        return self._log.writer(sealing(self._key, AuditDraft(who, "", action, target, detail)))

    def _told_secret(self, name: str, secret: str, words: str) -> int:
        shown = signatures.shareable(secret) if secret else ""
        if shown and not self._given.json:
            words += f"\nwhat its receiver verifies with, shown this once: {shown}"
        return self._told({"sink": name, **({"verify_with": shown} if shown else {})}, words)

    def _told(self, value: Mapping[str, Any], words: str) -> int:
        if self._given.json:
            console.emit(value)
        else:
            console.say(words, style="green")
        return console.OK


def _plain(row: Any) -> dict[str, Any]:
    """Times as text."""
    return {
        name.removesuffix("_us"): rfc3339(value) if name.endswith("_us") and value else value
        for name, value in msgspec.structs.asdict(row).items()
    }


def _fields(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, msgspec.json.encode(value).decode() if isinstance(value, dict) else str(value))
        for name, value in summary.items()
    ]


def _at(row: CursorRow) -> tuple[str, ...]:
    error = f"parked: {row.error}" if row.parked else row.error
    offsets = (str(row.offset), str(row.last_offset))
    return (row.camera, *offsets, str(row.failures), error[:80])


def _hole(row: SinkHole) -> tuple[str, ...]:
    return (row.camera, f"{row.first}..{row.last}", row.kind, row.reason[:80])
