"""The one place that writes to the terminal: results on standard output, progress and errors on
standard error.

Colours and bars appear on a terminal only (and not with ``NO_COLOR``); with ``--json`` standard
output carries nothing but JSON.
"""

import contextlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from actors.core.errors import EyrieError
from actors.core.log_format import counted as counted
from actors.core.log_format import one_line

WIDE = 400  # columns of a table where no terminal says how many there are: a pipe wraps nothing
OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130  # exit codes


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Rich would end the process with exit code 1; whoever wrote `| head` has got what was
        asked for (see `cluster.cli.main`)."""
        raise BrokenPipeError


_out = _Console(
    width=None if sys.stdout.isatty() else WIDE, soft_wrap=True, highlight=False, markup=False
)
_err = _Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def say(text: str = "", *, style: str = "") -> None:
    """A line of result."""
    _out.print(Text(text, style=style))


def note(text: str, *, style: str = "") -> None:
    """A line about what goes on."""
    _err.print(Text(text, style=style))


def emit(value: Any) -> None:
    """One JSON document (or, called again and again, NDJSON) on standard output."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table; text from cameras has its control characters escaped."""
    made = Table(title=title or None, title_justify="left", title_style="bold")
    for column in columns:
        made.add_column(column)
    for row in rows:
        made.add_row(*(Text(one_line(str(cell))) for cell in row))
    _out.print(made)


def generation(number: int | None) -> str:
    """As people read it: a camera that is being activated for the first time has none."""
    return str(number) if number else "none yet"


def asked(question: str) -> str:
    """What somebody at the terminal answers; empty where there is none, or nobody answers."""
    if not (sys.stdin.isatty() and _err.is_terminal):
        return ""
    try:
        return _err.input(Text(question)).strip()
    except EOFError:
        return ""


def confirmed(question: str) -> bool:
    """Whether somebody at the terminal says yes; no where there is none."""
    return asked(f"{question} [y/N] ").lower() in ("y", "yes")


def fail(error: EyrieError) -> None:
    """An error of the family: what is wrong and what to do."""
    _err.print(Text(f"error: {error.detail}", style="bold red"))
    _err.print(Text(f"  {error.next_step}"))


def progress() -> Progress:
    """A progress bar on standard error; silent where that is no terminal. Use as a context
    manager."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=_err,
        disable=not _err.is_terminal,
        transient=True,
    )


@contextlib.contextmanager
def spinner(text: str) -> Iterator[None]:
    """A spinner beside `text` while the block runs; nothing where standard error is no terminal."""
    if not _err.is_terminal:
        yield
        return
    with _err.status(text):
        yield
