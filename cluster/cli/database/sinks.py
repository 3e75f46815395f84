"""``eyrie sinks``: where events go outside of Eyrie.

It asks the database, so it works while no hub runs; what it changes stands in the audit log."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import BadInput, NotFound
from actors.core.settings import Settings
from cluster.cli import console
from cluster.cli.database.audit_log import sealing_key, stored_at
from cluster.cli.database.machine_user import machine_user
from cluster.cli.database.sink_options import CHANGES, add_commands, spec_of
from cluster.cli.options import loaded, running
from cluster.event_archive import database_of
from connectors.sinks import signatures
from connectors.sinks.management import AttemptShown, HoleShown, SinkCamera, SinkManagement
from policy.audit import sealing
from storage.events.sinks import PostgresSinkStore
from storage.ports.audit_log import AuditDraft
from storage.ports.background.sinks import SinkRow, SinkState
from storage.ports.policy import Audit
from storage.postgres.audit_log import PostgresAuditLog
from storage.postgres.pool import Database
from storage.stores import keyring_folder


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    add_commands(commands)


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when it was done."""
    settings = loaded(arguments).settings
    if arguments.kind == "where":
        return _where(arguments, settings)
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


def _where(arguments: argparse.Namespace, settings: Settings) -> int:
    """The server of the settings, else that of the instance which runs there."""
    nats = settings.nats if settings.nats.url else running(arguments).nats
    if not nats.url:
        raise NotFound("there is no NATS server", hint="Set EYRIE_NATS_URL.")
    if arguments.json:
        console.emit({"url": nats.url, "token_file": nats.token_file})
    else:
        rows = [("url", nats.url), ("token file", nats.token_file or "(none)")]
        console.table("NATS", ("field", "value"), rows)
    return console.OK


class _Command:
    def __init__(
        self, arguments: argparse.Namespace, settings: Settings, database: Database, key: Any
    ) -> None:
        self._given = arguments
        self._sinks = PostgresSinkStore(database)
        self._log = PostgresAuditLog(database)
        self._key = key
        self._management = SinkManagement(
            self._sinks,
            keyring_folder(settings),
            settings.sinks.private_receivers,
            who=machine_user(),
            record=self._audit,
        )

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
        shown = await self._management.make(
            given.name,
            spec_of(given),
            secret=self._new_secret(),
            from_start=given.from_start,
            paused=given.paused,
        )
        return self._told_secret(given.name, shown, f"sink {given.name} is made")

    async def _list(self) -> int:
        shown = [await self._management.status(row) for row in await self._sinks.all()]
        if self._given.json:
            console.emit(msgspec.to_builtins(shown))
            return console.OK
        columns = ("sink", "kind", "state", "behind", "parked", "failing", "error")
        lines = [
            (
                *(one.name, one.kind, one.state, str(one.events), str(one.parked)),
                str(one.failing),
                (one.reason or one.error)[:80],
            )
            for one in shown
        ]
        console.table("", columns, lines)
        return console.OK

    async def _show(self) -> int:
        row = await self._row()
        shown = await self._management.show(row, self._given.camera)
        told = dict(msgspec.to_builtins(shown))
        if self._given.json:
            console.emit(told)
            return console.OK
        few = {name: told[name] for name in told if name not in ("cursors", "holes", "attempts")}
        console.table(f"sink {row.name}", ("field", "value"), _fields(few))
        of_cameras = ("camera", "offset", "of", "failures", "error")
        console.table("cameras", of_cameras, map(_at, shown.cursors))
        of_holes = ("camera", "offsets", "kind", "reason")
        console.table("holes", of_holes, map(_hole, shown.holes))
        columns = ("at", "event", "status", "ms", "outcome", "detail")
        console.table("attempts", columns, map(_attempt, shown.attempts))
        return console.OK

    async def _test(self) -> int:
        row = await self._row()
        answer = await self._management.test(row)
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
        name = self._given.name
        await self._management.set_state(name, state, self._given.kind, reason)
        return self._told({"sink": name, "state": state}, f"sink {name} is {state}")

    async def _retry(self) -> int:
        row, camera = await self._row(), self._given.camera
        await self._management.retry(row.name, camera)
        return self._told({"sink": row.name, "camera": camera}, "it is tried again")

    async def _skip(self) -> int:
        row, camera = await self._row(), self._given.camera
        epoch, offset = await self._management.skip(row.name, camera, self._given.reason)
        told = {"sink": row.name, "camera": camera, "epoch": epoch, "offset": offset}
        return self._told(told, f"event {offset} of {camera} is passed over, and told as a hole")

    async def _replay(self) -> int:
        row, given = await self._row(), self._given
        made = await self._management.replay(
            row, given.camera, given.first, given.last, given.epoch
        )
        told = {"sink": row.name, "replay": made.id, "from": made.next, "to": made.last}
        words = f"replay {made.id}: {made.next} to {made.last} of {given.camera}"
        return self._told(told, words)

    async def _rotate(self) -> int:
        row = await self._row()
        shown = await self._management.rotate(row, self._new_secret())
        return self._told_secret(row.name, shown, "both secrets sign for a day")

    async def _delete(self) -> int:
        name = self._given.name
        await self._management.delete(name)
        return self._told({"sink": name, "deleted": True}, f"sink {name} is deleted")

    async def _row(self) -> SinkRow:
        return await self._management.row(self._given.name)

    def _new_secret(self) -> str:
        """Out of a file, never out of the command line, or a fresh one."""
        if self._given.secret_file:
            path = Path(self._given.secret_file)
            try:
                return signatures.require_secret(path.read_text("utf-8").strip())
            except (OSError, UnicodeDecodeError) as error:
                raise BadInput(f"{path} cannot be read: {error}") from error
        return signatures.new_secret(self._given.scheme)

    def _audit(self, action: str, target: str, detail: str) -> Audit:
        who = f"{machine_user()} (eyrie sinks)"
        return self._log.writer(sealing(self._key, AuditDraft(who, "", action, target, detail)))

    def _told_secret(self, name: str, shown: str, words: str) -> int:
        if shown and not self._given.json:
            words += f"\nwhat its receiver verifies with, shown this once: {shown}"
        return self._told({"sink": name, **({"verify_with": shown} if shown else {})}, words)

    def _told(self, value: Mapping[str, Any], words: str) -> int:
        if self._given.json:
            console.emit(value)
        else:
            console.say(words, style="green")
        return console.OK


def _fields(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, msgspec.json.encode(value).decode() if isinstance(value, dict) else str(value))
        for name, value in summary.items()
    ]


def _at(row: SinkCamera) -> tuple[str, ...]:
    error = f"parked: {row.error}" if row.parked else row.error
    offsets = (str(row.offset), str(row.last_offset))
    return (row.camera, *offsets, str(row.failures), error[:80])


def _hole(row: HoleShown) -> tuple[str, ...]:
    return (row.camera, f"{row.first}..{row.last}", row.kind, row.reason[:80])


def _attempt(row: AttemptShown) -> tuple[str, ...]:
    numbers = (str(row.status), str(row.ms))
    return (row.at[:19], row.event, *numbers, row.outcome, row.detail[:80])
