"""The Ray driver of `eyrie up`: starts the supervisor, tells the launcher how it went, and stops all of it in order.

Run as ``python -m cluster.driver SETTINGS``. On standard output one JSON object a line: ``{"ready": …}``, ``{"error": …, "hint": …}``,
``{"stopped": true, "durable": …}``. It stops on SIGTERM. It owns no server: a driver dies with the Ray head.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from typing import Any, TextIO

import msgspec

from actors.core.errors import EyrieError
from actors.core.settings import Settings
from actors.ray_supervision import RaySupervision
from actors.supervision import SupervisorWatch, Turn
from cluster import ray_settings, ray_supervisor
from storage.fleet_ports import living
from storage.process_log import log_to_file
from storage.settings_files import read_resolved
from storage.stores import open_stores

READY_S = 90.0  # seconds policy and hub may take to answer
STOP_S = 20.0  # seconds for the last commits

log = logging.getLogger("eyrie.cluster.driver")


def own_output() -> TextIO:
    """Standard output for the launcher alone: whatever Ray prints there goes to standard error from now on."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return own


def tell(out: TextIO, **fields: Any) -> None:
    """One line for the launcher."""
    out.write(msgspec.json.encode(fields).decode() + "\n")
    out.flush()


def _listen(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
        loop.add_signal_handler(number, over.set)


async def _watch(settings_path: str, settings: Settings, over: asyncio.Event) -> None:
    """Until `over`: keep the supervisor at work, and start it anew where there is none."""

    async def mend(turn: Turn | None, silent_s: float) -> None:
        await ray_supervisor.mend(settings_path, settings.ray.namespace, turn, silent_s)

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
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    _listen(loop, over)
    supervisor = None
    try:
        supervisor = await ray_supervisor.start(settings_path)
        _listen(loop, over)  # joining Ray replaces the handlers by its own
        ray_settings.publish(settings)
        status = await supervisor.ready(READY_S)
        stores = await open_stores(settings, name="driver")
        try:
            hubs = living(await stores.hubs.all())
        finally:
            await stores.close()
        tell(out, ready={"hubs": [{"name": hub.name, "host": hub.host, "port": hub.port} for hub in hubs], **status})
        await _watch(settings_path, settings, over)
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
