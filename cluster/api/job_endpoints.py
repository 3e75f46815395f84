"""The endpoints of jobs and schedules, a part of the table of the cluster API."""

from typing import Annotated, Literal

import msgspec

from cluster.api import job_models as shapes
from cluster.api.models import Target
from hub.web.openapi import KEY, LOCATION, Answer, Endpoint, Parameter, paged
from storage.ports.background.jobs import MAX_NAME, JobState

READ, OPERATE = "job.read", "job.operate"
TAG = "Jobs"
TAGS = {
    TAG: "Background work and what makes it by time. Arguments, progress and results may name any "
    "camera and site, so all of this is for who may see the whole deployment."
}

_ID = Annotated[int, msgspec.Meta(ge=1, le=10**18 - 1)]
_NUMBER = Annotated[int, msgspec.Meta(ge=0, le=10**18 - 1)]
_NAME = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
_JOB = Parameter("job", "path", _ID, "number of the job")
_SCHEDULE = Parameter("schedule", "path", Target, "such as events.retention")


def _read(path: str, id: str, summary: str, body: object, *parameters: Parameter) -> Endpoint:
    answers = (Answer(200, "Here it is.", body),)
    return Endpoint("GET", path, id, TAG, summary, answers, parameters=parameters, action=READ)


def _change(
    method: Literal["POST", "PUT", "DELETE"],
    path: str,
    id: str,
    summary: str,
    answer: Answer,
    of: Parameter,
    body: object = None,
) -> Endpoint:
    return Endpoint(
        method,
        path,
        id,
        TAG,
        summary,
        (answer,),
        parameters=(of, KEY) if method == "POST" else (of,),
        body=body,
        errors=(409,) if method == "POST" else (),
        action=OPERATE,
    )


_JOB_NOW = Answer(200, "As it is now.", shapes.JobShown)
_SCHEDULE_NOW = Answer(200, "As it is now.", shapes.ScheduleShown)

ENDPOINTS: tuple[Endpoint, ...] = (
    _read(
        "/v1/jobs",
        "listJobs",
        "Jobs, the newest first",
        shapes.JobPage,
        Parameter("state", "query", JobState, "only in this state"),
        Parameter("kind", "query", _NAME, "only of this kind"),
        *paged(_NUMBER, name="before"),
    ),
    _read("/v1/jobs/{job}", "readJob", "One job", shapes.JobShown, _JOB),
    _change(
        "POST",
        "/v1/jobs/{job}/cancel",
        "cancelJob",
        "Stop one: a ready one at once, a running one within seconds",
        _JOB_NOW,
        _JOB,
        shapes.JobWhy,
    ),
    _change("POST", "/v1/jobs/{job}/replay", "replayJob", "Try a dead one again", _JOB_NOW, _JOB),
    _change(
        "POST",
        "/v1/jobs/{job}/discard",
        "discardJob",
        "Put a dead one away",
        _JOB_NOW,
        _JOB,
        shapes.JobWhy,
    ),
    _read("/v1/schedules", "listSchedules", "What makes jobs by time", shapes.ScheduleList),
    _read(
        "/v1/schedules/{schedule}", "readSchedule", "One schedule", shapes.ScheduleShown, _SCHEDULE
    ),
    _change(
        "POST",
        "/v1/schedules/{schedule}/run",
        "runSchedule",
        "Its job now",
        Answer(202, "It is ready.", shapes.JobMade, headers=(LOCATION,)),
        _SCHEDULE,
    ),
    _change(
        "PUT",
        "/v1/schedules/{schedule}/pause",
        "pauseSchedule",
        "Have it make no jobs",
        _SCHEDULE_NOW,
        _SCHEDULE,
    ),
    _change(
        "DELETE",
        "/v1/schedules/{schedule}/pause",
        "resumeSchedule",
        "End a pause, with the next time to come",
        _SCHEDULE_NOW,
        _SCHEDULE,
    ),
)
