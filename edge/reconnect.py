"""Whether to come back, as pure decisions: close codes, HTTP answers (design section 7, own close
codes)."""

from actors.core.errors import (
    BadInput,
    Conflict,
    EyrieError,
    Forbidden,
    NotFound,
    TooMany,
    Unauthorized,
)

_BY_CLOSE_CODE: dict[int, type[EyrieError]] = {
    error.close_code: error for error in (BadInput, Unauthorized, Forbidden, NotFound, Conflict)
}
_BY_STATUS: dict[int, type[EyrieError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound}


def terminal_close(code: int, reason: str) -> EyrieError | None:
    """The error of a close code that must not be answered by coming back (4500-4999), else None."""
    if not 4500 <= code <= 4999:
        return None
    return _BY_CLOSE_CODE.get(code, BadInput)(reason or f"the hub closed with {code}")


def terminal_status(status: int, text: str) -> EyrieError | None:
    """The error of a refused handshake that would be refused again, else None (429 and 5xx are for
    coming back)."""
    if status in (408, TooMany.status) or status >= 500:
        return None
    return _BY_STATUS.get(status, BadInput)(text or f"the hub answered {status} to the handshake")
