"""Which refusal of Redis means what; a script's error has the server's word somewhere within."""

import pytest
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError

from actors.core.errors import EyrieError, Full, ReadOnly, Unavailable
from storage.redis.scripts import refusal


@pytest.mark.parametrize(
    ("reply", "family"),
    [
        (OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), Full),
        (
            ResponseError("ERR Error running script: @user_script:16: -OOM command not allowed"),
            Full,
        ),
        (ResponseError("MISCONF Errors writing to the AOF file: No space left on device"), Full),
        (ReadOnlyError("You can't write against a read only replica."), ReadOnly),
        (
            ResponseError(
                "ERR Error running script: @user_script:16: -READONLY You can't write against a "
                "read only replica."
            ),
            ReadOnly,
        ),
        (
            ResponseError(
                "NOREPLICAS Not enough good replicas to write. script: 5e, on @user_script:16."
            ),
            ReadOnly,
        ),
        (
            ResponseError(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to "
                "persist to disk."
            ),
            ReadOnly,
        ),
        (ResponseError("LOADING Redis is loading the dataset in memory"), Unavailable),
    ],
)
def test_a_refusal_says_why_nothing_is_written(
    reply: ResponseError, family: type[EyrieError]
) -> None:
    assert type(refusal(reply)) is family
