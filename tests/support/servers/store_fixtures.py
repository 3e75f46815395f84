"""Fixtures of bare servers with our schema, and the doubles beside them (imported by the conftests
of the storage tests)."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from actors.core.settings import EventsSettings, PostgresSettings, RedisSettings, Settings
from storage.migrations import migrate
from storage.ports.alerts import AlertStore
from storage.ports.background.connectors import BreakerStore, ConnectorStore
from storage.ports.background.counts import CountStore
from storage.ports.background.jobs import JobStore
from storage.ports.background.schedules import ScheduleStore
from storage.ports.cameras import CameraStore
from storage.ports.cluster import ClusterStore
from storage.ports.dead_letters import DeadLetterStore
from storage.ports.events import EventStore
from storage.ports.live import Broker, Publisher
from storage.ports.registry import Registry
from storage.postgres.pool import Database
from storage.redis.connection import RedisLink
from storage.stores import Stores, open_broker, open_stores
from tests.support.doubles.stores import memory_stores
from tests.support.servers.store_servers import Server, postgres, redis

_KEYS = tempfile.TemporaryDirectory(prefix="eyrie-keys-")  # removed when the run ends


@dataclass(frozen=True)
class Servers:
    """Both servers and the settings that reach them."""

    settings: Settings
    postgres: Server
    redis: Server


@dataclass(frozen=True)
class Contract:
    """What a contract suite uses, real or double."""

    cameras: CameraStore
    events: EventStore
    registry: Registry
    dead_letters: DeadLetterStore
    publisher: Publisher
    broker: Broker
    cluster: ClusterStore
    jobs: JobStore
    schedules: ScheduleStore
    connectors: ConnectorStore
    breakers: BreakerStore
    counts: CountStore
    alerts: AlertStore


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Both servers, migrated, for the whole run. Tests that stop one make their own."""
    with postgres() as (postgres_server, dsn), redis() as (redis_server, url):
        settings = settings_of(dsn, url)
        asyncio.run(migrate(settings))
        yield Servers(settings, postgres_server, redis_server)


def settings_of(dsn: str, url: str, *, timeout_s: float = 10.0) -> Settings:
    """Settings that reach the two."""
    return Settings(
        postgres=PostgresSettings(dsn=dsn, connect_timeout_s=5.0, command_timeout_s=timeout_s),
        redis=RedisSettings(url=url, timeout_s=timeout_s),
        events=EventsSettings(keyring_dir=_KEYS.name),
    )


async def wipe(settings: Settings) -> None:
    """Empty both servers."""
    database = await Database.open(settings.postgres, name="wipe")
    await database.fetch(
        "TRUNCATE sites, cameras, positions, sessions, events, event_horizons, event_personal, "
        "dead_letters, actors, hubs, "
        "policy_revisions, policy_activations, policy_decisions, policy_shadows, policy_flips, "
        "revocations, audit_log, "
        "cluster_wanted, cluster_cordons, cluster_orders, cluster_troubles, cluster_operations, "
        "cluster_decisions, jobs, job_log, schedules, connectors, breakers, workers, "
        "counts, count_cursors, alerts, alert_work, alert_log, "
        "privacy_requests, privacy_places, holds, "
        "sinks, sink_cursors, sink_holes, sink_attempts, sink_replays, "
        "people, people_sessions, people_tickets"
    )
    await database.fetch(
        "UPDATE audit_head SET number = 0, hash = decode(repeat('00', 32), 'hex'), seal = ''"
    )
    await database.close()
    link = RedisLink(settings.redis, "wipe")
    await link.call([("FLUSHALL",)], writing=True)
    await link.close()


@pytest.fixture
async def stores(servers: Servers) -> AsyncIterator[Stores]:
    """The real stores over empty servers."""
    await wipe(servers.settings)
    opened = await open_stores(servers.settings, name="test", connections=4)
    yield opened
    await opened.close()


@pytest.fixture(params=["double", "real"])
async def contract(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Contract]:
    """The doubles, then the real ones."""
    if request.param == "double":
        memory = memory_stores()
        yield Contract(
            memory.cameras,
            memory.events,
            memory.registry,
            memory.dead_letters,
            memory.publisher,
            memory.broker(),
            memory.cluster,
            memory.jobs,
            memory.schedules,
            memory.connectors,
            memory.breakers,
            memory.counts,
            memory.alerts,
        )
        return
    settings = servers.settings
    await wipe(settings)
    opened = await open_stores(settings, name="test", connections=2)
    broker = await open_broker(settings, name="test")
    yield Contract(
        opened.cameras,
        opened.events,
        opened.registry,
        opened.dead_letters,
        opened.publisher,
        broker,
        opened.cluster,
        opened.jobs,
        opened.schedules,
        opened.connectors,
        opened.breakers,
        opened.counts,
        opened.alerts,
    )
    await broker.close()
    await opened.close()
