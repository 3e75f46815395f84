"""Reading personal values back beside their events, for who reads events for somebody.

What cannot be opened is left out: the event says that it is erased or, where its key was not
destroyed and yet cannot be read, unavailable.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from actors.core.errors import Unavailable
from actors.core.messages.personal import COMMITTED, PersonalValue
from storage.events import windows
from storage.ports.events import EventRow
from storage.ports.keyring import Key, Keyring
from storage.postgres import rows as rows_of
from storage.postgres.people.personal import Place, opened
from storage.postgres.pool import Database
from storage.postgres.statements import sql

log = logging.getLogger("eyrie.storage.personal")


class PersonalValues:
    """Reads them back."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._statement = sql("personal")["of_events"]

    async def beside(self, rows: list[EventRow]) -> list[EventRow]:
        """The same rows with the personal values that can be read."""
        wanted = [row for row in rows if COMMITTED in row.body]
        if not wanted:
            return rows
        window = (
            windows.day_at(min(row.received_us for row in wanted)),
            windows.day_at(max(row.received_us for row in wanted)) + timedelta(days=1),
        )
        stored = await self._database.fetch(
            self._statement.replace("{window}", windows.condition(window)),
            *rows_of.columns(((row.camera, row.epoch, row.offset) for row in wanted), 3),
        )
        found: dict[Place, list[PersonalValue]] = {}
        secrets = await self._secrets({row["key"] for row in stored})
        for row in stored:
            place = (row["camera"], row["epoch"], row["offset"])
            if (value := _value(place, row, secrets)) is not None:
                found.setdefault(place, []).append(value)
        return [
            msgspec.structs.replace(row, personal=tuple(values))
            if (values := found.get((row.camera, row.epoch, row.offset)))
            else row
            for row in rows
        ]

    async def _secrets(self, ids: Iterable[str]) -> Mapping[str, bytes | None]:
        try:
            return await self._keyring.find(list(ids))
        except Unavailable as error:  # events go on without what is personal in them
            log.warning("personal values cannot be shown: %s", error)
            return {}


def _value(place: Place, row: Any, secrets: Mapping[str, bytes | None]) -> PersonalValue | None:
    secret = secrets.get(row["key"])
    if secret is not None:
        value = opened(place, row["path"], row["class"], Key(row["key"], secret), row["sealed"])
        if value is not None:
            return value
        log.error("a personal value of event %s/%s/%d is not genuine", *place)
    elif row["key"] in secrets:
        return None  # its key was destroyed
    return PersonalValue.unavailable(row["path"], row["class"])
