"""What a dashboard is told that may not connect, or not go on with its new token (pure)."""

from actors.core.errors import Expired, EyrieError, Forbidden, TooMany, Unauthorized, Unavailable, Withdrawn
from hub import centrifuge_errors, close_codes
from hub.actions import Action, Fail, Shut
from hub.close_codes import Close

_CLOSES: tuple[tuple[type[EyrieError], Close], ...] = (
    (Unauthorized, close_codes.INVALID_TOKEN),
    (Withdrawn, close_codes.WITHDRAWN),
    (Forbidden, close_codes.PERMISSION_DENIED),
    (Unavailable, close_codes.POLICY_UNAVAILABLE),
    (TooMany, close_codes.TOO_MANY_REQUESTS),
)


def refusal(id: int, error: EyrieError) -> Action:
    """The answer to command `id`. An expired token is no reason to close: the SDK asks for a new one."""
    if isinstance(error, Expired):
        return Fail(id, centrifuge_errors.TOKEN_EXPIRED)
    close = goodbye(error)
    return Fail(id, centrifuge_errors.of(error)) if close is None else Shut(close)


def goodbye(error: EyrieError) -> Close | None:
    """How a connection ends for `error`; None: it does not."""
    return next((close for kind, close in _CLOSES if isinstance(error, kind)), None)
