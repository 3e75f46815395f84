"""The API as the supervisor's process runs it: packaged policy, revoked tokens, a port that is
taken, an address that is found."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from actors.core.settings import ClusterSettings, PolicySettings, Settings
from cluster.api import service as hosting
from cluster.api.service import ApiHost
from policy.actor.policy_actor import PolicyActor
from policy.engine.modules import read_sources
from policy.engine.rego_engine import RegoEngine
from policy.identity.keys import ensure_secret
from policy.identity.tokens import issue
from storage.ports.policy import Revocation
from storage.ports.processes import ApiRecord
from tests.support.cluster.cluster_api import NODE, Rooms, StillInspector, StillSupervisor
from tests.support.doubles.memory_audit_log import MemoryAuditLog
from tests.support.doubles.memory_cluster import MemoryClusterStore
from tests.support.doubles.memory_jobs import MemoryJobStore
from tests.support.doubles.memory_redis import MemoryPublisher
from tests.support.doubles.memory_registry import MemoryRegistry
from tests.support.doubles.memory_schedules import MemoryScheduleStore
from tests.support.doubles.memory_sinks import MemorySinkStore
from tests.support.doubles.stores import memory_stores
from tests.support.hub.hub import Records
from tests.support.tokens import auth_settings
from tests.support.waiting import until


class Address:
    """`storage.ports.processes.ApiStore`."""

    def __init__(self) -> None:
        self.record: ApiRecord | None = None

    async def put(self, record: ApiRecord) -> None:
        """Keep it."""
        self.record = record

    async def find(self) -> ApiRecord | None:
        """What was kept."""
        return self.record

    def listens(self) -> bool:
        """Whether what was kept names a port."""
        return self.record is not None and self.record.port > 0


@dataclass
class Stores:
    """`cluster.api.service.HostStores` over memory."""

    cluster: MemoryClusterStore
    registry: MemoryRegistry
    jobs: MemoryJobStore
    schedules: MemoryScheduleStore
    sinks: MemorySinkStore
    policy: Records
    audit_log: MemoryAuditLog
    api: Address
    publisher: MemoryPublisher
    people: None = None


@asynccontextmanager
async def hosted(
    folder: Path, port: int = 0, *, working: Callable[[], bool] = lambda: True
) -> AsyncIterator[tuple[ApiHost, Stores, Settings]]:
    ensure_secret(folder / "policy.secret")
    settings = Settings(
        auth=auth_settings(folder),
        cluster=ClusterSettings(api_port=port),
        policy=PolicySettings(
            key_file=str(folder / "policy.secret"), decide_timeout_s=10.0, poll_s=0.05
        ),
    )
    memory = memory_stores()
    stores = Stores(
        memory.cluster,
        memory.registry,
        memory.jobs,
        memory.schedules,
        memory.sinks,
        Records(),
        MemoryAuditLog(),
        Address(),
        memory.publisher,
    )
    engine = PolicyActor(RegoEngine(read_sources()))

    async def decide(questions: bytes) -> bytes:
        return engine.decide(questions)

    host = ApiHost(
        settings,
        stores,
        StillSupervisor(),
        policy=decide,
        inspector=StillInspector(),
        room=Rooms(),
        working=working,
    )
    host.start()
    try:
        yield host, stores, settings
    finally:
        await host.stop()


def client(stores: Stores, settings: Settings, role: str) -> httpx.AsyncClient:
    record = stores.api.record
    assert record is not None
    token = issue(
        settings.auth,
        sub=role,
        typ="user",
        now_s=time.time(),
        roles=[role],
        sites=["*"],
        jti=f"{role}-1",
    )
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(
        base_url=f"http://{record.host}:{record.port}/v1/cluster", headers=headers, timeout=30
    )


async def test_policy_and_revocations_hold(tmp_path: Path) -> None:
    async with hosted(tmp_path) as (host, stores, settings):
        await until(stores.api.listens, what="the address")
        assert host.status()["port"] == stores.api.record.port if stores.api.record else False
        async with (
            client(stores, settings, "admin") as admin,
            client(stores, settings, "viewer") as viewer,
        ):
            assert (await viewer.get("/nodes")).status_code == 403
            assert (await admin.put(f"/nodes/{NODE}/cordon", json={})).status_code == 200
            assert stores.audit_log.entries[0].who == "admin"
            await stores.policy.revoke(Revocation("jti", "admin-1", int(time.time())))
            async with asyncio.timeout(20):
                while (await admin.get("/nodes")).status_code != 401:
                    await asyncio.sleep(0.05)


async def test_a_port_that_is_taken_is_had_when_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = int(other.getsockname()[1])
        monkeypatch.setattr(hosting, "RETRY_S", 0.05)
        async with hosted(tmp_path, port) as (host, stores, settings):
            await until(
                lambda: "in use" in host.status().get("problem", ""), what="the problem told"
            )
            assert stores.api.record == ApiRecord("127.0.0.1", 0, os.getpid()), (
                "the supervisor is heard all the same"
            )
            other.close()
            await until(stores.api.listens, what="the port")
            async with client(stores, settings, "admin") as admin:
                assert (await admin.get("/nodes")).status_code == 200


async def test_a_supervisor_that_does_not_work_is_not_recorded_as_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "RECORD_S", 0.01)
    works = True
    async with hosted(tmp_path, working=lambda: works) as (_host, stores, _settings):
        await until(stores.api.listens, what="the record")
        works = False
        await asyncio.sleep(0.03)  # a record that was under way
        stores.api.record = None
        await asyncio.sleep(0.1)
        assert stores.api.record is None
        works = True
        await until(stores.api.listens, what="the record again")
