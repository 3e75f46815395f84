"""The endpoints of personal values, a part of the table of a hub."""

from typing import Annotated, Literal

import msgspec

from hub.rest.people import privacy_models as shapes
from hub.web.openapi import LOCATION, Answer, Endpoint, Parameter, paged
from privacy.processing import ProcessingRecord

TAG = "Personal values"
TAGS = {
    TAG: "Requests of data subjects, and holds. They may name any camera, so all of this is for "
    "who may see the whole deployment. An erasure is asked for by one person and approved by "
    "another."
}

_Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
_REQUEST = Parameter("request", "path", _Id, "id of the request")
_HOLD = Parameter("hold", "path", _Id, "id of the hold")
_NUMBER = Annotated[int, msgspec.Meta(ge=0, le=10**18 - 1)]


def _read(path: str, id: str, summary: str, body: object, *parameters: Parameter) -> Endpoint:
    answers = (Answer(200, "Here it is.", body),)
    return Endpoint(
        "GET", path, id, TAG, summary, answers, parameters=parameters, action="privacy.read"
    )


def _change(
    method: Literal["POST", "DELETE"],
    path: str,
    id: str,
    summary: str,
    answer: Answer,
    action: str,
    *parameters: Parameter,
    body: object = None,
    errors: tuple[int, ...] = (),
) -> Endpoint:
    return Endpoint(
        method,
        path,
        id,
        TAG,
        summary,
        (answer,),
        parameters=parameters,
        body=body,
        errors=errors,
        action=action,
    )


_NOW = Answer(200, "As it is now.", shapes.PrivacyRequestShown)
_ONE = "/v1/privacy/requests/{request}"

ENDPOINTS: tuple[Endpoint, ...] = (
    _change(
        "POST",
        "/v1/privacy/search",
        "searchPrivacy",
        "Where values say this; recorded",
        Answer(200, "The places, without the values.", shapes.PrivacyFound),
        "privacy.request",
        body=shapes.PrivacySearch,
    ),
    _read(
        "/v1/privacy/requests",
        "listPrivacyRequests",
        "Requests, newest first",
        shapes.PrivacyRequestPage,
        *paged(_NUMBER, name="before"),
    ),
    _change(
        "POST",
        "/v1/privacy/requests",
        "askPrivacy",
        "Ask for access or erasure",
        Answer(201, "Asked for.", shapes.PrivacyRequestShown, headers=(LOCATION,)),
        "privacy.request",
        body=shapes.NewPrivacyRequest,
    ),
    _read(_ONE, "readPrivacyRequest", "One request", shapes.PrivacyRequestShown, _REQUEST),
    _change(
        "POST",
        f"{_ONE}/approve",
        "approvePrivacyRequest",
        "Have an erasure that another person asked for carried out",
        _NOW,
        "privacy.approve",
        _REQUEST,
        errors=(409,),
    ),
    _change(
        "POST",
        f"{_ONE}/withdraw",
        "withdrawPrivacyRequest",
        "End a request that was not begun",
        _NOW,
        "privacy.request",
        _REQUEST,
        errors=(409,),
    ),
    _change(
        "POST",
        f"{_ONE}/bundle",
        "bundlePrivacy",
        "What is known of who asked for access, everybody else masked; recorded",
        Answer(200, "A page of it.", shapes.AccessBundle),
        "privacy.request",
        _REQUEST,
        body=shapes.AccessAsked,
        errors=(409,),
    ),
    _read(
        "/v1/privacy/record",
        "readProcessingRecord",
        "The record of processing, as far as the deployment knows it",
        ProcessingRecord,
    ),
    _read("/v1/privacy/holds", "listHolds", "Holds, newest first", shapes.HoldList),
    _change(
        "POST",
        "/v1/privacy/holds",
        "placeHold",
        "Have nothing deleted there",
        Answer(201, "It holds.", shapes.HoldShown, headers=(LOCATION,)),
        "privacy.hold",
        body=shapes.NewHold,
        errors=(409,),
    ),
    _change(
        "DELETE",
        "/v1/privacy/holds/{hold}",
        "releaseHold",
        "End a hold",
        Answer(204, "It holds no more."),
        "privacy.hold",
        _HOLD,
    ),
)
