"""Requests of data subjects and holds in PostgreSQL: `storage.ports.privacy.PrivacyStore`."""

from collections.abc import Collection, Sequence
from typing import Any

from actors.core.errors import BadInput, Conflict
from actors.core.messages.personal_search import says
from actors.core.times import to_us
from storage.ports.background.jobs import NewJob
from storage.ports.keyring import Key, Keyring
from storage.ports.policy import Audit
from storage.ports.privacy import (
    MAX_LOOKED,
    MAX_PLACES,
    Found,
    Hold,
    NewRequest,
    RequestRow,
    Scope,
    ValuePlace,
)
from storage.postgres import rows as rows_of
from storage.postgres.background.jobs import columns_of
from storage.postgres.people.personal import opened
from storage.postgres.pool import Database
from storage.postgres.statements import sql

PAGE = 2_000  # values read by one statement
ERASURE = "privacy.erasure"  # the kind of job that carries one out
TRIES = 50  # of such a job: what it waits for may be away for hours


class PostgresPrivacyStore:
    """`storage.ports.privacy.PrivacyStore` over one :class:`Database`."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._sql = sql("privacy")

    async def search(self, scope: Scope, wanted: Collection[str]) -> Found:
        found: list[ValuePlace] = []
        looked = unreadable = 0
        beyond: tuple[str, str, int, str] = ("", "", 0, "")
        while True:
            rows = await self._database.fetch(self._sql["page"], *_scope(scope), *beyond, PAGE)
            secrets = await self._keyring.find({row["key"] for row in rows}) if wanted else {}
            for row in rows:
                said = _says(row, secrets, wanted) if wanted else True
                if said is None:
                    unreadable += 1
                elif said:
                    found.append(_place(row))
            looked += len(rows)
            if looked > MAX_LOOKED or len(found) > MAX_PLACES:
                raise BadInput(
                    f"there are more than {MAX_PLACES} places, or more than {MAX_LOOKED} values to "
                    "look through",
                    hint="Take fewer cameras or less time.",
                )
            if len(rows) < PAGE:
                return Found(found, looked, unreadable)
            last = rows[-1]
            beyond = (last["camera"], last["epoch"], last["offset"], last["path"])

    async def ask(self, request: NewRequest, *, audit: Audit) -> None:
        if len(request.places) > MAX_PLACES:
            raise BadInput(f"a request has at most {MAX_PLACES} places")
        scope = request.scope
        async with self._database.transaction(writing=True) as connection:
            await connection.execute(
                self._sql["ask"],
                request.id,
                request.kind,
                *_scope(scope),
                request.whole,
                request.purpose,
                request.asked_by,
                request.due_s,
            )
            columns = rows_of.columns(
                (
                    (one.camera, one.epoch, one.offset, one.received_us, one.path, one.class_)
                    for one in request.places
                ),
                6,
            )
            await connection.execute(self._sql["add_places"], request.id, *columns)
            await audit(connection)

    async def get(self, id: str) -> RequestRow | None:
        rows = await self._database.fetch(self._sql["get"], id)
        return _request(rows[0]) if rows else None

    async def requests(self, *, before_us: int, limit: int) -> Sequence[RequestRow]:
        rows = await self._database.fetch(self._sql["list"], before_us, limit)
        return [_request(row) for row in rows]

    async def places(self, id: str) -> Sequence[ValuePlace]:
        return [_place(row) for row in await self._database.fetch(self._sql["places"], id)]

    async def approve(self, id: str, by: str, *, audit: Audit) -> bool:
        """The job is made in the same transaction. A lane has one erasure carried out at a time."""
        job = NewJob(ERASURE, lane=ERASURE, args={"request": id}, max_attempts=TRIES, who=by)

        async def with_job(connection: Any) -> None:
            await connection.fetch(sql("jobs")["enqueue_one"], *columns_of(job))
            await audit(connection)

        return bool(await self._database.change(self._sql["approve"], id, by, audit=with_job))

    async def answer(self, id: str, *, audit: Audit) -> bool:
        return bool(await self._database.change(self._sql["answer"], id, audit=audit))

    async def withdraw(self, id: str, *, audit: Audit) -> bool:
        return bool(await self._database.change(self._sql["withdraw"], id, audit=audit))

    async def place_hold(self, hold: Hold, *, audit: Audit) -> None:
        async with self._database.transaction(writing=True) as connection:
            await connection.execute(self._sql["lock"])
            if under_way := await connection.fetchval(self._sql["under_way"], *_scope(hold.scope)):
                raise Conflict(
                    f"erasure {under_way} is under way there",
                    hint="What it does not erase can be held once it is done.",
                )
            await connection.execute(
                self._sql["place_hold"],
                hold.id,
                *_scope(hold.scope),
                hold.reason,
                hold.owner,
                hold.ends_us,
            )
            await audit(connection)

    async def holds(self) -> Sequence[Hold]:
        return [_hold(row) for row in await self._database.fetch(self._sql["holds"])]

    async def release_hold(self, id: str, by: str, *, audit: Audit) -> bool:
        return bool(await self._database.change(self._sql["release_hold"], id, by, audit=audit))


def _says(row: Any, secrets: Any, wanted: Collection[str]) -> bool | None:
    """None: nobody here can read it."""
    secret = secrets.get(row["key"])
    if secret is None:
        return False if row["key"] in secrets else None
    place = (row["camera"], row["epoch"], row["offset"])
    value = opened(place, row["path"], row["class"], Key(row["key"], secret), row["sealed"])
    return False if value is None else says(value.value, wanted)


def _scope(scope: Scope) -> tuple[list[str], int, int]:
    return list(scope.cameras), scope.since_us, scope.until_us


def _place(row: Any) -> ValuePlace:
    received_us = to_us(row["received"])
    return ValuePlace(
        row["camera"], row["epoch"], row["offset"], received_us, row["path"], row["class"]
    )


def _us(moment: Any) -> int:
    return 0 if moment is None else to_us(moment)


def _scope_of(row: Any) -> Scope:
    return Scope(tuple(row["cameras"]), to_us(row["since"]), to_us(row["until"]))


def _request(row: Any) -> RequestRow:
    return RequestRow(
        row["id"],
        row["kind"],
        row["state"],
        _scope_of(row),
        row["whole"],
        row["places"],
        row["purpose"],
        row["asked_by"],
        to_us(row["asked"]),
        to_us(row["due"]),
        row["approved_by"],
        _us(row["approved"]),
        _us(row["ended"]),
        row["outcome"],
        list(row["keys"]),
        row["steps"],
        row["receipt"],
    )


def _hold(row: Any) -> Hold:
    return Hold(
        row["id"],
        _scope_of(row),
        row["reason"],
        row["owner"],
        to_us(row["ends"]),
        to_us(row["placed"]),
        _us(row["released"]),
        row["released_by"],
    )
