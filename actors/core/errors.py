"""The error family. Every error a user can meet is one of these.

    EyrieError            code, status, close_code, hint ├── BadInput          400  malformed or out
    of range; do not resend unchanged │   ├── InvalidId     400 │   ├── NoPrecondition 428 a change
    that does not say what it changes (If-Match) │   ├── WrongMethod   405  a path that is there, a
    method that it does not take │   ├── KeyReused     422  an idempotency key that came before with
    another request │   └── PoisonRow     400  one camera's values can never be stored; names the
    camera ├── Unauthorized      401  no identity, or one that no longer holds │   └── Expired
    401  a genuine token whose time is over: renew it ├── Forbidden         403  identity known,
    decision was deny │   └── Withdrawn     403  it was allowed before: policy has changed, and may
    be mended ├── NotFound          404 │   └── Vanished      404  it was there before, for them,
    and may be again ├── Conflict          409  expected state differs (wrong seq, ETag, superseded
    session) │   ├── StaleTag      412  the ETag given is not the current one │   └── Fenced
    409  another owner or generation; this actor must stop ├── TooMany           429  over a limit;
    retry after `retry_after_s` │   └── TooManyCameras 429 no more are registered for this device or
    site until somebody sees to it ├── ConfigError       500  the settings cannot be used; names key
    and remedy ├── Unavailable       503  a part is away for now; retry with back-off │   ├── Full
    503  a store has no room left, on disk or in memory; nothing was stored │   ├── ReadOnly
    503  a store answers and takes no writes; nothing was stored │   └── UnknownOutcome 503 a write
    may or may not have happened; re-read before anything else └── StartError        500  a server
    of ours did not start; says what to do
        └── NeverStarts   500  and no waiting mends that

`close_code` is the websocket close code of the same error: 4000-4499 the client reconnects,
4500-4999 it does not.
"""

from typing import ClassVar


class EyrieError(Exception):
    """Base of the family. `detail` is for the person who sent the input; `hint` says what to do
    next."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    close_code: ClassVar[int] = 4000
    hint: ClassVar[str] = "Try again; if it stays, look at the logs of the hub."

    def __init__(
        self, detail: str, *, hint: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.next_step = hint if hint is not None else self.hint
        self.retry_after_s = retry_after_s


class BadInput(EyrieError):
    """Malformed or out of range."""

    code = "bad_input"
    status = 400
    close_code = 4500
    hint = "Mend the input; the same one will be refused again."


class InvalidId(BadInput):
    """An identifier outside its alphabet."""

    code = "invalid_id"
    hint = "Ids are lower-case letters, digits, '_' and '-', at most 64 characters."


class NoPrecondition(BadInput):
    """A change without If-Match: two people would overwrite each other unnoticed (RFC 6585, 3)."""

    code = "precondition_required"
    status = 428
    hint = "Read it first and send its ETag as If-Match."


class WrongMethod(BadInput):
    """The path is there, this method is not (RFC 9110, 15.5.6)."""

    code = "wrong_method"
    status = 405
    hint = "The Allow header says which methods there are."


class KeyReused(BadInput):
    """The same idempotency key came with another request
    (draft-ietf-httpapi-idempotency-key-header, 2.7)."""

    code = "key_reused"
    status = 422
    hint = "Use a fresh key for another request."


class PoisonRow(BadInput):
    """Values of `camera` can never be stored (NUL in text, a lone surrogate, a number too large).
    Nothing of the call was stored."""

    code = "poison"

    def __init__(self, detail: str, *, camera: str) -> None:
        super().__init__(detail)
        self.camera = camera


class Unauthorized(EyrieError):
    """No identity, or one that no longer holds."""

    code = "unauthorized"
    status = 401
    close_code = 4501
    hint = "Get a new token."


class Expired(Unauthorized):
    """A genuine token whose time is over (a dashboard is told 109, so that its SDK asks for a new
    one)."""

    code = "token_expired"
    hint = "Get a new token; this one was genuine, but its time is over."


class Forbidden(EyrieError):
    """The decision was deny."""

    code = "forbidden"
    status = 403
    close_code = 4503
    hint = "Ask whoever keeps the policy of this site for the permission."


class Withdrawn(Forbidden):
    """The decision was deny, for something that was allowed before."""

    code = "withdrawn"
    close_code = 4403
    hint = (
        "Come back with back-off: policy has changed and may be mended. If it stays, ask "
        "whoever keeps the policy of this site."
    )


class NotFound(EyrieError):
    """No such thing."""

    code = "not_found"
    status = 404
    close_code = 4504
    hint = "Check the name; `eyrie status` lists what there is."


class Vanished(NotFound):
    """No such thing for them now; before, there was."""

    hint = "Come back with back-off: it may have been hidden or deleted by mistake."


class Conflict(EyrieError):
    """The state expected by the caller is not the state there is."""

    code = "conflict"
    status = 409
    close_code = 4509
    hint = "Read the current state and start from there."


class StaleTag(Conflict):
    """Somebody changed it since the ETag was read (RFC 9110, 15.5.13)."""

    code = "precondition_failed"
    status = 412
    hint = "Read it again, look at what changed, and send the new ETag."


class Fenced(Conflict):
    """Another owner or a newer generation holds the camera: stop, touch nothing."""

    code = "fenced"
    hint = "Nothing to do: the new owner goes on."


class TooMany(EyrieError):
    """Over a limit."""

    code = "too_many"
    status = 429
    close_code = 4008
    hint = "Slow down and retry after the given time."


class TooManyCameras(TooMany):
    """A device has registered as many cameras as it may, or its site is full."""

    code = "too_many_cameras"
    hint = (
        "Whoever keeps the registry can add the camera, or raise registry.max_per_device or "
        "registry.max_per_site."
    )


class ConfigError(EyrieError):
    """Settings that cannot be used."""

    code = "config"
    hint = "Mend the setting; `eyrie config` prints what is in force."


class Unavailable(EyrieError):
    """A part is away for now."""

    code = "unavailable"
    status = 503
    close_code = 4013
    hint = "Retry with back-off."


class Full(Unavailable):
    """A store has no room left: nothing was stored, and nothing will be until somebody makes
    room."""

    code = "full"
    hint = "Make room: on the disk of PostgreSQL, or for Redis (maxmemory)."


class ReadOnly(Unavailable):
    """A store answers and takes no writes: a replica, or told to only read. Nothing was stored, and
    nothing will be until that is over."""

    code = "read_only"
    hint = (
        "Look where the address leads (a replica, after a failover?), and whether the server "
        "is told to take no writes."
    )


class UnknownOutcome(Unavailable):
    """A write was sent and no answer came: it may or may not have happened."""

    code = "unknown_outcome"
    hint = "Re-read before anything else."


class StartError(EyrieError):
    """A server of ours did not start. Where a log says more, the hint names a file that is
    there."""

    code = "start_failed"
    hint = "Mend what it says, then start again."


class NeverStarts(StartError):
    """A server of ours did not start, and will not until a person does something: nobody tries
    again by himself."""


class WrongSeq(Conflict):
    """The post does not begin where the stream stands."""

    code = "wrong_seq"

    def __init__(self, expected_seq: int) -> None:
        super().__init__(
            f"this session goes on with seq {expected_seq}",
            hint=f"Send again from seq {expected_seq}.",
        )
        self.expected_seq = expected_seq
