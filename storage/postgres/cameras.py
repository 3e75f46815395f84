"""The camera rows in PostgreSQL: `storage.ports.cameras.CameraStore`. Every method is one
statement, one round trip; `activate` looks first whether the database is where it was."""

from collections.abc import Mapping, Sequence

from actors.core.errors import BadInput
from actors.core.messages.commits import Activation, CommitRow, Ownership
from storage.ports.keyring import Keyring
from storage.postgres import alerts
from storage.postgres import rows as rows_of
from storage.postgres.people import letters, personal
from storage.postgres.pool import Database
from storage.postgres.statements import sql

WIDTHS = {"commit_whole": 38, "commit_personal": 46}  # parameters
LETTER_AT = (0, 1, 3, 6, 4, 5)  # camera, session, code, received, detail and raw of a letter


def statements() -> dict[str, str]:
    """The statements over camera rows by name. ``commit_whole`` without personal values,
    ``commit_personal`` with them, and both with ``_alerts``."""
    found = dict(sql("cameras"))
    whole = found["commit_whole"]
    parts = {"commit_whole": "", "commit_personal": sql("personal")["store"]}
    for name, values in parts.items():
        text = whole.replace("{personal}", values)
        found[name] = text.replace("{alerts}", "")
        found[f"{name}_alerts"] = text.replace("{alerts}", alerts.part(WIDTHS[name]))
    return found


class PostgresCameraStore:
    """`storage.ports.cameras.CameraStore` over one :class:`Database`."""

    def __init__(self, database: Database, keyring: Keyring | None = None) -> None:
        """`keyring`: None where no personal value ever comes; one that does is refused, since it
        must be neither lost nor stored in the open."""
        self._database = database
        self._keyring = keyring
        self._sql = statements()

    async def assign(self, camera: str, owner: str | None, *, previous: str | None) -> bool:
        return bool(
            await self._database.fetch(self._sql["assign"], camera, owner, previous, writing=True)
        )

    async def activate(
        self, owner: str, cameras: Sequence[str], *, above: Mapping[str, int] | None = None
    ) -> list[Activation]:
        """A dump that was read back below open connections is met here: none of its rows fits what
        is to be committed."""
        await self._database.check_place()
        floors = [(above or {}).get(camera, 0) for camera in cameras]
        found = await self._database.fetch(
            self._sql["activate"], owner, list(cameras), floors, writing=True
        )
        return [rows_of.activation(row) for row in found]

    async def open_session(self, camera: str, owner: str, generation: int, session: str) -> str:
        return str(
            await self._database.fetch_value(
                self._sql["open_session"], camera, owner, generation, session, writing=True
            )
        )

    async def commit(self, rows: Sequence[CommitRow]) -> set[str]:
        if not rows:
            return set()
        if len({row.camera for row in rows}) != len(rows):
            raise BadInput("a commit holds one row for each camera")
        rows = sorted(
            rows, key=lambda row: row.camera
        )  # the order of locks; ids are ASCII, so it is PostgreSQL's "C" order
        arguments = rows_of.position_columns(rows)
        name = "commit_positions"
        if any(row.events or row.dead_letters or row.replayed for row in rows):
            name = "commit_whole"
            said = await letters.sealed(rows_of.letter_columns(rows), LETTER_AT, self._keyring)
            arguments += rows_of.event_columns(rows) + said + rows_of.replayed_columns(rows)
            if (values := await personal.columns(rows, self._keyring)) is not None:
                name = "commit_personal"
                arguments += values
            if (points := alerts.columns(rows)) is not None:
                name = f"{name}_alerts"
                arguments += points
        try:
            moved = await self._database.fetch(self._sql[name], *arguments, writing=True)
        except BadInput as error:
            if (poison := rows_of.find_poison(rows)) is not None:
                raise poison from error
            raise
        return {row[0] for row in moved}

    async def ownership(self, cameras: Sequence[str]) -> dict[str, Ownership]:
        found = await self._database.fetch(self._sql["ownership"], list(cameras))
        return {row["camera"]: rows_of.ownership(row) for row in found}

    async def owners(self) -> dict[str, str | None]:
        return {
            row["camera"]: row["owner"] for row in await self._database.fetch(self._sql["owners"])
        }

    async def homes(self) -> dict[str, str]:
        return {
            row["camera"]: row["site"] for row in await self._database.fetch(self._sql["homes"])
        }
