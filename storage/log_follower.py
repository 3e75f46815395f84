"""Reads on in a log file that is put aside when it is full (`storage.bounded_log`), however often
that was since the last look."""

import contextlib
import os
from pathlib import Path
from typing import TextIO


class LogFollower:
    """Lines written to `path` from now on. It keeps one file open, the one it has read so far."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where it cannot be opened."""
        self._path = path
        path.touch()
        self._file = _open(path)
        self._file.seek(0, os.SEEK_END)

    def lines(self) -> tuple[list[str], bool]:
        """(lines since the last look, in order; whether some among them are lost, as more files
        were filled than are kept)."""
        newer: list[TextIO] = []
        lost = True
        for path in self._newest_first():
            with contextlib.suppress(FileNotFoundError):
                file = _open(path)
                if os.path.sameopenfile(file.fileno(), self._file.fileno()):
                    file.close()
                    lost = False
                    break
                if any(os.path.sameopenfile(file.fileno(), seen.fileno()) for seen in newer):
                    file.close()  # it was put aside since it was seen
                else:
                    newer.append(file)
        found = (
            self._file.readlines()
        )  # now: whoever had not found the newer file yet has written here
        for file in reversed(newer):
            self._file.close()
            self._file = file
            found += file.readlines()
        return found, lost and bool(newer)

    def close(self) -> None:
        """Read no further."""
        self._file.close()

    def _newest_first(self) -> list[Path]:
        """From the newest on: what is put aside meanwhile is met again, and never missed."""
        found = self._path.parent.glob(f"{self._path.name}.[0-9]*")
        numbers = [int(path.suffix[1:]) for path in found if path.suffix[1:].isdecimal()]
        return [
            self._path,
            *(
                self._path.with_name(f"{self._path.name}.{number}")
                for number in range(1, max(numbers, default=0) + 2)
            ),
        ]


def _open(path: Path) -> TextIO:
    return path.open(encoding="utf-8", errors="replace")
