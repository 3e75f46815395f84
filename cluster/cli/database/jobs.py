"""``eyrie jobs``: what background work there is, and what becomes of it.

It asks the database, so it works while no hub runs."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from actors.core.errors import BadInput, Conflict, EyrieError, NotFound
from actors.core.times import rfc3339
from cluster.cli import console
from cluster.cli.database.audit_log import sealing_key, stored_at
from cluster.cli.database.machine_user import machine_user
from cluster.cli.options import add_database_options, loaded, whole
from cluster.event_archive import database_of
from policy.audit import sealing
from storage.ports.audit_log import AuditDraft
from storage.ports.background.jobs import JOB_STATES, JobRow
from storage.ports.background.schedules import ScheduleRow
from storage.ports.policy import Audit
from storage.postgres.audit_log import PostgresAuditLog
from storage.postgres.background.jobs import PostgresJobStore
from storage.postgres.background.schedules import PostgresScheduleStore
from storage.postgres.pool import Database

EXAMPLES = """examples:
  eyrie jobs list --state dead                 what failed for good, and why
  eyrie jobs show 17                           one, with arguments, progress and result
  eyrie jobs replay 17 18                      try them again, with all their attempts
  eyrie jobs discard 19 --reason "old host"    keep a dead one no longer
  eyrie jobs cancel 20 --reason "not needed"   a ready one at once, a running one within seconds
  eyrie jobs schedules                         what makes jobs by time
  eyrie jobs run events.retention              a schedule's job now
  eyrie jobs pause rows.retention              and `resume`

exit codes: 0 done, 1 at least one was not, 2 wrong usage
"""
BAR = 10  # characters of a progress bar
CHANGES = ("cancel", "replay", "discard", "run", "pause", "resume")


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "jobs",
        help="background work",
        description="Jobs and schedules: list, show, run, cancel, replay, discard.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="command")
    found = kinds.add_parser("list", help="the newest first")
    found.add_argument("--state", default=None, choices=JOB_STATES)
    found.add_argument("--of-kind", default=None, metavar="KIND", help="only of this kind")
    found.add_argument("--before", type=whole, default=None, metavar="ID", help="only smaller ids")
    found.add_argument("--limit", type=whole, default=50, metavar="N", help="at most (default 50)")
    kinds.add_parser("show", help="one").add_argument("id", type=whole)
    kinds.add_parser("schedules", help="what makes jobs by time")
    for name, help in (
        ("cancel", "stop one, ready or running"),
        ("replay", "try a dead one again"),
        ("discard", "keep a dead one no longer"),
    ):
        change = kinds.add_parser(name, help=help)
        change.add_argument("ids", type=whole, nargs="+", metavar="ID")
        if name != "replay":
            change.add_argument("--reason", required=True, help="why; it is kept with them")
    for name, help in (
        ("run", "the job of a schedule, now"),
        ("pause", "have a schedule make no jobs"),
        ("resume", "end a pause, with the next time to come"),
    ):
        kinds.add_parser(name, help=help).add_argument("schedule")
    for name, kind in kinds.choices.items():
        add_database_options(kind, changes=name in CHANGES)


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when all of it was done."""
    source = arguments.source or stored_at(loaded(arguments).settings)
    key = sealing_key(arguments) if arguments.kind in CHANGES else b""

    async def act() -> int:
        database = await Database.open(settings, name="eyrie jobs")
        try:
            return await _Command(arguments, database, key).act()
        finally:
            await database.close()

    with database_of(source) as settings:
        return asyncio.run(act())


class _Command:
    def __init__(self, arguments: argparse.Namespace, database: Database, key: Any) -> None:
        self._given = arguments
        self._jobs = PostgresJobStore(database)
        self._schedules = PostgresScheduleStore(database)
        self._log = PostgresAuditLog(database)
        self._key = key

    async def act(self) -> int:
        """The exit code."""
        acts: dict[str, Callable[[], Awaitable[int]]] = {
            "list": self._list,
            "show": self._show,
            "schedules": self._all_schedules,
            "run": self._run,
            "pause": self._pause,
            "resume": self._pause,
        }
        return await acts.get(self._given.kind, self._each)()

    async def _list(self) -> int:
        given = self._given
        if not 1 <= given.limit <= 1_000:
            raise BadInput("--limit lies between 1 and 1000")
        rows = await self._jobs.list(
            state=given.state, kind=given.of_kind, before=given.before, limit=given.limit
        )
        if given.json:
            console.emit([shown(row) for row in rows])
            return console.OK
        columns = ("job", "kind", "lane", "state", "attempt", "progress", "run at", "error")
        console.table("", columns, [_line(row) for row in rows])
        return console.OK

    async def _show(self) -> int:
        row = await self._jobs.get(self._given.id)
        if row is None:
            raise _no_job(self._given.id)
        if self._given.json:
            console.emit(shown(row))
        else:
            told = [(name, _text(value)) for name, value in shown(row).items()]
            console.table(f"job {row.id}", ("field", "value"), told)
        return console.OK

    async def _all_schedules(self) -> int:
        rows = await self._schedules.all()
        if self._given.json:
            console.emit([_schedule(row) for row in rows])
            return console.OK
        columns = ("schedule", "kind", "when", "next", "last job")
        console.table("", columns, [_schedule_line(row) for row in rows])
        return console.OK

    async def _run(self) -> int:
        name = self._given.schedule
        who, audit = machine_user(), self._audit("schedule.run", name)
        job = await self._schedules.run_now(name, who=who, audit=audit)
        if job is None:
            raise _no_schedule(name)
        if job == 0:
            raise Conflict(
                f"a job of {name} is alive already", hint="`eyrie jobs list` shows how far it is."
            )
        return self._told({"schedule": name, "job": job}, f"job {job} is ready")

    async def _pause(self) -> int:
        name, paused = self._given.schedule, self._given.kind == "pause"
        if all(row.schedule.name != name for row in await self._schedules.all()):
            raise _no_schedule(name)
        audit = self._audit(f"schedule.{self._given.kind}", name)
        changed = await self._schedules.pause(name, paused, audit=audit)
        word = "paused" if paused else "going on"
        told = f"{name} is {word}" if changed else f"{name} was {word} already"
        return self._told({"schedule": name, "paused": paused, "changed": changed}, told)

    async def _each(self) -> int:
        """Those of several that can be; the others are told."""
        code, done = console.OK, list[dict[str, Any]]()
        for id in self._given.ids:
            try:
                state = await self._change(id)
            except EyrieError as error:
                console.fail(error)
                code = console.FAILED
                continue
            done.append({"id": id, "state": state})
            if not self._given.json:
                console.say(f"job {id}: {state}")
        if self._given.json:
            console.emit(done)
        return code

    async def _change(self, id: int) -> str:
        """What it is now."""
        kind, reason = self._given.kind, getattr(self._given, "reason", "")
        audit = self._audit(f"job.{kind}", str(id), reason)
        state: str
        if kind == "cancel":
            state = await self._jobs.cancel(id, reason=reason, audit=audit)
            state = "its worker is asked to stop" if state == "asked" else state
        elif kind == "replay":
            state = "ready" if await self._jobs.replay(id, audit=audit) else ""
        else:
            done = await self._jobs.discard(id, reason=reason, audit=audit)
            state = "discarded" if done else ""
        if state:
            return state
        row = await self._jobs.get(id)
        if row is None:
            raise _no_job(id)
        raise Conflict(f"job {id} is {row.state}", hint=f"There is nothing to {kind}.")

    def _audit(self, action: str, target: str, detail: str = "") -> Audit:
        who = f"{machine_user()} (eyrie jobs)"
        return self._log.writer(sealing(self._key, AuditDraft(who, "", action, target, detail)))

    def _told(self, value: Mapping[str, Any], words: str) -> int:
        if self._given.json:
            console.emit(value)
        else:
            console.say(words, style="green")
        return console.OK


def shown(row: JobRow) -> dict[str, Any]:
    """A job for people and programs: times as text, without what is empty."""
    told = {
        name.removesuffix("_us"): rfc3339(value) if name.endswith("_us") and value else value
        for name, value in msgspec.structs.asdict(row).items()
    }
    return {name: value for name, value in told.items() if value not in ("", 0, {}, False)}


def bar(progress: Mapping[str, Any]) -> str:
    """`done` of `total` in a job's progress, as a bar; `done` alone as a number."""
    done, total = progress.get("done"), progress.get("total")
    if not isinstance(done, int | float):
        return ""
    if not isinstance(total, int | float) or total <= 0:
        return f"{done:g}"
    share = min(1.0, max(0.0, done / total))
    full = int(share * BAR)
    return f"{'█' * full}{'░' * (BAR - full)} {share:.0%}"


def _line(row: JobRow) -> tuple[str, ...]:
    return (
        str(row.id),
        row.kind,
        row.lane or "-",
        row.state,
        f"{row.attempt} of {row.max_attempts}",
        bar(row.progress),
        rfc3339(row.run_at_us)[:19],
        row.error[:80],
    )


def _schedule(row: ScheduleRow) -> dict[str, Any]:
    told = {
        **msgspec.structs.asdict(row.schedule),
        "paused": row.paused,
        "next": rfc3339(row.due_us) if row.due_us else None,
        "last": rfc3339(row.last_slot_us) if row.last_slot_us else None,
        "last_job": row.last_job or None,
    }
    return told


def _schedule_line(row: ScheduleRow) -> tuple[str, ...]:
    schedule = row.schedule
    when = f"every {schedule.every_s:g} s" if schedule.every_s else f"{schedule.at} {schedule.zone}"
    due = "paused" if row.paused else rfc3339(row.due_us)[:19] if row.due_us else "not reckoned yet"
    return (schedule.name, schedule.kind, when, due, str(row.last_job or "-"))


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else str(value)


def _no_job(id: int) -> NotFound:
    return NotFound(f"there is no job {id}", hint="`eyrie jobs list` shows what there is.")


def _no_schedule(name: str) -> NotFound:
    return NotFound(f"there is no schedule {name[:80]}", hint="`eyrie jobs schedules` lists them.")
