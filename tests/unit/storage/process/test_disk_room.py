"""What a start needs on disks adds up by disk, and a full one is told whatever the failure looks
like."""

import errno
import os
from pathlib import Path

import pytest

from actors.core.errors import StartError
from storage.process.disk_room import (
    DATABASE_BYTES,
    LATER_BYTES,
    LOGS_BYTES,
    lacking,
    needs,
    told_when_full,
)

HUGE = 1 << 60


def test_a_first_start_needs_more_than_a_later_one(tmp_path: Path) -> None:
    assert needs(tmp_path, database=True)[tmp_path] == LOGS_BYTES + DATABASE_BYTES
    assert needs(tmp_path, database=False)[tmp_path] == LOGS_BYTES
    (tmp_path / "postgres" / "18").mkdir(parents=True)
    (tmp_path / "postgres" / "18" / "PG_VERSION").touch()
    assert needs(tmp_path, database=True)[tmp_path] == LOGS_BYTES + LATER_BYTES


def test_folders_on_one_disk_add_up_and_need_not_be_there(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "b", tmp_path / "c"
    assert lacking({first: 1, second: 1}) == ""
    told = lacking({first: HUGE, second: HUGE})
    assert told.startswith(f"{2 * HUGE:,} bytes are needed in {first} and {second}, and ")


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        StartError(
            f"initdb: error: could not write to file: {os.strerror(errno.ENOSPC)}\nmore of it"
        ),
        StartError(
            'initdb: FATAL: could not extend file "base/1/2675": wrote only 4096 of 8192 bytes\n'
            "HINT:  Check free disk space."
        ),
    ],
    ids=["full", "quota", "a server's words", "a part of a page"],
)
def test_what_fails_for_want_of_room_is_told_in_one_line(
    tmp_path: Path, failure: Exception
) -> None:
    with (
        pytest.raises(StartError, match=f"a disk is full; Eyrie writes to {tmp_path} ") as told,
        told_when_full({tmp_path: 1}),
    ):
        raise failure
    assert "\n" not in told.value.detail


@pytest.mark.parametrize(
    "failure",
    [OSError(errno.EACCES, "closed"), StartError("something else")],
    ids=["access", "another"],
)
def test_another_failure_stays_what_it_is(tmp_path: Path, failure: Exception) -> None:
    with pytest.raises(type(failure)) as told, told_when_full({tmp_path: 1}):
        raise failure
    assert told.value is failure
