"""A hub of this node that is stopped (SIGSTOP, a debugger) is ended by the node's launcher: its
sockets would stay open, and nobody who hangs on them would be told.

The supervisor judges the hubs beside it, and sooner (`cluster.supervisor.standstill`); this is for
the other nodes, and for the time in which there is no supervisor. Here nobody can be asked, so only
a process is meant none of whose threads may run; one that is dead-locked is not.
"""

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cluster.ray.process import descendants
from cluster.supervisor.standstill import Standstill, activities, activity_of

TITLE = b"ray::RayHub"  # how Ray names the process of an actor of that class
LOOK_S = 1.0  # seconds between two looks
FIND_S = 5.0  # seconds between two searches for hubs, which read the whole table of processes
STOPPED_S = 7.0  # seconds; the supervisor has ended it by then where it can
STOP_S = 5.0  # seconds the last look may take

log = logging.getLogger("eyrie.cluster.launcher")


class StoppedHubs:
    """`start`, then `stop`. Looks at the descendants of process `root`; `note` tells a person one
    line."""

    def __init__(
        self,
        note: Callable[[str], None],
        *,
        root: int | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._note = note
        self._root = os.getpid() if root is None else root
        self._now = now
        self._standstill = Standstill(STOPPED_S)
        self._hubs: dict[str, int] = {}
        self._found_at = float("-inf")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stopped-hubs", daemon=True)

    def start(self) -> None:
        """Look again and again, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def check(self) -> None:
        """Look once, and end who has been stopped for :data:`STOPPED_S`."""
        now = self._now()
        if now - self._found_at >= FIND_S:
            self._found_at = now
            self._hubs = {str(pid): pid for pid in descendants(self._root) if _titled(pid)}
        for name, activity in self._standstill.still(activities(self._hubs), now).items():
            pid = self._hubs[name]
            if not activity.stopped or activity_of(pid) != activity or not _titled(pid):
                continue
            self._note(f"a hub (process {name}) is ended: it was stopped for {STOPPED_S:g} s")
            with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(pid, signal.SIGKILL)

    def _run(self) -> None:
        while not self._over.wait(LOOK_S):
            try:
                self.check()
            except OSError as error:  # no descriptor left, say
                log.warning("hubs of this node cannot be looked at now: %s", error)


def _titled(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(TITLE)
    except OSError:
        return False
