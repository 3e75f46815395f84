"""A small disk of memory that can be filled to the last block. Mounts it, so it needs root."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.cluster.product import data_folder

DISK_MB = 200


@contextlib.contextmanager
def small_disk(megabytes: int = DISK_MB) -> Iterator[Path]:
    """A folder of its own that holds no more than so much; servers' own users reach it."""
    with data_folder() as folder:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=711", "tmpfs", str(folder)],
            check=True,
        )
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_disk(disk: Path) -> Path:
    """A file that takes all the room there is."""
    path = disk / "others"
    for size in (1 << 20, 512):
        with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(size))
    return path


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """A disk without room, for as long as the block."""
    file = fill_disk(disk)
    try:
        yield
    finally:
        file.unlink()
