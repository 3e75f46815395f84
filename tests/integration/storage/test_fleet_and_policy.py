"""Heartbeats, policy marks and what happens at opening, against PostgreSQL."""

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.core.errors import ConfigError, EyrieError, Unavailable
from storage.ports.policy import PolicyActivation, PolicyMarks, RevisionRecord, Revocation
from storage.ports.processes import ActorRecord, ApiRecord, HubRecord
from storage.postgres.pool import Database
from storage.stores import Stores, open_stores
from tests.support.servers.store_fixtures import Servers


async def test_actors_beat_until_they_are_removed(stores: Stores) -> None:
    await stores.actors.put(ActorRecord("actor-2", "node-1", 11, "ready"))
    await stores.actors.put(ActorRecord("actor-1", "node-1", 12))
    await stores.database.fetch("UPDATE actors SET heartbeat = now() - interval '9 seconds'")
    assert await stores.actors.beat("actor-1")
    assert not await stores.actors.beat("unknown")
    first, second = await stores.actors.all()
    assert (first.name, first.state, first.pid) == ("actor-1", "starting", 12)
    assert first.age_s < 5 < second.age_s
    assert first.beat_us > second.beat_us
    await stores.actors.put(
        ActorRecord("actor-2", "node-1", 11, "quarantined", "it crashed five times")
    )
    second = (await stores.actors.all())[1]
    assert (second.state, second.reason) == ("quarantined", "it crashed five times")
    assert second.age_s < 30
    await stores.actors.remove("actor-1")
    assert [record.name for record in await stores.actors.all()] == ["actor-2"]


async def test_the_cluster_api_says_where_it_listens(stores: Stores) -> None:
    assert await stores.api.find() is None
    await stores.api.put(ApiRecord("127.0.0.1", 8001, 7))
    await stores.api.put(ApiRecord("127.0.0.1", 43001, 8))
    found = await stores.api.find()
    assert found is not None
    assert (found.host, found.port, found.pid, found.age_s < 30) == ("127.0.0.1", 43001, 8, True)


async def test_hubs_say_where_they_listen(stores: Stores) -> None:
    await stores.hubs.put(HubRecord("hub-1", "127.0.0.1", 8000, 8101, 7))
    await stores.hubs.put(HubRecord("hub-1", "127.0.0.1", 8000, 8102, 8))
    (hub,) = await stores.hubs.all()
    assert (hub.host, hub.port, hub.private_port, hub.pid) == ("127.0.0.1", 8000, 8102, 8)
    assert hub.age_s < 30
    await stores.hubs.remove("hub-1")
    assert await stores.hubs.all() == []


async def test_policy_marks(stores: Stores) -> None:
    policy = stores.policy
    assert await policy.marks() == PolicyMarks(None, [])
    await policy.revoke(Revocation("jti", "token-1", 1000))
    await policy.revoke(Revocation("subject", "ann", 2000))
    await policy.revoke(Revocation("subject", "ann", 1500))
    assert (await policy.marks()).revocations == [
        Revocation("jti", "token-1", 1000),
        Revocation("subject", "ann", 2000),
    ]
    await policy.revoke(Revocation("certificate", "ab" * 32, 1000))
    assert len((await policy.marks()).revocations) == 3


async def test_a_revocation_holds_as_long_as_what_it_revokes(stores: Stores) -> None:
    policy, now = stores.policy, int(time.time())

    async def held() -> dict[str, int | None]:
        return {found.value: found.until_s for found in (await policy.marks()).revocations}

    await policy.revoke(Revocation("jti", "key", now))
    await policy.revoke(Revocation("jti", "token", now, now + 600))
    await policy.revoke(Revocation("jti", "over", now, now - 10))
    await policy.revoke(Revocation("jti", "long over", now, now - 2 * 86_400))
    assert await held() == {"key": None, "token": now + 600}
    await policy.revoke(Revocation("jti", "token", now, now + 60))
    assert await held() == {"key": None, "token": now + 600}, (
        "a second one does not shorten the first"
    )
    await policy.revoke(Revocation("jti", "key", now, now + 60))
    await policy.revoke(Revocation("jti", "token", now))
    assert await held() == {"key": None, "token": None}
    await stores.database.fetch(
        "UPDATE revocations SET created = now() - interval '10 years', before = now() - interval "
        "'10 years'"
    )
    assert await held() == {"key": None, "token": None}, "age ends nothing"
    kept = await stores.database.fetch("SELECT value FROM revocations ORDER BY value")
    assert [row["value"] for row in kept] == ["key", "over", "token"], (
        "what ended more than a day ago is forgotten"
    )


async def test_revisions_are_kept_and_one_is_in_force(stores: Stores) -> None:
    revisions = stores.revisions
    assert await revisions.current() is None
    for name in ("r1", "r2", "r3"):
        assert await revisions.add(RevisionRecord(name, name.encode(), b"signed", "pia", "a note"))
    assert not await revisions.add(RevisionRecord("r1", b"another", b"", "eve"))
    found = await revisions.get("r1")
    assert found is not None
    assert (found.source, found.signature, found.author, found.note) == (
        b"r1",
        b"signed",
        "pia",
        "a note",
    )
    assert await revisions.get("unknown") is None
    listed = await revisions.list(before=2**62, limit=2)
    assert [(record.revision, record.source) for record in listed] == [("r3", b""), ("r2", b"")]
    assert [
        record.revision for record in await revisions.list(before=listed[-1].number, limit=2)
    ] == ["r1"]

    assert await revisions.activate(PolicyActivation(1, "r1", None, b"s", "pia"))
    assert (await stores.policy.marks()).revision == "r1"
    both = await asyncio.gather(
        *(revisions.activate(PolicyActivation(2, name, "r1", b"s")) for name in ("r2", "r3"))
    )
    assert sorted(both) == [False, True]
    assert not await revisions.activate(PolicyActivation(2, "r1", "r2", b"s"))
    assert not await revisions.activate(PolicyActivation(9, "r1", "r2", b"s"))
    with pytest.raises(EyrieError):
        await revisions.activate(PolicyActivation(3, "unknown", "r2", b"s"))
    current = await revisions.current()
    assert current is not None
    assert (current.generation, current.previous) == (2, "r1")


async def test_a_change_without_its_record_is_none(stores: Stores) -> None:
    async def refuse(connection: Any) -> None:
        raise Unavailable("the audit log cannot be written")

    async def write(connection: Any) -> None:
        await connection.execute(
            "INSERT INTO revocations (kind, value, before) VALUES ('jti', 'written', now())"
        )

    revisions = stores.revisions
    with pytest.raises(Unavailable, match="audit"):
        await revisions.add(RevisionRecord("r1", b"one", b""), audit=refuse)
    assert await revisions.get("r1") is None
    assert await revisions.add(RevisionRecord("r1", b"one", b""), audit=write)
    with pytest.raises(Unavailable, match="audit"):
        await revisions.activate(PolicyActivation(1, "r1", None, b""), audit=refuse)
    assert await revisions.current() is None
    with pytest.raises(Unavailable, match="audit"):
        await stores.policy.revoke(Revocation("jti", "refused", 1), audit=refuse)
    assert [found.value for found in (await stores.policy.marks()).revocations] == ["written"]


async def test_the_password_comes_from_its_file(servers: Servers, tmp_path: Path) -> None:
    missing = msgspec.structs.replace(
        servers.settings.postgres, password_file=str(tmp_path / "none")
    )
    with pytest.raises(ConfigError, match=r"password_file"):
        await Database.open(missing, name="x")
    (tmp_path / "password").write_text("not asked for\n")
    database = await Database.open(
        msgspec.structs.replace(missing, password_file=str(tmp_path / "password")), name="x"
    )
    await database.close()


async def test_a_server_that_is_not_there(servers: Servers, tmp_path: Path) -> None:
    away = msgspec.structs.replace(
        servers.settings.postgres, dsn=f"postgresql://eyrie@/postgres?host={tmp_path}"
    )
    with pytest.raises(Unavailable, match=r"cannot be reached"):
        await open_stores(msgspec.structs.replace(servers.settings, postgres=away))
    unknown = msgspec.structs.replace(
        away, dsn=servers.settings.postgres.dsn.replace("/postgres?", "/nothing?")
    )
    with pytest.raises(ConfigError, match=r"nothing"):
        await open_stores(msgspec.structs.replace(servers.settings, postgres=unknown))


async def test_a_database_without_our_tables(servers: Servers) -> None:
    bare = msgspec.structs.replace(
        servers.settings.postgres,
        dsn=servers.settings.postgres.dsn.replace("/postgres?", "/template1?"),
    )
    stores = await open_stores(msgspec.structs.replace(servers.settings, postgres=bare))
    with pytest.raises(ConfigError, match=r"does not fit"):
        await stores.cameras.owners()
    await stores.close()


async def test_an_export_sees_one_moment_holds_no_snapshot_and_may_be_left_early(
    stores: Stores,
) -> None:
    await stores.database.fetch(
        "INSERT INTO events SELECT 'cam-1', 'e1', n, now(), now(), 't', 'info', 'site', 's', n, "
        "NULL, NULL, NULL, NULL, '{}', '' "
        "FROM generate_series(1, 5000) n"
    )
    export = stores.events.export()
    assert (await anext(export)).offset == 1
    assert await stores.events.oldest_snapshot_s() == 0
    await stores.database.fetch(
        'INSERT INTO events SELECT camera, epoch, "offset" + 10000, received, time, type, '
        "severity, site, session, "
        "seq, track, label, zone, line, body, hash FROM events"
    )
    assert [row.offset async for row in export] == list(range(2, 5001)), (
        "what came meanwhile is left out"
    )
    assert len([row async for row in stores.events.export()]) == 10_000, (
        "events that no camera's row knows are told"
    )
    assert (
        await stores.database.fetch_value(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        )
        == 0
    )
