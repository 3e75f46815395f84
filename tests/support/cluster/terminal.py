"""An `eyrie` command as somebody at a terminal sees it."""

import os
import pty
import signal
import subprocess
from contextlib import suppress

from tests.support.cluster.product import COMMAND, ROOT, STOP_S


def answering(arguments: list[str], question: str, answer: str) -> tuple[int, str]:
    """Exit code and what it showed, when somebody answers `question` so."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown, answered = b"", False
        with suppress(OSError):
            while chunk := os.read(ours, 4096):
                shown += chunk
                if not answered and question.encode() in shown:
                    answered = True
                    os.write(ours, f"{answer}\n".encode())
        code = process.wait(STOP_S)
    os.close(ours)
    return code, shown.decode()


def on_a_terminal(arguments: list[str], *, until: str = "") -> tuple[int, str]:
    """Exit code and what it showed. When `until` has been shown the command gets a Ctrl-C."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown, asked = b"", not until
        with suppress(OSError):  # Linux says so when the other side was closed
            while chunk := os.read(ours, 4096):
                shown += chunk
                if not asked and until.encode() in shown:
                    asked = True
                    process.send_signal(signal.SIGINT)
        code = process.wait(STOP_S)
    os.close(ours)
    return code, shown.decode()
