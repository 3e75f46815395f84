"""``eyrie jobs`` on a real database."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.cli.database.jobs import bar
from cluster.cli.main import main
from storage.ports.background.jobs import NO_MORE, FailedJob, NewJob
from storage.ports.background.schedules import NewSchedule
from storage.stores import Stores, open_stores
from tests.support.servers.store_fixtures import Servers, servers, wipe

__all__ = ["servers"]

Say = Callable[..., Any]


@pytest.fixture
async def stores(servers: Servers) -> AsyncIterator[Stores]:
    await wipe(servers.settings)
    opened = await open_stores(servers.settings, name="test")
    yield opened
    await opened.close()


@pytest.fixture
def say(servers: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs the command; (exit code, JSON on standard output, standard error)."""
    key = tmp_path / "key"
    key.write_text("0123456789abcdef0123456789abcdef")
    key.chmod(0o600)
    source = ["--source", servers.settings.postgres.dsn, "--json"]

    async def run(*words: str) -> tuple[int, Any, str]:
        changes = words[0] not in ("list", "show", "schedules")
        options = [*source, *(["--key-file", str(key)] if changes else [])]
        code = await asyncio.to_thread(main, ["jobs", *words, *options])
        told = capsys.readouterr()
        return code, json.loads(told.out) if told.out else None, told.err

    return run


async def dead(stores: Stores) -> int:
    (id,) = await stores.jobs.enqueue([NewJob("mail", args={"to": "ann"}, max_attempts=1)])
    (job,) = await stores.jobs.claim("w-1", ["mail"], limit=1, lease_s=60)
    await stores.jobs.fail([FailedJob(job.claim, "no route", NO_MORE)])
    return id


async def test_dead_jobs_are_seen_replayed_and_discarded(stores: Stores, say: Say) -> None:
    id = await dead(stores)
    code, rows, _ = await say("list", "--state", "dead")
    assert (code, [(row["id"], row["error"]) for row in rows]) == (0, [(id, "no route")])
    _, row, _ = await say("show", str(id))
    assert (row["args"], row["state"], row["attempt"]) == ({"to": "ann"}, "dead", 1)
    assert await say("replay", str(id)) == (0, [{"id": id, "state": "ready"}], "")
    code, done, error = await say("replay", str(id), "999999")
    assert (code, done) == (1, [])
    assert f"job {id} is ready" in error
    assert "there is no job 999999" in error
    assert (await say("cancel", str(id), "--reason", "enough"))[1] == [
        {"id": id, "state": "cancelled"}
    ]
    other = await dead(stores)
    assert (await say("discard", str(other), "--reason", "old"))[0] == 0
    assert {row["id"]: row["state"] for row in (await say("list"))[1]} == {
        id: "cancelled",
        other: "discarded",
    }
    assert (await say("show", "999999"))[0] == 1
    assert (await say("list", "--of-kind", "count"))[1] == []


async def test_every_change_is_in_the_audit_log(stores: Stores, say: Say) -> None:
    id = await dead(stores)
    await stores.schedules.declare([NewSchedule("often", "count", every_s=60)])
    await say("replay", str(id))
    await say("cancel", str(id), "--reason", "enough")
    await say("run", "often")
    await say("pause", "often")
    rows = await stores.database.fetch(
        "SELECT action, target, detail FROM audit_log ORDER BY number"
    )
    assert [tuple(row) for row in rows] == [
        ("job.replay", str(id), ""),
        ("job.cancel", str(id), "enough"),
        ("schedule.run", "often", ""),
        ("schedule.pause", "often", ""),
    ]


async def test_schedules_are_seen_run_and_paused(stores: Stores, say: Say) -> None:
    await stores.schedules.declare([NewSchedule("often", "count", every_s=60)])
    (row,) = (await say("schedules"))[1]
    assert (row["name"], row["every_s"], row["paused"], row["last_job"]) == (
        "often",
        60,
        False,
        None,
    )
    code, made, _ = await say("run", "often")
    assert code == 0
    found = await stores.jobs.get(made["job"])
    assert found is not None
    assert found.state == "ready"
    code, _, error = await say("run", "often")
    assert code == 1
    assert "alive already" in error
    assert (await say("run", "nobody"))[0] == 1
    assert (await say("pause", "nobody"))[0] == 1
    assert (await say("pause", "often"))[1] == {
        "schedule": "often",
        "paused": True,
        "changed": True,
    }
    assert (await say("pause", "often"))[1]["changed"] is False
    assert (await say("resume", "often"))[1]["changed"] is True


def test_a_bar_shows_how_far_a_job_has_come() -> None:
    assert bar({"done": 3, "total": 4}) == "███████░░░ 75%"
    assert bar({"done": 9, "total": 4}) == "██████████ 100%"
    assert bar({"done": 12}) == "12"
    assert (bar({}), bar({"done": "some", "total": 4}), bar({"done": 1, "total": 0})) == (
        "",
        "",
        "1",
    )
