"""``python -m tools.odd_times [--only NAME] [-- pytest arguments]``: the tests at moments at which
time does what is easily forgotten.

Each run begins `BEFORE_S` before its moment by the clock of its processes
(`load_tests.harness.shifted_clock`; servers that tests start are shifted too) and has it pass by,
in a random order that the seed decides. Exit status 1 when a run fails.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from load_tests.harness.shifted_clock import ShiftedClock

BEFORE_S = 120.0
# Local times and their zones. An hour that comes twice is meant the first time.
MOMENTS: Mapping[str, tuple[str, str]] = {
    "midnight": ("2026-12-16 00:00:00", "UTC"),
    "end of a month": ("2027-02-01 00:00:00", "UTC"),
    "29 February": ("2028-02-29 00:00:00", "UTC"),
    "after 29 February": ("2028-03-01 00:00:00", "Europe/Berlin"),
    "new year": ("2027-01-01 00:00:00", "Europe/Berlin"),
    "summer time begins": ("2027-03-28 03:00:00", "Europe/Berlin"),
    "summer time ends": ("2027-10-31 02:59:59", "Europe/Berlin"),
}
# Not those with programs that have a clock of their own (Go, Chromium's sandbox), and no whole
# stacks.
TESTS = (
    "tests/unit",
    "tests/model",
    "tests/property",
    "tests/contract",
    "tests/integration/actors",
    "tests/integration/hub",
    "tests/integration/policy",
    "tests/integration/security",
    "tests/integration/storage",
    "-m",
    "not prove and not browser and not opa and not ray",
)


def offset_s(moment: str, zone: str, now_s: float, before_s: float) -> float:
    """What a clock must be shifted by to stand `before_s` before the moment."""
    return (
        datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)).timestamp() - before_s - now_s
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them all, one after the other."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.odd_times", description="run tests at moments at which time is odd"
    )
    parser.add_argument(
        "--only", action="append", choices=list(MOMENTS), help="only this moment (may be repeated)"
    )
    parser.add_argument(
        "--before",
        type=float,
        default=BEFORE_S,
        help="seconds before the moment at which a run begins",
    )
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="of the order of the tests"
    )
    parser.add_argument(
        "tests", nargs="*", help="arguments for pytest (default: all without whole stacks)"
    )
    given = parser.parse_args(arguments)
    failed = []
    with tempfile.TemporaryDirectory(prefix="eyrie-clock-") as folder:
        Path(folder).chmod(0o755)
        clock = ShiftedClock(Path(folder))
        for number, name in enumerate(given.only or MOMENTS):
            moment, zone = MOMENTS[name]
            clock.shift(offset_s(moment, zone, time.time(), given.before))
            sys.stdout.write(
                f"{name}: {given.before:g} s before {moment} {zone}, order {given.seed + number}\n"
            )
            sys.stdout.flush()
            command = [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "--random-order",
                str(given.seed + number),
                *(given.tests or TESTS),
            ]
            if subprocess.run(
                command, check=False, env={**os.environ, **clock.environment(), "TZ": zone}
            ).returncode:
                failed.append(name)
    sys.stdout.write(f"failed: {', '.join(failed)}\n" if failed else "all passed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
