"""A source that is killed at a chosen point: ``python -m tests.support.sources.killed WHAT N -- …``

WHAT is one call of the way from receipt to acknowledgement, N which of them; the process kills
itself with SIGKILL right before it (``before-…``) or right after it (``after-…``). Its rounds are
small: a broker may hand over all that it has at once, and one round would take it.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client

from edge.sources import command, runner
from edge.sources.journal import SourceJournal
from edge.stream import Stream

POINTS: dict[str, tuple[type[Any], str]] = {
    "journal": (SourceJournal, "append"),
    "spool": (Stream, "append"),
    "acknowledge": (Client, "ack"),
}


ROUND = 16  # receipts


def die() -> None:
    """No handler runs, nothing is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


def at(call: Callable[..., Any], when: str, number: int) -> Callable[..., Any]:
    """`call`, with the end of the process around the `number`-th time."""
    calls = 0

    def around(*values: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and when == "before":
            die()
        result = call(*values, **named)
        if calls == number and when == "after":
            die()
        return result

    return around


def half(call: Callable[..., Any], number: int) -> Callable[..., Any]:
    """A write of the journal of which the disk got a half."""
    calls = 0

    def around(descriptor: int, data: bytes) -> int:
        nonlocal calls
        if os.readlink(f"/proc/self/fd/{descriptor}").rpartition("/")[2].startswith("journal-"):
            calls += 1
            if calls == number:
                call(descriptor, data[: len(data) // 2])
                die()
        return int(call(descriptor, data))

    return around


def main() -> int:
    """Run the source until the point."""
    runner.ROUND = ROUND
    point, number = sys.argv[1], int(sys.argv[2])
    if point == "half-journal":
        os.write = half(os.write, number)
    elif point != "never":
        when, _, what = point.partition("-")
        owner, name = POINTS[what]
        setattr(owner, name, at(getattr(owner, name), when, number))
    return command.main(sys.argv[4:])


if __name__ == "__main__":
    raise SystemExit(main())
