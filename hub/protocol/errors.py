"""The errors a reply can carry, with Centrifuge's numbers (`errors.go`), and how our error family
maps onto them (pure)."""

import msgspec

from actors.core.errors import (
    BadInput,
    Conflict,
    EyrieError,
    Forbidden,
    NotFound,
    TooMany,
    Unauthorized,
    Unavailable,
    Vanished,
    Withdrawn,
)


class ReplyError(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `error` of a reply. `temporary` errors make SDKs retry with back-off."""

    code: int
    message: str
    temporary: bool = False


INTERNAL = ReplyError(100, "internal server error", True)
UNAUTHORIZED = ReplyError(101, "unauthorized")
UNKNOWN_CHANNEL = ReplyError(102, "unknown channel")
VANISHED_CHANNEL = ReplyError(102, "unknown channel", True)  # it was there before
PERMISSION_DENIED = ReplyError(103, "permission denied")
PERMISSION_WITHDRAWN = ReplyError(
    103, "permission withdrawn", True
)  # it was allowed before: SDKs try again with back-off
METHOD_NOT_FOUND = ReplyError(104, "method not found")
ALREADY_SUBSCRIBED = ReplyError(105, "already subscribed")
LIMIT_EXCEEDED = ReplyError(106, "limit exceeded")
BAD_REQUEST = ReplyError(107, "bad request")
NOT_AVAILABLE = ReplyError(108, "not available")
TOKEN_EXPIRED = ReplyError(109, "token expired")
EXPIRED = ReplyError(110, "expired")
TOO_MANY_REQUESTS = ReplyError(111, "too many requests", True)
UNRECOVERABLE_POSITION = ReplyError(112, "unrecoverable position")

_BY_KIND: tuple[tuple[type[EyrieError], ReplyError], ...] = (
    (Unavailable, INTERNAL),
    (TooMany, TOO_MANY_REQUESTS),
    (Unauthorized, UNAUTHORIZED),
    (Withdrawn, PERMISSION_WITHDRAWN),
    (Forbidden, PERMISSION_DENIED),
    (Vanished, VANISHED_CHANNEL),
    (NotFound, UNKNOWN_CHANNEL),
    (Conflict, BAD_REQUEST),
    (BadInput, BAD_REQUEST),
)


def of(error: EyrieError) -> ReplyError:
    """The reply error for an error of the family; anything unforeseen is a temporary internal
    error."""
    return next((reply for kind, reply in _BY_KIND if isinstance(error, kind)), INTERNAL)
