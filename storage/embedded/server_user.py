"""Who embedded servers run as: ourselves, or, when we are root, an unprivileged user (PostgreSQL
refuses root)."""

import os
import pwd
from pathlib import Path

from actors.core.errors import StartError
from storage.embedded.data_dir import private_folder

UNPRIVILEGED = ("postgres", "nobody")  # the first that the system has


class ServerUser:
    """`uid`, `gid` and `name`. Raises StartError when there is nobody."""

    def __init__(self) -> None:
        self.uid, self.gid, self.name = os.geteuid(), os.getegid(), ""
        if self.uid != 0:
            self.name = _user_name(self.uid)
            return
        for name in UNPRIVILEGED:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            self.uid, self.gid, self.name = entry.pw_uid, entry.pw_gid, name
            return
        raise StartError(
            "there is no unprivileged user to run the embedded servers as",
            hint="Start Eyrie as a normal user.",
        )

    @property
    def other(self) -> bool:
        """True when that is not us."""
        return self.uid != os.geteuid()

    def own(self, folder: Path, mode: int = 0o700) -> Path:
        """Make `folder` and give it to the user. Raises StartError when the user could not reach
        it, or somebody else has it."""
        private_folder(folder, self.uid)
        if self.other:
            os.chown(folder, self.uid, self.gid)
            blocked = self.blocked_at(folder.parent)
            if blocked is not None:
                raise StartError(
                    f"the user {self.name}, whom the embedded servers run as, cannot reach "
                    f"{folder}: {blocked} is closed to others",
                    hint="Choose a data directory below folders that others may traverse (for "
                    "example /var/lib/eyrie) with --data-dir.",
                )
        folder.chmod(mode)
        return folder

    def blocked_at(self, path: Path) -> Path | None:
        """The outermost folder on the way to `path` that the user may not traverse, or None."""
        if not self.other:
            return None
        for folder in (*reversed(path.parents), path):
            info = folder.stat()
            allowed = (info.st_mode & 0o001) or (info.st_uid == self.uid and info.st_mode & 0o100)
            if not allowed:
                return folder
        return None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError as error:
        raise StartError(
            f"the user id {uid} has no name in the system's user database",
            hint="PostgreSQL needs one; add it.",
        ) from error
