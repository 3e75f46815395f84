"""A load on the running product, and what must be true of it afterwards whatever was done to the
product meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from load_tests.checker.checker import check
from load_tests.checker.stored import read_back
from load_tests.harness.history import Stored
from policy.identity.tokens import issue
from storage.embedded.data_dir import start_time
from storage.ports.processes import ActorRecord
from storage.process.settings_files import read_resolved
from storage.stores import Stores
from tests.support.cluster.product import Product, eyrie
from tests.support.load.fault_load import Load

SITE = "faults"
SEED = 7


def address(running: Product) -> tuple[str, int]:
    """Where the hub listens."""
    hub = read_resolved(running.data.settings_file).hub
    return hub.host, hub.port


@asynccontextmanager
async def load(
    running: Product,
    stores: Stores,
    name: str,
    *,
    cameras: int = 2,
    port: int = 0,
    spool: Path | None = None,
) -> AsyncIterator[Load]:
    """A load under way, with acks; it is ended at the end."""
    settings = read_resolved(running.data.settings_file)
    host, public = address(running)
    token = issue(
        settings.auth,
        sub="faults",
        typ="edge",
        jti=name,
        now_s=time.time(),
        roles=("edge",),
        sites=("*",),
    )
    names = [f"{name}-{number}" for number in range(cameras)]
    made = Load(f"ws://{host}:{port or public}/v1/edge", token, names, seed=SEED, spool=spool)
    await made.register(stores.registry, SITE)
    await made.begin()
    try:
        await made.more(30, within_s=90.0)
        yield made
    finally:
        await made.end()


async def checked(running: Product, made: Load) -> Stored:
    """Finish, read everything back and check it; green, and the counts those of the world."""
    await made.finish()
    stored = await read_back(read_resolved(running.data.settings_file).postgres, list(made.cameras))
    assert check(made.history, stored) == []
    for row in stored.cameras:
        camera = made.cameras[row.camera]
        assert row.last_seq == camera.sent == camera.acked
        truth = {
            line: {"in": ways[0], "out": ways[1]} for line, ways in camera.world.truth.lines.items()
        }
        assert {
            line: {"in": found["in"], "out": found["out"]} for line, found in row.counts.items()
        } == truth
    verified = await asyncio.to_thread(eyrie, "audit", "verify", running.data.path)
    assert verified.returncode == 0, verified.stdout
    return stored


async def actor_of(stores: Stores, camera: str) -> tuple[ActorRecord, int]:
    """The process that owns `camera`, and the generation."""
    at = (await stores.cameras.ownership([camera]))[camera]
    return next(
        record for record in await stores.actors.all() if record.name == at.owner
    ), at.generation


def same(pid: int, started: int | None) -> bool:
    """Whether the process is still there."""
    return started is not None and start_time(pid) == started
