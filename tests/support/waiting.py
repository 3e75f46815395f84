"""Waiting on a condition with a deadline, instead of sleeping."""

import asyncio
import time
from collections.abc import Callable


async def until(
    condition: Callable[[], object], *, within_s: float = 30.0, what: str = "the condition"
) -> None:
    """Return once `condition()` is true; fail when it is not within `within_s`."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {within_s:g} s")
        await asyncio.sleep(0.005)


def block_until(condition: Callable[[], object], what: str, *, within_s: float = 30.0) -> None:
    """:func:`until` for tests without an event loop."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {within_s:g} s")
        time.sleep(0.02)


def let_pass(seconds: float) -> None:
    """A window of measurement, in which a load runs and is counted. Never to wait for something."""
    time.sleep(seconds)
