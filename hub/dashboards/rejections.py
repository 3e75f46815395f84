"""What a dashboard is told that may not connect, or not go on with its new token (pure)."""

from actors.core.errors import (
    Expired,
    EyrieError,
    Forbidden,
    TooMany,
    Unauthorized,
    Unavailable,
    Withdrawn,
)
from hub.dashboards.actions import Action, Fail, Shut
from hub.protocol import disconnects, errors
from hub.protocol.disconnects import CloseCode

_CLOSES: tuple[tuple[type[EyrieError], CloseCode], ...] = (
    (Unauthorized, disconnects.INVALID_TOKEN),
    (Withdrawn, disconnects.WITHDRAWN),
    (Forbidden, disconnects.PERMISSION_DENIED),
    (Unavailable, disconnects.POLICY_UNAVAILABLE),
    (TooMany, disconnects.TOO_MANY_REQUESTS),
)


def refusal(id: int, error: EyrieError) -> Action:
    """The answer to command `id`. An expired token is no reason to close: the SDK asks for a new
    one."""
    if isinstance(error, Expired):
        return Fail(id, errors.TOKEN_EXPIRED)
    close = goodbye(error)
    return Fail(id, errors.of(error)) if close is None else Shut(close)


def goodbye(error: EyrieError) -> CloseCode | None:
    """How a connection ends for `error`; None: it does not."""
    return next((close for kind, close in _CLOSES if isinstance(error, kind)), None)
