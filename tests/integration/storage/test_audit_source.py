"""`eyrie audit verify --config`: what is verified is the database that the settings name."""

import asyncio
from pathlib import Path

import pytest

from cluster.cli.main import main
from storage.migrations import migrate
from storage.postgres_cameras import PostgresCameraStore
from storage.postgres_pool import Database
from storage.postgres_registry import PostgresRegistry
from tests.support.store_fixtures import settings_of
from tests.support.store_rows import event_of, row_of, running
from tests.support.store_servers import postgres


def test_the_database_of_the_settings_is_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with postgres() as (_, dsn):
        asyncio.run(store(dsn, tampered=False))
        config = tmp_path / "eyrie.toml"
        config.write_text(f'[postgres]\ndsn = "{dsn}"\n[data]\ndir = "{tmp_path / "none"}"\n')
        assert main(["audit", "--config", str(config), "verify", "--json"]) == 0
        assert '"events":1' in capsys.readouterr().out.replace(" ", "")
        asyncio.run(store(dsn, tampered=True))
        assert main(["audit", "--config", str(config), "verify", "--json"]) == 1


async def store(dsn: str, *, tampered: bool) -> None:
    """One camera with one event; or that event, altered by hand."""
    settings = settings_of(dsn, "")
    await migrate(settings)
    database = await Database.open(settings.postgres, name="test")
    if tampered:
        await database.fetch("UPDATE events SET body = replace(convert_from(body, 'UTF8'), 'door', 'roof')::bytea", writing=True)
    else:
        store = PostgresCameraStore(database)
        generation, position = (await running(PostgresRegistry(database), store, ["cam-1"]))["cam-1"]
        assert await store.commit([row_of("cam-1", generation, position, events=[event_of("cam-1", position)])]) == {"cam-1"}
        await database.fetch("UPDATE positions SET snapshot = NULL", writing=True)  # the test's rows hold none that can be read
    await database.close()
