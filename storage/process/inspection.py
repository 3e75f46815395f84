"""What ops may ask of a running process: another log level for a while, and a sampling profile.
Both end by themselves.

Ray actors answer these in their control group, so they work while the loop that does the work is
stuck. The profiler is ours because it must run inside the process, without ptrace, for all threads,
and be bounded: it is thirty lines over `sys._current_frames`.
"""

import logging
import sys
import threading
import time
from collections import Counter
from types import FrameType
from typing import Any

from actors.core.errors import BadInput, Conflict

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
MAX_LEVEL_S = 86_400.0
MAX_PROFILE_S = 30.0
MAX_HZ = 200
MAX_DEPTH = 64  # frames of one stack
MAX_STACKS = 5_000  # different ones
MAX_TEXT = 512 * 1024  # bytes of a profile

log = logging.getLogger("eyrie.inspection")


class LogLevel:
    """The level of the root logger, changed for a while. There is one root logger, so there is one
    of these: `LEVEL`."""

    def __init__(self, root: logging.Logger) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._base: int | None = None
        self._until = 0.0
        self._timer: threading.Timer | None = None

    def set(self, level: str, for_s: float) -> dict[str, Any]:
        """`level` for so many seconds, in place of one set before; an empty one ends that now.
        Raises BadInput."""
        if level and (level not in LEVELS or not 0 < for_s <= MAX_LEVEL_S):
            raise BadInput(f"a level is one of {', '.join(LEVELS)}, for at most {MAX_LEVEL_S:g} s")
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if not level:
                self._restore()
            else:
                self._base = self._root.level if self._base is None else self._base
                self._root.setLevel(LEVELS[level])
                self._until = time.monotonic() + for_s
                self._timer = threading.Timer(for_s, self._expire)
                self._timer.daemon = True
                self._timer.start()
        log.warning(
            "log level is %s%s",
            level or _name(self._root.level),
            f" for {for_s:g} s" if level else "",
        )
        return self.show()

    def show(self) -> dict[str, Any]:
        """``{level, base, left_s}``; `left_s` None: nobody changed it."""
        base = self._root.level if self._base is None else self._base
        left_s = None if self._base is None else round(max(0.0, self._until - time.monotonic()), 1)
        return {"level": _name(self._root.level), "base": _name(base), "left_s": left_s}

    def _expire(self) -> None:
        with self._lock:
            self._timer = None
            self._restore()
        log.warning("log level is %s again", _name(self._root.level))

    def _restore(self) -> None:
        if self._base is not None:
            self._root.setLevel(self._base)
            self._base = None


LEVEL = LogLevel(logging.getLogger())
_profiling = threading.Lock()


def profile(for_s: float, hz: int) -> dict[str, Any]:
    """Sample all other threads for so long, blocking: ``{samples, threads, cut, stacks}``.

    `stacks` are collapsed stacks, one a line: the thread's name and frames from the outside in with
    ``;`` between, a space, how often it was seen; the most frequent first. Raises BadInput, and
    Conflict while another profile of this process is taken.
    """
    if not (0 < for_s <= MAX_PROFILE_S and 1 <= hz <= MAX_HZ):
        raise BadInput(
            f"a profile takes at most {MAX_PROFILE_S:g} s, at most {MAX_HZ} times a second"
        )
    if not _profiling.acquire(blocking=False):
        raise Conflict("a profile of this process is being taken", hint="Wait until it is done.")
    try:
        return _sample(for_s, hz)
    finally:
        _profiling.release()


def _sample(for_s: float, hz: int) -> dict[str, Any]:
    own, counted, threads = threading.get_ident(), Counter[str](), set[int]()
    samples, dropped = 0, 0
    due = start = time.monotonic()
    while due - start < for_s:
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        for ident, frame in sys._current_frames().items():
            if ident == own:
                continue
            threads.add(ident)
            stack = ";".join(_word(part) for part in (names.get(ident, "thread"), *_frames(frame)))
            if stack in counted or len(counted) < MAX_STACKS:
                counted[stack] += 1
            else:
                dropped += 1
        samples += 1
        due = max(due + 1.0 / hz, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
    text = "".join(f"{stack} {count}\n" for stack, count in counted.most_common())
    kept = text if len(text) <= MAX_TEXT else text[: text.rindex("\n", 0, MAX_TEXT) + 1]
    return {
        "samples": samples,
        "threads": len(threads),
        "cut": dropped > 0 or len(kept) < len(text),
        "stacks": kept,
    }


def _frames(frame: FrameType | None) -> list[str]:
    found: list[str] = []
    while frame is not None and len(found) < MAX_DEPTH:
        found.append(f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return found[::-1]


def _word(text: str) -> str:
    """What neither ends a line nor looks like the next frame or a count."""
    return "".join(char if char.isprintable() and char not in "; " else "_" for char in text)


def inspect(what: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What a Ray actor's `inspect` method does: ``level``, ``set_level`` (`level`, `for_s`) or
    ``profile`` (`for_s`, `hz`). May block."""
    if what == "level":
        return LEVEL.show()
    if what == "set_level":
        return LEVEL.set(str(arguments["level"]), float(arguments["for_s"]))
    if what == "profile":
        return profile(float(arguments["for_s"]), int(arguments["hz"]))
    raise BadInput(f"nobody knows how to {what}")


def _name(level: int) -> str:
    return next((name for name, number in LEVELS.items() if number >= level), "error")
