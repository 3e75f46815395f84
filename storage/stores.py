"""Everything a process asks of storage, opened together: one PostgreSQL and one Redis connection
for an actor process, more for a hub."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from actors.core.errors import Unavailable
from actors.core.settings import Settings
from storage.embedded import data_dir
from storage.events.events import PostgresEventStore
from storage.events.sinks import PostgresSinkStore
from storage.keyring import FolderKeyring
from storage.ports.alerts import AlertStore
from storage.ports.audit_log import AuditLog
from storage.ports.background.connectors import BreakerStore, ConnectorStore
from storage.ports.background.counts import CountStore
from storage.ports.background.jobs import JobStore
from storage.ports.background.schedules import ScheduleStore
from storage.ports.background.sinks import SinkStore
from storage.ports.cameras import CameraStore
from storage.ports.cluster import ClusterStore
from storage.ports.dead_letters import DeadLetterStore
from storage.ports.events import EventStore
from storage.ports.keyring import Keyring
from storage.ports.live import Publisher
from storage.ports.people import PeopleStore
from storage.ports.policy import DecisionStore, PolicyStore, RevisionStore, ShadowStore
from storage.ports.privacy import PrivacyStore
from storage.ports.processes import ActorStore, ApiStore, HubStore
from storage.ports.registry import Registry
from storage.postgres.alerts import PostgresAlertStore
from storage.postgres.audit_log import PostgresAuditLog
from storage.postgres.background.connectors import PostgresBreakerStore, PostgresConnectorStore
from storage.postgres.background.counts import PostgresCountStore
from storage.postgres.background.jobs import PostgresJobStore
from storage.postgres.background.schedules import PostgresScheduleStore
from storage.postgres.cameras import PostgresCameraStore
from storage.postgres.cluster import PostgresClusterStore
from storage.postgres.dead_letters import PostgresDeadLetterStore
from storage.postgres.decisions import PostgresDecisionStore, PostgresShadowStore
from storage.postgres.people.people import PostgresPeopleStore
from storage.postgres.people.privacy import PostgresPrivacyStore
from storage.postgres.policy import PostgresPolicyStore, PostgresRevisionStore
from storage.postgres.pool import Database
from storage.postgres.processes import PostgresActorStore, PostgresApiStore, PostgresHubStore
from storage.postgres.registry import PostgresRegistry
from storage.redis.broker import RedisBroker
from storage.redis.publisher import RedisPublisher

log = logging.getLogger("eyrie.storage")


@dataclass(frozen=True)
class Stores:
    """The ports of one process. `database` and `redis` are for closing, and for
    `storage.events.partitions`."""

    cameras: CameraStore
    events: EventStore
    registry: Registry
    dead_letters: DeadLetterStore
    actors: ActorStore
    hubs: HubStore
    api: ApiStore
    policy: PolicyStore
    revisions: RevisionStore
    decisions: DecisionStore
    shadows: ShadowStore
    audit_log: AuditLog
    cluster: ClusterStore
    jobs: JobStore
    schedules: ScheduleStore
    connectors: ConnectorStore
    breakers: BreakerStore
    counts: CountStore
    alerts: AlertStore
    privacy: PrivacyStore
    sinks: SinkStore
    people: PeopleStore
    publisher: Publisher
    keyring: Keyring
    database: Database
    redis: RedisPublisher

    async def close(self) -> None:
        """Give the connections back."""
        try:
            await self.redis.close()
        finally:
            await self.database.close()


def keyring_folder(settings: Settings) -> Path:
    """Where the keys of personal values lie."""
    if settings.events.keyring_dir:
        return Path(settings.events.keyring_dir).expanduser().absolute()
    return data_dir.of(settings).path / "keyring"


async def open_stores(
    settings: Settings, *, name: str = "", connections: int = 1, redis_needed: bool = False
) -> Stores:
    """Connect to both servers. `name` tells the process apart in them; `connections`: to
    PostgreSQL, at most.

    A commit needs PostgreSQL alone, so whoever starts while Redis is away begins without it; every
    later call connects by itself. Raises Unavailable when PostgreSQL (with `redis_needed` Redis as
    well) cannot be reached, ConfigError when one refuses us.
    """
    name = name or f"eyrie:{os.getpid()}"
    database = await Database.open(settings.postgres, name=name, size=connections)
    keyring = FolderKeyring(keyring_folder(settings))
    redis = RedisPublisher(settings.redis, name=name)
    try:
        await redis.open()
    except Unavailable as error:
        if redis_needed:
            await database.close()
            raise
        log.warning("%s begins without Redis: %s", name, error)
    except BaseException:
        await database.close()
        raise
    return Stores(
        cameras=PostgresCameraStore(database, keyring),
        events=PostgresEventStore(database, keyring),
        registry=PostgresRegistry(database),
        dead_letters=PostgresDeadLetterStore(database, keyring),
        actors=PostgresActorStore(database),
        hubs=PostgresHubStore(database),
        api=PostgresApiStore(database),
        policy=PostgresPolicyStore(database),
        revisions=PostgresRevisionStore(database),
        decisions=PostgresDecisionStore(database),
        shadows=PostgresShadowStore(database),
        audit_log=PostgresAuditLog(database),
        cluster=PostgresClusterStore(database),
        jobs=PostgresJobStore(database),
        schedules=PostgresScheduleStore(database),
        connectors=PostgresConnectorStore(database),
        breakers=PostgresBreakerStore(database),
        counts=PostgresCountStore(database),
        alerts=PostgresAlertStore(database),
        privacy=PostgresPrivacyStore(database, keyring),
        sinks=PostgresSinkStore(database, keyring),
        people=PostgresPeopleStore(database),
        publisher=redis,
        keyring=keyring,
        database=database,
        redis=redis,
    )


async def open_broker(settings: Settings, *, name: str = "") -> RedisBroker:
    """Connect a hub's broker: two connections to Redis. Raises Unavailable or ConfigError."""
    broker = RedisBroker(settings.redis, name=name or f"eyrie:{os.getpid()}")
    try:
        await broker.open()
    except BaseException:
        await broker.close()
        raise
    return broker
