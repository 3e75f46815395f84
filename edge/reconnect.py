"""When to come back, as pure decisions: close codes, HTTP answers, full jitter (design section 7,
own close codes)."""

from dataclasses import dataclass

from actors.core.errors import (
    BadInput,
    Conflict,
    EyrieError,
    Forbidden,
    NotFound,
    TooMany,
    Unauthorized,
)

BASE_S = 0.5  # the first wait lies between 0 and this
CAP_S = 30.0  # no wait is longer

_BY_CLOSE_CODE: dict[int, type[EyrieError]] = {
    error.close_code: error for error in (BadInput, Unauthorized, Forbidden, NotFound, Conflict)
}
_BY_STATUS: dict[int, type[EyrieError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound}


@dataclass(slots=True)
class Backoff:
    """Full jitter: each wait is uniform between 0 and a bound that doubles up to `cap_s`."""

    base_s: float = BASE_S
    cap_s: float = CAP_S
    attempts: int = 0

    def wait_s(self, chance: float) -> float:
        """The next wait for `chance` in 0..1."""
        bound = min(self.cap_s, self.base_s * 2.0 ** min(self.attempts, 32))
        self.attempts += 1
        return bound * chance

    def reset(self) -> None:
        """It worked: begin anew."""
        self.attempts = 0


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
