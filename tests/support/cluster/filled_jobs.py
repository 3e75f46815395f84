"""Jobs and schedules in the doubles of a cluster API."""

from storage.ports.background.jobs import NO_MORE, FailedJob, NewJob
from tests.support.cluster.cluster_api import TestApi
from workers.own_kinds import SCHEDULES

JOBS = [str(number) for number in range(1, 41)]  # by id, as paths name them
JOB_NAMES = {"job": JOBS, "schedule": [one.name for one in SCHEDULES]}  # for fuzzing
JOB_BODIES = {name: {"reason": "not needed"} for name in ("cancelJob", "discardJob")}


async def fill_jobs(api: TestApi) -> None:
    """Of `JOBS` the first is ready, the others are dead; there are the schedules of a worker."""
    jobs = api.memory.jobs
    await jobs.enqueue([NewJob("export", args={"camera": "gate"}) for _ in JOBS])
    claims = [job.claim for job in await jobs.claim("w", ["export"], limit=len(JOBS), lease_s=60)]
    await jobs.give_back(claims[:1])
    await jobs.fail([FailedJob(claim, "no room", NO_MORE) for claim in claims[1:]])
    await api.memory.schedules.declare(SCHEDULES)
