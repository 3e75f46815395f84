"""Jobs and schedules by the cluster API."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from policy.identity.tokens import issue
from storage.ports.background.jobs import NO_MORE, FailedJob, FinishedJob, NewJob
from storage.ports.background.schedules import NewSchedule
from tests.support.cluster.cluster_api import TestApi, running_api
from tests.support.hub.real_policy import real_policy

HOURLY = NewSchedule("tidy", "tidy", every_s=3_600, jitter_s=60)
DAILY = NewSchedule("report", "report", at="03:10", zone="Europe/Berlin")
WHY = {"reason": "not needed"}


@asynccontextmanager
async def with_jobs(
    folder: Path, **options: Any
) -> AsyncIterator[tuple[TestApi, httpx.AsyncClient]]:
    """1 is ready, 2 runs, 3 and 4 are dead, 5 is done."""
    async with running_api(folder, **options) as api:
        jobs = api.memory.jobs
        await jobs.enqueue(
            [NewJob("export", args={"camera": "gate"}, key=str(n), who="olga") for n in range(4)]
        )
        await jobs.enqueue([NewJob("tidy")])
        claims = [job.claim for job in await jobs.claim("w", ["export"], limit=4, lease_s=60)]
        await jobs.give_back(claims[:1])
        await jobs.note(claims[1], {"done": 3, "total": 4})
        await jobs.fail([FailedJob(claim, "no room", NO_MORE) for claim in claims[2:]])
        (tidy,) = await jobs.claim("w", ["tidy"], limit=1, lease_s=60)
        await jobs.finish_with(FinishedJob(tidy.claim, {"rows": 7}), nothing)
        await api.memory.schedules.declare([HOURLY, DAILY])
        headers = {"Authorization": f"Bearer {api.token()}"}
        async with httpx.AsyncClient(base_url=api.url, headers=headers, timeout=30) as http:
            yield api, http


async def nothing(_connection: object) -> None:
    """No effect."""


async def test_jobs_are_listed_newest_first_with_filters_and_pages(tmp_path: Path) -> None:
    async with with_jobs(tmp_path) as (_, http):
        first = (await http.get("/v1/jobs?limit=2")).json()
        second = (await http.get(f"/v1/jobs?limit=2&before={first['next']}")).json()
        last = (await http.get(f"/v1/jobs?limit=2&before={second['next']}")).json()
        assert [job["id"] for page in (first, second, last) for job in page["jobs"]] == [
            5,
            4,
            3,
            2,
            1,
        ]
        assert "next" not in last
        dead = (await http.get("/v1/jobs?state=dead")).json()["jobs"]
        assert [(job["id"], job["error"]) for job in dead] == [(4, "no room"), (3, "no room")]
        (tidy,) = (await http.get("/v1/jobs?kind=tidy")).json()["jobs"]
        assert (tidy["state"], "args" in tidy) == ("done", False)
        for wrong in ("state=odd", "kind=", "limit=0", "before=x"):
            assert (await http.get(f"/v1/jobs?{wrong}")).status_code == 400


async def test_one_job_has_its_arguments_progress_and_result(tmp_path: Path) -> None:
    async with with_jobs(tmp_path) as (_, http):
        running = (await http.get("/v1/jobs/2")).json()
        assert running["args"] == {"camera": "gate"}
        assert running["progress"] == {"done": 3, "total": 4}
        assert (running["owner"], running["lease_until"] > running["started"]) == ("w", True)
        assert (await http.get("/v1/jobs/5")).json()["result"] == {"rows": 7}
        for missing in ("6", "0", "x", "9" * 30):
            assert (await http.get(f"/v1/jobs/{missing}")).status_code == 404


async def test_changes_are_made_once_told_and_recorded(tmp_path: Path) -> None:
    async with with_jobs(tmp_path) as (api, http):
        assert (await http.post("/v1/jobs/1/cancel", json=WHY)).json()["state"] == "cancelled"
        asked = (await http.post("/v1/jobs/2/cancel", json=WHY)).json()
        assert (asked["state"], asked["cancel"]) == ("running", True)
        assert (await http.post("/v1/jobs/3/replay")).json()["state"] == "ready"
        assert (await http.post("/v1/jobs/4/discard", json=WHY)).json()["state"] == "discarded"
        made = await http.post("/v1/schedules/tidy/run")
        assert (made.status_code, made.headers["location"]) == (202, "/v1/jobs/6")
        recorded = api.audited()
        assert [entry[:2] for entry in recorded] == [
            ("job.cancel", "1"),
            ("job.cancel", "2"),
            ("job.replay", "3"),
            ("job.discard", "4"),
            ("schedule.run", "tidy"),
        ]
        assert recorded[0][2] == "not needed"
        for late in ("jobs/1/cancel", "jobs/3/replay", "jobs/4/discard", "schedules/tidy/run"):
            answer = await http.post(f"/v1/{late}", json=WHY)
            assert answer.status_code == 409, answer.text
        assert api.audited() == recorded
        for path in ("jobs/3/cancel", "jobs/3/discard"):
            assert (await http.post(f"/v1/{path}", json={})).status_code == 400


async def test_the_same_key_changes_once_and_is_answered_alike(tmp_path: Path) -> None:
    async with with_jobs(tmp_path) as (api, http):
        key = {"Idempotency-Key": "k1"}
        answers = [await http.post("/v1/jobs/3/replay", headers=key) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].content == answers[1].content
        assert len(api.audited()) == 1
        assert (await http.post("/v1/jobs/4/replay", headers=key)).status_code == 422


async def test_schedules_are_shown_paused_and_resumed(tmp_path: Path) -> None:
    async with with_jobs(tmp_path) as (api, http):
        shown = (await http.get("/v1/schedules")).json()["schedules"]
        assert [
            (one["name"], one.get("every_s"), one.get("at"), one.get("zone")) for one in shown
        ] == [
            ("report", None, "03:10", "Europe/Berlin"),
            ("tidy", 3_600, None, None),
        ]
        for _ in range(2):  # again is harmless, and is told the same
            assert (await http.put("/v1/schedules/tidy/pause")).json()["paused"] is True
        assert (await http.delete("/v1/schedules/tidy/pause")).status_code == 200
        assert (await http.get("/v1/schedules/tidy")).json().get("paused") is False
        assert [entry[:2] for entry in api.audited()] == [
            ("schedule.pause", "tidy"),
            ("schedule.resume", "tidy"),
        ]
        assert (await http.get("/v1/schedules/none")).status_code == 404
        assert (await http.post("/v1/schedules/none/run")).status_code == 404


async def test_what_cannot_be_recorded_is_not_done(tmp_path: Path) -> None:
    async with with_jobs(tmp_path) as (api, http):
        before, api.audit.away = dict(api.memory.jobs.rows), True
        for path in ("jobs/1/cancel", "jobs/3/replay", "jobs/4/discard", "schedules/tidy/run"):
            assert (await http.post(f"/v1/{path}", json=WHY)).status_code == 503
        assert (await http.put("/v1/schedules/tidy/pause")).status_code == 503
        assert api.memory.jobs.rows == before
        assert (await http.get("/v1/schedules/tidy")).json()["paused"] is False


async def test_jobs_have_actions_of_their_own(tmp_path: Path) -> None:
    async with with_jobs(tmp_path) as (api, http):
        api.policy.denied.add(("job.operate", "cluster"))
        assert (await http.post("/v1/jobs/1/cancel", json=WHY)).status_code == 403
        assert (await http.get("/v1/jobs")).status_code == 200
        api.policy.denied.add(("job.read", "cluster"))
        assert (await http.get("/v1/jobs/1")).status_code == 403
        assert (await http.get("/v1/schedules")).status_code == 403
        assert (await http.get("/v1/cluster/nodes")).status_code == 200
        assert api.audited() == []


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"sites": ["*"]}, 200),
        ({"sites": ["north"]}, 403),
        ({"sites": ["*"], "cameras": ["gate"]}, 403),
        ({"sites": ["*"], "roles": ["viewer"]}, 403),
    ],
)
async def test_who_may_see_one_site_learns_of_no_job_not_even_which_numbers_there_are(
    tmp_path: Path, limits: dict[str, Any], status: int
) -> None:
    async with with_jobs(tmp_path, decider=real_policy()) as (api, http):
        given = {"roles": ["admin"]} | limits
        text = issue(api.auth, sub="mia", typ="user", now_s=time.time(), jti="mia-1", **given)
        headers = {"Authorization": f"Bearer {text}"}
        assert (await http.get("/v1/jobs/1", headers=headers)).status_code == status
        hidden = await http.get("/v1/jobs/99", headers=headers)
        assert hidden.status_code == (404 if status == 200 else 403)
        listed = await http.get("/v1/jobs", headers=headers)
        assert listed.status_code == status
