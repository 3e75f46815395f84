"""A disk that forgets what was not synced, fills up and refuses: what `edge.spool` sees of the
system's calls when a test puts it in their place."""

import errno
import os
from pathlib import Path
from typing import Any


class LosingDisk:
    """Everything of `os` that is not named here goes through. Files are real; `synced` tells how
    many bytes of each would outlast a power failure.

    `room`: bytes that can still be written, None for no limit. `refusals`: so many syncs fail.
    """

    def __init__(self) -> None:
        self.synced: dict[Path, int] = {}
        self.room: int | None = None
        self.refusals = 0
        self.syncs = 0
        self._paths: dict[int, Path] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        """See `os.open`."""
        descriptor = os.open(path, flags, mode)
        self._paths[descriptor] = Path(path)
        self.synced.setdefault(Path(path), 0)
        return descriptor

    def dup(self, descriptor: int) -> int:
        """See `os.dup`."""
        copy = os.dup(descriptor)
        self._paths[copy] = self._paths[descriptor]
        return copy

    def close(self, descriptor: int) -> None:
        """Closing brings nothing to the disk."""
        self._paths.pop(descriptor, None)
        os.close(descriptor)

    def write(self, descriptor: int, data: bytes) -> int:
        """What finds room; the whole does not when it is less, as on a disk that fills up."""
        if self.room is None:
            return os.write(descriptor, data)
        fits = data[: self.room]
        if not fits:
            raise OSError(errno.ENOSPC, "no space left on device")
        self.room -= len(fits)
        return os.write(descriptor, fits)

    def fsync(self, descriptor: int) -> None:
        """From now on it outlasts a power failure."""
        self.syncs += 1
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EIO, "input/output error")
        path = self._paths[descriptor]
        self.synced[path] = os.fstat(descriptor).st_size

    def unsynced(self) -> int:
        """Bytes that a power failure would take."""
        return sum(
            max(path.stat().st_size - size, 0)
            for path, size in self.synced.items()
            if path.exists()
        )

    def cut_power(self) -> None:
        """What was not synced is gone; no process goes on."""
        for path, size in self.synced.items():
            if path.exists() and path.stat().st_size > size:
                os.truncate(path, size)
