"""One PostgreSQL and one Redis for the tests of a module; every test has cameras of its own."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

import pytest

from actors.core.settings import Settings
from storage.migrations import migrate
from storage.stores import Stores, open_stores
from tests.support.camera_rig import SCENE, Process, settings_of
from tests.support.servers import store_servers
from tests.support.servers.store_servers import Server


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server, Settings]]:
    with store_servers.postgres() as (database, dsn), store_servers.redis() as (redis, url):
        yield database, redis, settings_of(dsn, url)


@pytest.fixture
def settings(servers: tuple[Server, Server, Settings]) -> Settings:
    return servers[2]


@pytest.fixture
async def stores(settings: Settings) -> AsyncIterator[Stores]:
    await migrate(settings)
    opened = await open_stores(settings, name="test")
    yield opened
    await opened.close()


@pytest.fixture
async def site(stores: Stores) -> str:
    return f"site-{secrets.token_hex(3)}"


@pytest.fixture
async def camera(stores: Stores, site: str) -> str:
    name = f"cam-{secrets.token_hex(3)}"
    await stores.registry.register(name, site, scene=SCENE)
    return name


@pytest.fixture
async def begin(
    settings: Settings, stores: Stores
) -> AsyncIterator[Callable[[Sequence[str]], Awaitable[Process]]]:
    """Start an actor process for cameras; all are closed at the end."""
    begun: list[Process] = []

    async def start(cameras: Sequence[str]) -> Process:
        begun.append(await Process.begin(settings, stores, cameras))
        return begun[-1]

    yield start
    for process in begun:
        await process.end()
