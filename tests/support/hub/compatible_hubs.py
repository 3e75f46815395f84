"""Hubs with the compatibility profile on a real Redis, and a proxy that hands connections to them
in turn."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from actors.core.settings import HubSettings, RedisSettings
from hub.compat.extension import Compatibility
from hub.compat.plain_channels import PlainChannels
from hub.compat.profile import load
from storage.redis.plain_channels import RedisChannels
from tests.support.doubles.stores import MemoryStores, memory_stores
from tests.support.hub.hub import TestHub, running_hub
from tests.support.waiting import until

PROFILE = """
secret_file = "{folder}/secret"
api_key_file = "{folder}/api-key"

[without_namespace]
presence = true
join_leave = true
history_size = 100
history_ttl_s = 300
publish = true
read_presence = true
read_history = true

[namespaces.smallhistory]
history_size = 2
history_ttl_s = 300
publish = true
read_history = true
"""

# Seconds for an answer of Redis: by default a hub takes two of silence for a loss, and clients are
# sent away. The hubs, their Redis and the clients' suite share the machine of a test.
PATIENT_S = 30.0

INSECURE = """
secret_file = "{folder}/secret"
insecure = true
personal = false

[without_namespace]
history_size = {history}
history_ttl_s = 300
presence = {presence}

[namespaces.smallhistory]
history_size = 2
history_ttl_s = 300
"""


def insecure(*, history: int = 100, presence: bool = False) -> str:
    """A profile like Centrifugo's `client.insecure`, as the suites of the Go and JavaScript clients
    want it."""
    return INSECURE.replace("{history}", str(history)).replace("{presence}", str(presence).lower())


def settings(folder: Path, profile: str = PROFILE) -> HubSettings:
    """A hub's settings with the profile that the public suites want; `folder` keeps its files."""
    folder.mkdir(exist_ok=True)
    (folder / "secret").write_text("secret")
    (folder / "api-key").write_text("key")
    (folder / "profile.toml").write_text(profile.format(folder=folder))
    return HubSettings(port=0, compatibility_file=str(folder / "profile.toml"))


@asynccontextmanager
async def compatible_hub(
    folder: Path,
    redis_url: str,
    name: str = "hub-a",
    profile_text: str = PROFILE,
    store_type: type[RedisChannels] = RedisChannels,
    memory: MemoryStores | None = None,
    redis_timeout_s: float = PATIENT_S,
    **changes: Any,
) -> AsyncIterator[TestHub]:
    """One hub; `changes` are settings of it."""
    hub = msgspec.structs.replace(settings(folder, profile_text), **changes)
    profile = load(hub)
    assert profile is not None
    store = store_type(RedisSettings(url=redis_url, timeout_s=redis_timeout_s), name=name)
    plain = PlainChannels(profile, store)
    await store.open(plain.arrived, plain.lost)
    try:
        async with running_hub(
            folder, hub=hub, name=name, extension=Compatibility(plain), memory=memory
        ) as running:
            yield running
        await plain.close()
    finally:
        await store.close()


@asynccontextmanager
async def in_turn(ports: list[int]) -> AsyncIterator[int]:
    """The port of a proxy that gives each connection to the next of `ports`."""
    turns = itertools.cycle(ports)
    open_now: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", next(turns))
        try:
            await asyncio.gather(carry(reader, onward_writer), carry(onward_reader, writer))
        finally:
            writer.close()
            onward_writer.close()
            open_now.discard(task)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in open_now:
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)


@asynccontextmanager
async def compatible_hubs(
    folder: Path, redis_url: str, count: int, profile: str = PROFILE, **changes: Any
) -> AsyncIterator[int]:
    """The port to reach `count` hubs at, in turn where there is more than one. They have one
    folder, database and broker; `changes` are settings of each."""
    memory = memory_stores()
    async with AsyncExitStack() as stack:
        made = [
            compatible_hub(folder, redis_url, f"hub-{n}", profile, memory=memory, **changes)
            for n in range(count)
        ]
        hubs = [await stack.enter_async_context(hub) for hub in made]
        if count > 1:
            await until(
                lambda: all(broker.name for broker in memory.redis.brokers),
                what="every hub known to the others",
            )
        ports = [hub.port for hub in hubs]
        yield ports[0] if count == 1 else await stack.enter_async_context(in_turn(ports))
