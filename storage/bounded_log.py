"""Log files of a bounded size, written by any number of processes: whoever finds the file full puts
it aside, and the others follow.

A line is one write of an append-only file, so lines of several processes never mix.
"""

import contextlib
import fcntl
import os
import threading
from pathlib import Path

CHUNK = 65_536


class BoundedLog:
    """`path` has at most `max_bytes` (and one line); `files` older ones are kept as ``path.1`` (the
    newest), ``path.2``, …"""

    def __init__(self, path: Path, *, max_bytes: int, files: int) -> None:
        """Raises OSError where it cannot be opened."""
        self._path = path
        self._max_bytes = max_bytes
        self._files = files
        self._fd = -1
        self._inode = 0
        self._open()

    def write(self, text: str) -> int:
        """As a stream: one record in one write."""
        self.append(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        """No."""
        return False

    def append(self, data: bytes) -> None:
        """Write, and put the file aside before where it is full. Raises OSError (a full disk,
        say)."""
        try:
            now = os.stat(self._path)
        except FileNotFoundError:
            self._open()
        else:
            if now.st_ino != self._inode:
                self._open()
                now = os.fstat(self._fd)
            if now.st_size and now.st_size + len(data) > self._max_bytes:
                self._rotate()
        os.write(self._fd, data)

    def close(self) -> None:
        """Give the file back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.close()
        self._fd, self._inode = fd, os.fstat(fd).st_ino

    def _rotate(self) -> None:
        """One process at a time; who comes second finds another file there, and writes to that."""
        lock = os.open(
            self._path.with_name(f".{self._path.name}.lock"),
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
            0o600,
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.stat(self._path).st_ino == self._inode:
                    for number in range(self._files - 1, 0, -1):
                        with contextlib.suppress(FileNotFoundError):
                            os.replace(self._aside(number), self._aside(number + 1))
                    os.replace(self._path, self._aside(1))
            self._open()
        finally:
            os.close(lock)

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def pump(source: int, log: BoundedLog, name: str) -> threading.Thread:
    """Write what comes out of the descriptor `source` (a child's output) to `log` until it ends.
    What the disk does not take is lost: no child waits for it."""

    def run() -> None:
        try:
            while data := os.read(source, CHUNK):
                with contextlib.suppress(OSError):
                    log.append(data)
        finally:
            os.close(source)
            log.close()

    thread = threading.Thread(target=run, name=f"log-of-{name}", daemon=True)
    thread.start()
    return thread
