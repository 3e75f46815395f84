"""Which camera a process was busy with when it died, as the processes of its node can read it
afterwards.

Data that ends the process (a fault in a library, memory, a core without end) leaves no exception
behind. So the camera's name stands in a file while anything is done for it, and outlives the
process (not the machine); who holds the file's lock is alive. The file is mapped: a note is a copy
of 64 bytes, where a `pwrite` before and after each step took a tenth of an actor's time at full
load. A page of a mapped file that the disk has no room for ends the process (SIGBUS), so the room
is taken first: written and synced before it is mapped.
"""

import contextlib
import fcntl
import logging
import mmap
import os
from pathlib import Path

from storage.embedded.data_dir import DataDir

SIZE_BYTES = 64  # an identifier is no longer

log = logging.getLogger("eyrie.actors.notes")


def folder_of(data: DataDir) -> Path:
    """Where the processes of a node write."""
    return data.run / "steps"


class StepNote:
    """The note of this process; `name` is its own. Nothing is written before :meth:`open`."""

    def __init__(self) -> None:
        self._file: int | None = None
        self._page: mmap.mmap | None = None
        self._path = Path()

    def open(self, data: DataDir, name: str) -> None:
        """Begin; where the folder cannot be written there are no notes."""
        folder = folder_of(data)
        self._path = folder / name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)  # until the process ends, however it ends
            os.pwrite(self._file, bytes(SIZE_BYTES), 0)
            os.fdatasync(self._file)
            self._page = mmap.mmap(self._file, SIZE_BYTES)
        except OSError as error:
            log.warning("with which camera this process may end is not noted: %s", error)
            self.close()

    def set(self, camera: str) -> None:
        """From now on the process is busy with `camera`; empty: with none."""
        if self._page is not None:
            self._page[:] = camera.encode("ascii").ljust(SIZE_BYTES, b"\0")

    def close(self) -> None:
        """It ends in order: nothing is left to read."""
        if self._page is not None:
            self._page.close()
            self._page = None
        if self._file is not None:
            os.close(self._file)
            self._file = None
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


def left_behind(data: DataDir) -> dict[str, str]:
    """Process → the camera it died with, of those that died on this node; each is told once."""
    found = {}
    for path in sorted(folder_of(data).glob("*")):
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # another one was faster
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            camera = os.read(file, SIZE_BYTES).rstrip(b"\0").decode("ascii", "replace")
            path.unlink(missing_ok=True)
        except OSError:
            continue  # it lives
        finally:
            os.close(file)
        if camera:
            found[path.name] = camera
    return found
