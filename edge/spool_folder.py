"""The spool folder of a device: ``<root>/<camera>/<number>@<session>/``, one process at a time per
camera."""

import fcntl
import os
import re
from pathlib import Path

from actors.core.errors import Conflict

_NAME = re.compile(r"\A(\d{8})@(.+)\Z")


class CameraFolder:
    """The sessions of one camera on disk, oldest first. Holds a lock until :meth:`close`."""

    def __init__(self, root: Path, camera: str) -> None:
        self.path = root / camera
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise Conflict(
                f"another process uses the spool {self.path}",
                hint="End it, or give this one another spool folder.",
            ) from error

    def sessions(self) -> list[tuple[str, Path]]:
        """(session, folder), oldest first."""
        found = []
        for path in self.path.iterdir():
            match = _NAME.match(path.name)
            if match is not None and path.is_dir():
                found.append((int(match[1]), match[2], path))
        return [(session, path) for _, session, path in sorted(found)]

    def place(self, session: str) -> Path:
        """The folder of a session: where it is, or where a new one goes."""
        newest = 0
        for known, path in self.sessions():
            newest = int(path.name[:8])
            if known == session:
                return path
        return self.path / f"{newest + 1:08d}@{session}"

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
