"""The Ray driver of `eyrie up`: starts the supervisor, tells the launcher how it went, and stops
all of it in order.

Run as ``python -m cluster.launcher.driver SETTINGS``. On standard output one JSON object a line:
``{"ready": …}``, ``{"error": …, "hint": …}``, ``{"stopped": true, "durable": …}``. It stops on
SIGTERM. It owns no server: a driver dies with the Ray head. When the launcher was killed the system
sends the SIGTERM; its servers end at the same moment, so little is waited for.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from typing import Any, TextIO

import msgspec

from actors.core.errors import EyrieError
from actors.core.settings import Settings
from actors.on_ray.supervision import RaySupervision
from actors.supervision import SupervisorWatch, Turn
from cluster.ray import settings as ray_settings
from cluster.ray import supervisor as ray_supervisor
from storage.ports.processes import living
from storage.process.log_file import log_to_file
from storage.process.settings_files import read_resolved
from storage.stores import open_stores

READY_S = 90.0  # seconds policy and hub may take to answer
STOP_S = 20.0  # seconds for the last commits
ALONE_S = (
    3.0  # seconds that a driver whose launcher was killed has for the last commits, whatever hangs
)
LOOK_S = 0.2  # seconds between two looks whether the launcher lives, while the driver stops

log = logging.getLogger("eyrie.cluster.driver")


def own_output() -> TextIO:
    """Standard output for the launcher alone: whatever Ray prints there goes to standard error from
    now on."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return own


def tell(out: TextIO, **fields: Any) -> None:
    """One line for the launcher."""
    out.write(msgspec.json.encode(fields).decode() + "\n")
    out.flush()


class Parent:
    """Who started this process: alive as long as this is its child."""

    def __init__(self) -> None:
        self._pid = os.getppid()
        self.over = asyncio.Event()  # told to stop

    def gone(self) -> bool:
        """It was killed: a child without a parent is given to another one."""
        return os.getppid() != self._pid

    def listen(self) -> None:
        """Hear SIGTERM and SIGINT from here on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            loop.add_signal_handler(number, self._told)

    def _told(self) -> None:
        if not self.over.is_set():
            threading.Thread(target=self._look, name="parent", daemon=True).start()
        self.over.set()

    def _look(self) -> None:
        """While this process stops. The system sends its signal when the thread that started us
        dies, and the rest of the launcher a moment later: until then nothing tells this SIGTERM
        from one that the launcher sent."""
        while not self.gone():
            time.sleep(LOOK_S)
        log.error(
            "the launcher (process %d) was killed: all of Eyrie ends here. What was acked is on "
            "disk; start it again.",
            self._pid,
        )
        time.sleep(ALONE_S)
        logging.shutdown()
        os._exit(1)  # Ray's calls may hang without its head, and an orderly exit waits for them


async def _watch(settings_path: str, settings: Settings, over: asyncio.Event) -> None:
    """Until `over`: keep the supervisor at work, and start it anew where there is none."""

    async def mend(turn: Turn | None, silent_s: float) -> bool:
        return await ray_supervisor.mend(settings_path, settings.ray.namespace, turn, silent_s)

    watch = SupervisorWatch(RaySupervision(settings.ray.namespace), mend=mend)
    watching = asyncio.create_task(watch.run(), name="supervisor-watch")
    ending = asyncio.create_task(over.wait())
    try:
        await asyncio.wait((watching, ending), return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            watching.result()
    finally:
        for task in (watching, ending):
            task.cancel()
        await asyncio.gather(watching, ending, return_exceptions=True)


async def drive(settings_path: str) -> int:
    """Start, wait for SIGTERM, stop. 0 when all went well."""
    out = own_output()
    settings = read_resolved(settings_path)
    log_to_file(settings, "driver")
    parent = Parent()
    parent.listen()
    supervisor = None
    try:
        supervisor = await ray_supervisor.start(settings_path)
        parent.listen()  # joining Ray replaces the handlers by its own
        ray_settings.publish(settings)
        status = await supervisor.ready(READY_S)
        stores = await open_stores(settings, name="driver")
        try:
            hubs = living(await stores.hubs.all())
        finally:
            await stores.close()
        tell(
            out,
            ready={
                "hubs": [{"name": hub.name, "host": hub.host, "port": hub.port} for hub in hubs],
                **status,
            },
        )
        await _watch(settings_path, settings, parent.over)
        durable = await supervisor.stop(STOP_S)
        tell(out, stopped=True, durable=durable)
        return 0 if durable else 1
    except EyrieError as error:
        tell(out, error=error.detail, hint=error.next_step)
        if supervisor is not None:
            with contextlib.suppress(EyrieError):
                await supervisor.stop(STOP_S)
        return 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(drive(sys.argv[1])))
