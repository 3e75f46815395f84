"""The sessions of a camera that are still to be sent: of its spool folder, or one in memory."""

import logging
import secrets
from collections.abc import Callable
from pathlib import Path

from edge.spool import DiskSpool
from edge.spool_folder import CameraFolder
from edge.spools import MemorySpool
from edge.stream import Session
from edge.window import Window

log = logging.getLogger("eyrie.edge")


def open_sessions(
    folder: CameraFolder | None, session: str | None, capacity: int
) -> tuple[list[Session], Callable[[], Session]]:
    """The sessions to send, oldest first, and how to begin a fresh one. The last of them is
    `session` where it is given. `capacity`: bytes of payload held per session."""
    if folder is None:

        def fresh_in_memory() -> Session:
            return Session(session or secrets.token_hex(8), Window(capacity), MemorySpool())

        return [fresh_in_memory()], fresh_in_memory

    def fresh_on_disk() -> Session:
        name = secrets.token_hex(8)
        return _open_session(folder.place(name), name, capacity)[0]

    found = []
    resumable = False
    for name, path in folder.sessions():
        opened, resumable = _open_session(path, name, capacity)
        if opened.settled and not resumable:
            opened.spool.remove()
        else:
            found.append(opened)
    if session is not None and (not found or found[-1].name != session):
        found.append(_open_session(folder.place(session), session, capacity)[0])
    elif session is None and (not found or not resumable):
        found.append(fresh_on_disk())
    return found, fresh_on_disk


def _open_session(path: Path, name: str, capacity: int) -> tuple[Session, bool]:
    """A session from its folder, and whether it can be continued."""
    spool = DiskSpool(path, capacity=capacity)
    found = spool.recovered
    window = Window(capacity, acked=found.acked, next_seq=found.next_seq)
    for seq, size, alarm in found.held:
        window.restore(seq, size, alarm=alarm)
    for first, last, reason in found.gaps:
        window.restore_gap(first, last, reason)
    window.restore_holes()
    if found.damaged:
        log.warning("spool %s: %d damaged bytes passed over", path, found.damaged)
    return Session(name, window, spool), found.resumable
