"""A fleet, a JetStream sink, and somebody who breaks what can be broken: in the end the stream is
what the table of events holds, per camera, once, in order, and cursors stand at the rows."""

import contextlib
import random
import time
from dataclasses import replace

import asyncpg
import pytest

from storage.postgres.place import renew_epochs
from storage.stores import Stores, open_stores
from tests.integration.connectors.test_jetstream import LosingStore, by_camera, held
from tests.support.connectors.fleet import Fleet, context_of, make, until, worker
from tests.support.servers.nats_server import NatsServer, nats_server
from tests.support.servers.store_fixtures import Servers

CAMERAS = ("c1", "c2", "c3", "c4")
CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name LIKE '%relay%' AND pid <> pg_backend_pid()"""


class Nemesis:
    """One round: one or two relays that die at every other note, events all the while, and one
    thing that goes wrong."""

    def __init__(
        self, fleet: Fleet, relay: Stores, server: NatsServer, dsn: str, chance: random.Random
    ) -> None:
        self._fleet = fleet
        self._relay = relay
        self._server = server
        self._dsn = dsn
        self._chance = chance
        self.done: list[str] = []

    async def round(self, what: str) -> None:
        """Whatever was under way when it ends stays so."""
        store = LosingStore(self._relay.sinks)
        context = replace(context_of(self._relay, nats_url=self._server.url), store=store)
        async with contextlib.AsyncExitStack() as running:
            for name in ("one", "two")[: self._chance.randint(1, 2)]:
                await running.enter_async_context(worker(self._relay, context, name, lease_s=1.0))
            await self._events()
            calls = store.calls
            await until(lambda: store.calls > calls or what == "pause")
            if what == "kill":
                self._server.kill()
            elif what == "cut":
                await self._cut()
            elif what == "epoch":
                await self._renew(self._chance.choice(CAMERAS))
            elif what == "pause":
                await self._fleet.stores.sinks.set_state("js", "paused")
            elif what == "lose":
                await self._fleet.stores.sinks.set_state("js", "active")
            await self._events()
        if what == "kill":
            self._server.cut(self._chance.randint(0, 3_000))
            self._server.start()
        if what == "pause":
            await self._fleet.stores.sinks.set_state("js", "active")
        self.done.append(what)

    async def _events(self) -> None:
        for _ in range(self._chance.randint(1, 4)):
            camera = self._chance.choice(CAMERAS)
            await self._fleet.commit(camera, self._chance.randint(1, 12))

    async def _cut(self) -> None:
        connection = await asyncpg.connect(self._dsn)
        try:
            assert await connection.fetch(CUT)
        finally:
            await connection.close()

    async def _renew(self, camera: str) -> None:
        connection = await asyncpg.connect(self._dsn)
        try:
            assert await renew_epochs(connection, [camera]) == [camera]
        finally:
            await connection.close()
        row = (await self._fleet.stores.cameras.ownership([camera]))[camera]
        self._fleet.places[camera] = (self._fleet.places[camera][0], row.generation, row.position)


async def broken(servers: Servers, stores: Stores, for_s: float, seed: int) -> None:
    """For so many seconds, and each thing at least once."""
    chance = random.Random(seed)
    fleet = Fleet(stores)
    for camera in CAMERAS:
        await fleet.add(camera)
    await make(stores, "js", {"type": "jetstream"})
    relay = await open_stores(servers.settings, name="relay")
    try:
        with nats_server() as server:
            nemesis = Nemesis(fleet, relay, server, servers.settings.postgres.dsn, chance)
            kinds = ["lose", "kill", "cut", "epoch", "pause"]
            ends = time.monotonic() + for_s
            while len(nemesis.done) < len(kinds) or time.monotonic() < ends:
                left = [one for one in kinds if one not in nemesis.done]
                await nemesis.round(chance.choice(left or kinds))
            async with worker(relay, context_of(relay, nats_url=server.url), "last", lease_s=1.0):

                async def passed_on() -> bool:
                    return (await stores.sinks.lag("js")).cameras == 0

                await until(passed_on)
            assert by_camera(await held(server)) == {k: v for k, v in fleet.ids.items() if v}
            for row in await stores.sinks.cursors("js", limit=len(CAMERAS)):
                _, _, position = fleet.places[row.camera]
                assert (row.epoch, row.offset) == (position.epoch, position.last_offset)
    finally:
        await relay.close()


async def test_whatever_breaks_the_stream_is_the_table(servers: Servers, stores: Stores) -> None:
    await broken(servers, stores, 0.0, seed=1)


@pytest.mark.prove
@pytest.mark.timeout(900)
async def test_whatever_breaks_for_ten_minutes_the_stream_is_the_table(
    servers: Servers, stores: Stores
) -> None:
    await broken(servers, stores, 600.0, seed=int(time.time()))
