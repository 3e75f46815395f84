"""One line of progress on standard error."""

import sys


def say(line: str) -> None:
    """A plain line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
