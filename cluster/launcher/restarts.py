"""When a child of a launcher that ended is started again, and what is said of it meanwhile.

The first time at once, then after a pause that grows while it ends again and again. Nobody is given
up for ending often: a full disk, a lack of memory or a port that another program has is over some
time, and then it must heal by itself. What no waiting mends ends the launcher: settings that cannot
be used, and what is raised as `NeverStarts`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from actors.core.backoff import bound_s
from actors.core.errors import ConfigError, EyrieError, NeverStarts
from storage.embedded.data_dir import DataDir
from storage.process import disk_room

FIRST_S = 1.0  # seconds before the second start in a row; each later one waits twice as long
LONGEST_S = 30.0
STEADY_S = 120.0  # seconds of life after which an end is the first one again


@dataclass
class _Child:
    ends: int = 0  # in a row
    began: float | None = None  # monotonic; None while it is down
    due: float = 0.0


class Pauses:
    """Per child, when it is started next (pure). `now`: monotonic seconds."""

    def __init__(self) -> None:
        self._children: dict[str, _Child] = {}

    def ended(self, name: str, now: float) -> float:
        """It ended, or did not start: seconds until its next start."""
        child = self._children.setdefault(name, _Child())
        if child.began is not None and now - child.began >= STEADY_S:
            child.ends = 0
        pause = 0.0 if not child.ends else bound_s(child.ends - 1, FIRST_S, LONGEST_S)
        child.ends, child.began, child.due = child.ends + 1, None, now + pause
        return pause

    def started(self, name: str, now: float) -> None:
        """It runs again."""
        self._children[name].began = now

    def down(self, name: str) -> bool:
        """Whether its end is known already."""
        child = self._children.get(name)
        return child is not None and child.began is None

    def due(self, name: str, now: float) -> bool:
        """Whether it is time to start one that is down."""
        return now >= self._children[name].due

    def ends(self, name: str) -> int:
        """How often it ended in a row."""
        return self._children[name].ends


class Restarts:
    """Starts children of the data directory `data` that ended. `note` tells a person one line."""

    def __init__(
        self,
        data: DataDir,
        note: Callable[[str], None],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._data = data
        self._note = note
        self._now = now
        self._pauses = Pauses()

    def again(self, name: str, start: Callable[[], None]) -> None:
        """`name` was found ended: start it, now or when it is due. Raises ConfigError and
        NeverStarts: waiting does not help."""
        pauses = self._pauses
        if not pauses.down(name):
            pause = pauses.ended(name, self._now())
            if pause:
                self._note(
                    f"{name} ended, for the {_th(pauses.ends(name))} time in a row; "
                    f"{self._waits(pause)}"
                )
            else:
                self._note(f"{name} ended; starting it again")
        if not pauses.due(name, began := self._now()):
            return
        try:
            start()
        except (ConfigError, NeverStarts):
            raise
        except (EyrieError, OSError) as error:
            lines = error.detail.splitlines() if isinstance(error, EyrieError) else [str(error)]
            said = " ".join(
                dict.fromkeys((lines[0], lines[-1].strip()))
            )  # the last one is the end of its log
            self._note(
                f"{name} did not start: {said}; {self._waits(pauses.ended(name, self._now()))}"
            )
            return
        pauses.started(name, self._now())
        self._note(f"{name} is back after {self._now() - began:.1f} s")

    def _waits(self, pause_s: float) -> str:
        """When it goes on, and what a person can do about it."""
        return (
            f"next try in {pause_s:g} s. "
            f"{disk_room.make_room(self._data.path) or self._data.look_into()}"
        )


def _th(number: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(number, f"{number}th")
