"""Log records as lines: one line each, whatever is in them, readable on a terminal or by a
collector.

    12:00:00.123 info    hub.edge      edge of cam-1 connected link=hub-0/3

Control characters are escaped, so that no input can forge a line (ASVS 16.4.1).
"""

import json
import logging
import sys
import time
from typing import TextIO

from actors.core.settings import LogSettings

MAX_LINE = 4096  # characters of one message; the rest is cut
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_QUIET = (
    "asyncio",
    "websockets",
    "uvicorn",
    "uvicorn.access",
    "uvicorn.error",
    "ray",
    "jose",
    "redis",
)


def one_line(text: str) -> str:
    """`text` with everything that could end or repaint a line escaped, at most `MAX_LINE`
    characters."""
    cut = text if len(text) <= MAX_LINE else text[:MAX_LINE] + "…"
    if cut.isprintable():
        return cut
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
        for c in cut
    )


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 camera``, ``2 cameras``; `plural` where an s does not make it."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


class LineFormatter(logging.Formatter):
    """Text lines for people."""

    def __init__(self, component: str, *, colour: bool) -> None:
        super().__init__()
        self._component = component
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """One line: time, level, process, component, message and what was raised."""
        stamp = (
            time.strftime("%H:%M:%S", time.localtime(record.created)) + f".{int(record.msecs):03}"
        )
        level = record.levelname.lower()
        shown = (
            f"\x1b[{_COLOURS.get(level, '0')}m{level:<7}\x1b[0m" if self._colour else f"{level:<7}"
        )
        return (
            f"{stamp} {shown} {self._component} {_short(record.name)}: {one_line(_message(record))}"
        )


class JsonFormatter(logging.Formatter):
    """One JSON object a line for collectors."""

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        """Time (seconds since 1970), level, process, component, message."""
        line = {
            "time": round(record.created, 6),
            "level": record.levelname.lower(),
            "process": self._component,
            "component": _short(record.name),
            "message": _message(record)[:MAX_LINE],
        }
        return json.dumps(line, ensure_ascii=True)


def configure(settings: LogSettings, component: str, stream: TextIO | None = None) -> None:
    """Send all records of this process to `stream` (standard error) as lines; `component` names the
    process."""
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        JsonFormatter(component)
        if settings.format == "json"
        else LineFormatter(component, colour=out.isatty())
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[settings.level])
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _short(name: str) -> str:
    return name.removeprefix("eyrie.")


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        text += f" ({type(error).__name__}: {error})"
    return text
