"""SIGTERM to a hub's process: it drains and ends, within a bound, whatever hangs."""

import asyncio
import ctypes
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from types import FrameType

from actors.core.errors import StartError

log = logging.getLogger(__name__)

_PENDING = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_kept: list[object] = []  # what C calls must not be collected; one for each `arm`


class Termination:
    """`arm` in the main thread, where signals are handled; `serve` in the loop of what is to be
    drained, in whatever thread it runs."""

    def __init__(self) -> None:
        self._before: object = None
        self._heard: Callable[[], None] | None = None

    def arm(self) -> None:
        """Take SIGTERM over, from any thread. Until :meth:`serve` the handler that was there before
        hears it."""
        in_main_thread(self._take_over)

    def _take_over(self) -> None:
        self._before = signal.signal(signal.SIGTERM, self._told)

    def serve(self, name: str, drain: Callable[[], Awaitable[bool]], bound_s: float) -> None:
        """From now on SIGTERM runs `drain` (True: all ended in order), once, and ends the process
        with 0, or with 1 after `bound_s`."""
        loop, tasks = asyncio.get_running_loop(), list[asyncio.Task[None]]()

        def begin() -> None:
            if not tasks:
                tasks.append(loop.create_task(_leave(name, drain, bound_s), name="termination"))

        def heard() -> None:
            loop.call_soon_threadsafe(begin)

        self._heard = heard

    def _told(self, number: int, frame: FrameType | None) -> None:
        if self._heard is not None:
            self._heard()
        elif callable(self._before):
            self._before(number, frame)
        elif self._before == signal.SIG_DFL:
            os._exit(128 + number)


def in_main_thread(function: Callable[[], None]) -> None:
    """Call it there, soon: as a pending call of the interpreter where this is another thread, which
    the main one carries out with its next byte code (C API, `Py_AddPendingCall`). Ray runs
    constructors of async actors in the thread of their loop, and the main one waits."""
    if threading.current_thread() is threading.main_thread():
        function()
        return

    def call(_argument: object) -> int:
        function()
        return 0

    pending = _PENDING(call)
    _kept.append(pending)
    if ctypes.pythonapi.Py_AddPendingCall(pending, None):
        raise StartError("the interpreter has too many pending calls")


async def _leave(name: str, drain: Callable[[], Awaitable[bool]], bound_s: float) -> None:
    log.warning(
        "%s was told SIGTERM: it sends its clients elsewhere and ends within %g s", name, bound_s
    )
    tidy = False
    try:
        async with asyncio.timeout(bound_s):
            tidy = await drain()
    except TimeoutError:
        log.error("%s did not close within %g s", name, bound_s)
    finally:
        logging.shutdown()
        os._exit(
            0 if tidy else 1
        )  # an orderly exit waits for threads and for calls that nobody answers any more
