"""All the in-memory doubles of storage together, in the shape that a process opens the real
ones."""

from dataclasses import dataclass

from tests.support.doubles.memory_alerts import MemoryAlertingCameras, MemoryAlertStore
from tests.support.doubles.memory_cluster import MemoryClusterStore
from tests.support.doubles.memory_connectors import MemoryBreakerStore, MemoryConnectorStore
from tests.support.doubles.memory_counts import MemoryCountStore
from tests.support.doubles.memory_jobs import MemoryJobStore
from tests.support.doubles.memory_postgres import (
    MemoryCameraStore,
    MemoryDatabase,
    MemoryDeadLetterStore,
    MemoryEventStore,
)
from tests.support.doubles.memory_privacy import MemoryPrivacyStore
from tests.support.doubles.memory_redis import MemoryBroker, MemoryPublisher, MemoryRedis
from tests.support.doubles.memory_registry import MemoryRegistry
from tests.support.doubles.memory_schedules import MemoryScheduleStore
from tests.support.doubles.memory_sinks import MemorySinkStore


@dataclass
class MemoryStores:
    """One database and one Redis. Switches: `database.faults` and `redis.faults`
    (`tests.support.doubles.faults`)."""

    database: MemoryDatabase
    redis: MemoryRedis
    cameras: MemoryCameraStore
    events: MemoryEventStore
    registry: MemoryRegistry
    dead_letters: MemoryDeadLetterStore
    publisher: MemoryPublisher
    cluster: MemoryClusterStore
    jobs: MemoryJobStore
    schedules: MemoryScheduleStore
    connectors: MemoryConnectorStore
    breakers: MemoryBreakerStore
    privacy: MemoryPrivacyStore
    counts: MemoryCountStore
    sinks: MemorySinkStore
    alerts: MemoryAlertStore

    def broker(self) -> MemoryBroker:
        """Another hub's broker."""
        return MemoryBroker(self.redis)


def memory_stores() -> MemoryStores:
    """Empty ones."""
    database, redis, jobs = MemoryDatabase(), MemoryRedis(), MemoryJobStore()
    alerts = MemoryAlertStore(database)
    return MemoryStores(
        database=database,
        redis=redis,
        cameras=MemoryAlertingCameras(database, alerts),
        events=MemoryEventStore(database),
        registry=MemoryRegistry(database),
        dead_letters=MemoryDeadLetterStore(database),
        publisher=MemoryPublisher(redis),
        cluster=MemoryClusterStore(lambda camera: camera in database.cameras),
        jobs=jobs,
        schedules=MemoryScheduleStore(jobs),
        connectors=MemoryConnectorStore(lambda: jobs.now_us),
        breakers=MemoryBreakerStore(),
        privacy=MemoryPrivacyStore(),
        counts=MemoryCountStore(database),
        sinks=MemorySinkStore(),
        alerts=alerts,
    )
