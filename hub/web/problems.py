"""Errors of the family as RFC 9457 problem details."""

import msgspec
from starlette.responses import Response

from actors.core.errors import EyrieError, TooMany, Unavailable, WrongSeq


def problem(error: EyrieError) -> Response:
    """The error as RFC 9457 problem details, with Retry-After and the expected seq where they
    apply."""
    body = {
        "type": "about:blank",
        "title": error.code,
        "status": error.status,
        "detail": error.detail,
        "hint": error.next_step,
    }
    headers = {}
    if isinstance(error, WrongSeq):
        body["expected_seq"] = error.expected_seq
    retry_after_s = error.retry_after_s if error.retry_after_s is not None else 1.0
    if isinstance(error, TooMany | Unavailable):
        headers["retry-after"] = str(max(1, round(retry_after_s)))
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(
        msgspec.json.encode(body),
        status_code=error.status,
        headers=headers,
        media_type="application/problem+json",
    )
