"""One source from its start to its end: journal, edge client, broker, status file."""

import argparse
import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

import msgspec

from edge.client import EdgeClient
from edge.sources.options import camera_names, required, token, trust
from edge.sources.receipts import Mapping, Memory
from edge.sources.runner import Origin, SourceFolders, SourceRunner, open_journal

STATUS_EVERY_S = 1.0

log = logging.getLogger("eyrie.sources")


class SourceMapping(Mapping, Protocol):
    """A mapping that a source can run. `cameras`: all that are known, by their names at the
    origin."""

    counts: Counter[str]
    CANNOT_TELL: tuple[str, ...]

    @property
    def cameras(self) -> list[str]:
        """All that are known."""
        ...


class RunningOrigin(Origin, Protocol):
    """An origin with a life of its own."""

    def start(self) -> None:
        """Connect in the background, again and again."""
        ...

    async def stop(self) -> None:
        """Leave."""
        ...

    def account(self) -> tuple[str, dict[str, object]]:
        """What it says of itself, and under which name."""
        ...


async def run_source(
    options: argparse.Namespace,
    producer: str,
    connect: Callable[[], RunningOrigin],
    make: Callable[[Memory], Coroutine[Any, Any, SourceMapping]],
    beside: Callable[[Any], Coroutine[Any, Any, None]] | None = None,
) -> int:
    """Run until it is cancelled. `connect` makes the origin, not started; `make` gives the mapping
    over what is remembered; `beside` runs along with it. Raises the family for what ends a
    source."""
    folders = SourceFolders.under(options.folder)
    origin = connect()
    hub = required(options.hub, "--hub")
    journal, memory, added = await asyncio.to_thread(open_journal, folders)
    if added:
        log.info("%d observations were taken over from the journal into the spool", added)
    mapping = await make(memory)
    async with EdgeClient(
        hub,
        token(options.token),
        spool=folders.spool,
        producer=producer,
        tls=trust(options.hub_ca),
    ) as client:
        runner = SourceRunner(journal, memory, mapping, client, camera_names(options))
        tasks = [asyncio.create_task(_watch(options.status, runner, origin, mapping))]
        if beside is not None:
            tasks.append(asyncio.create_task(beside(mapping)))
        try:
            await runner.begin()
            origin.start()
            await runner.run(origin)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await origin.stop()
            await runner.rewrite()
            journal.close()
    return 0


async def _watch(
    path: Path | None, runner: SourceRunner, origin: RunningOrigin, mapping: SourceMapping
) -> None:
    """Write the state of the source to `path` whenever it changed."""
    before = b""
    while path is not None:
        now = msgspec.json.format(msgspec.json.encode(status(runner, origin, mapping)))
        if now != before:
            temporary = path.with_suffix(".new")
            await asyncio.to_thread(temporary.write_bytes, now)
            await asyncio.to_thread(temporary.rename, path)
            before = now
        await asyncio.sleep(STATUS_EVERY_S)


def status(
    runner: SourceRunner, origin: RunningOrigin, mapping: SourceMapping
) -> dict[str, object]:
    """What the source says of itself. `cannot_tell`: what its origin does not say, and nobody
    guesses."""
    cameras = {}
    for name in sorted({*mapping.cameras, *runner.cameras}):
        stream = runner.cameras.get(name)
        error = stream.error if stream is not None else None
        cameras[name] = {
            "camera": stream.camera if stream is not None else None,
            "state": "unheard" if stream is None else error.code if error else "open",
            "waiting": stream.pending if stream is not None else 0,
        }
    name, said = origin.account()
    return {
        name: said,
        "cameras": cameras,
        "counts": {**msgspec.to_builtins(runner.counts), "nothing_new": dict(mapping.counts)},
        "cannot_tell": list(mapping.CANNOT_TELL),
    }
