"""Room on disks: what a start needs and where, told before it begins, and a disk that fills up
meanwhile, told in one line.

The figures are measured ones with a margin (a first start takes 48 MB of data, the copied binaries
45 MB). The standard library only: `tools/check_room.py` asks before anything is installed.
"""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from actors.core.errors import EyrieError, StartError

MIB = 1024 * 1024
DATABASE_BYTES = (
    192 * MIB
)  # a first start: the cluster, its first WAL, the binaries where they must be copied
LATER_BYTES = 64 * MIB  # a later start: some WAL segments
LOGS_BYTES = 32 * MIB
SEGMENT_BYTES = 16 * MIB  # a WAL segment: with less, PostgreSQL ends at the next one that it makes
RAY_BYTES = 64 * MIB  # Ray's session in the temporary folder
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# The second is PostgreSQL's hint after a write that found room for a part of a page (md.c).
SAID = (os.strerror(errno.ENOSPC), "Check free disk space")


def needs(data: Path, *, database: bool) -> dict[Path, int]:
    """What a start writes, in bytes, by folder. `database`: an embedded PostgreSQL is started."""
    made = next(data.glob("postgres/*/PG_VERSION"), None) is not None
    return {
        data: LOGS_BYTES + (0 if not database else LATER_BYTES if made else DATABASE_BYTES),
        Path(tempfile.gettempdir()): RAY_BYTES,
    }


def disks(wanted: Mapping[Path, int]) -> list[tuple[list[Path], int]]:
    """The folders of each disk and the bytes wanted there. Folders on one disk add up; one that is
    not there yet counts by its parent."""
    found: dict[int, tuple[list[Path], int]] = {}
    for folder, size in wanted.items():
        device = existing(folder).stat().st_dev
        folders, sum_ = found.get(device, ([], 0))
        found[device] = ([*folders, folder], sum_ + size)
    return list(found.values())


def lacking(wanted: Mapping[Path, int]) -> str:
    """What is missing, as one line, or an empty text."""
    for folders, size in disks(wanted):
        free = shutil.disk_usage(existing(folders[0])).free
        if free < size:
            names = " and ".join(str(folder) for folder in folders)
            return f"{size:,} bytes are needed in {names}, and {free:,} are free there"
    return ""


def make_room(data: Path) -> str:
    """What a person is told whose PostgreSQL below `data` has no room to go on, or an empty
    text."""
    short = lacking({data: SEGMENT_BYTES})
    return f"{short}: make room, the rest goes by itself" if short else ""


def existing(folder: Path) -> Path:
    """`folder`, or the first of its parents that is there."""
    return next(one for one in (folder, *folder.parents) if one.exists())


@contextlib.contextmanager
def told_when_full(wanted: Mapping[Path, int]) -> Iterator[None]:
    """Whatever fails in the block because a disk of `wanted` is full fails as StartError that says
    so in one line."""
    try:
        yield
    except (EyrieError, OSError) as error:
        said = any(words in str(error) for words in SAID)
        if not said and not (isinstance(error, OSError) and error.errno in FULL):
            raise
        places = ", ".join(
            f"{folder} ({shutil.disk_usage(existing(folder)).free:,} bytes free)"
            for folder in wanted
        )
        raise StartError(
            f"a disk is full; Eyrie writes to {places}",
            hint="Make room there and start again: what was acked is kept. Or choose another "
            "disk with --data-dir and TMPDIR.",
        ) from error
