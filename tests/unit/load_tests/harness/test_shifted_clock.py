"""A shifted clock moves the time of day of Python, of PostgreSQL's and Redis' processes and of
their children, and no waiting."""

import asyncio
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from load_tests.harness.shifted_clock import ShiftedClock
from tools.odd_times import MOMENTS, offset_s

DAY_S = 86_400.0
ASKED = """
import datetime, queue, sys, threading, time
for _ in sys.stdin:
    began, waits = time.monotonic(), threading.Condition()
    with waits:
        waits.wait(0.05)
    threading.Event().wait(0.05)
    try:
        queue.Queue().get(timeout=0.05)
    except queue.Empty:
        pass
    time.sleep(0.05)
    print(time.time(), datetime.datetime.now(datetime.UTC).timestamp(), time.monotonic() - began, flush=True)
"""  # noqa: E501


@pytest.mark.prove
async def test_a_running_process_goes_by_the_shifted_clock_and_waits_as_long_as_ever(
    tmp_path: Path,
) -> None:
    clock = ShiftedClock(tmp_path)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        ASKED,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **clock.environment()},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    for shift_s in (0.0, DAY_S, -DAY_S, 1.5, 0.0):
        clock.shift(shift_s)
        child.stdin.write(b"\n")
        by_time, by_datetime, waited_s = (
            float(word) for word in (await child.stdout.readline()).split()
        )
        real_s = time.time()
        assert 0 <= by_time - shift_s <= by_datetime - shift_s <= real_s
        assert real_s - (by_datetime - shift_s) < 60
        assert 0.2 <= waited_s < 60, "a wait is neither cut short nor a day long"
    assert clock.carried_by(child.pid)
    assert not clock.carried_by(os.getpid())
    child.stdin.close()
    await child.wait()


@pytest.mark.parametrize(
    ("name", "utc"),
    [
        ("midnight", "2026-12-16T00:00:00"),
        ("29 February", "2028-02-29T00:00:00"),
        ("after 29 February", "2028-02-29T23:00:00"),
        ("summer time begins", "2027-03-28T01:00:00"),
        ("summer time ends", "2027-10-31T00:59:59"),
    ],
)
def test_moments_are_local_times_of_their_zones(name: str, utc: str) -> None:
    at_s = datetime.fromisoformat(f"{utc}+00:00").timestamp()
    assert offset_s(*MOMENTS[name], now_s=1_000.0, before_s=300.0) == at_s - 300.0 - 1_000.0
