"""`eyrie audit verify --config`: what is verified is the database that the settings name."""

import asyncio
from pathlib import Path

import pytest

from actors.core.messages.commits import Activation
from cluster.cli.main import main
from storage.events.archive import read_archive
from storage.migrations import migrate
from storage.ports.events import EventRow
from storage.postgres.cameras import PostgresCameraStore
from storage.postgres.pool import Database
from storage.postgres.registry import PostgresRegistry
from tests.support.servers.store_fixtures import settings_of
from tests.support.servers.store_servers import postgres
from tests.support.store_rows import event_of, row_of, running


def test_the_database_of_the_settings_is_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with postgres() as (_, dsn):
        asyncio.run(store(dsn, tampered=False))
        config = tmp_path / "eyrie.toml"
        config.write_text(f'[postgres]\ndsn = "{dsn}"\n[data]\ndir = "{tmp_path / "none"}"\n')
        assert main(["audit", "--config", str(config), "verify", "--json"]) == 0
        assert '"events":1' in capsys.readouterr().out.replace(" ", "")
        asyncio.run(store(dsn, tampered=True))
        assert main(["audit", "--config", str(config), "verify", "--json"]) == 1


async def test_an_audit_of_a_database_that_is_written_to_is_of_one_moment() -> None:
    """The rows and the events agree, whatever is committed while they are read."""
    with postgres() as (_, dsn):
        settings = settings_of(dsn, "")
        await migrate(settings)
        database = await Database.open(settings.postgres, name="test")
        store = PostgresCameraStore(database)
        ((generation, position),) = (
            await running(PostgresRegistry(database), store, ["cam-1"])
        ).values()
        ended = asyncio.Event()

        async def write() -> int:
            at = position
            while not ended.is_set():
                row = row_of("cam-1", generation, at, events=[event_of("cam-1", at)])
                assert await store.commit([row]) == {"cam-1"}
                at = row.after
            return at.last_offset

        writing = asyncio.create_task(write())
        try:
            for _ in range(40):
                found = [item async for item in read_archive(settings.postgres)]
                [row] = [item for item in found if isinstance(item, Activation)]
                assert [event.offset for event in found if isinstance(event, EventRow)] == list(
                    range(1, row.position.last_offset + 1)
                )
        finally:
            ended.set()
            written = await writing
            await database.close()
        assert written > 40, "nothing was written meanwhile"


async def store(dsn: str, *, tampered: bool) -> None:
    """One camera with one event; or that event, altered by hand."""
    settings = settings_of(dsn, "")
    await migrate(settings)
    database = await Database.open(settings.postgres, name="test")
    if tampered:
        await database.fetch(
            "UPDATE events SET body = replace(convert_from(body, 'UTF8'), 'door', 'roof')::bytea",
            writing=True,
        )
    else:
        store = PostgresCameraStore(database)
        generation, position = (await running(PostgresRegistry(database), store, ["cam-1"]))[
            "cam-1"
        ]
        assert await store.commit(
            [row_of("cam-1", generation, position, events=[event_of("cam-1", position)])]
        ) == {"cam-1"}
        await database.fetch(
            "UPDATE positions SET snapshot = NULL", writing=True
        )  # the test's rows hold none that can be read
    await database.close()
