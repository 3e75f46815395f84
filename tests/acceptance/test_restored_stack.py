"""PostgreSQL is put back to an older state below the running stack, and everything goes on by
itself.

Devices with the stock edge client and dashboards stay up on the same hub; nobody restarts anything.
Twice, as `docs/deploy.md` tells: a base backup in place of the data directory, and a dump that is
read back into the database while it is in use. Redis is lost each time.
"""

import asyncio
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
import pytest
from websockets.asyncio.client import connect

from storage.embedded.data_dir import start_time
from storage.embedded.packages import POSTGRES
from storage.process.settings_files import read_resolved
from storage.stores import Stores, open_stores
from tests.support.cluster.product import Product, data_folder, eyrie, product
from tests.support.hub.hub import Dash
from tests.support.load.fault_load import Load
from tests.support.load.fault_runs import actor_of, address, load, same
from tests.support.servers.store_servers import Server, postgres, server_programs
from tests.support.waiting import until

pytestmark = [pytest.mark.ray, pytest.mark.prove, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def database() -> Iterator[tuple[Server, str]]:
    with postgres() as found:
        yield found


@pytest.fixture(scope="module")
def running(database: tuple[Server, str]) -> Iterator[Product]:
    with (
        data_folder() as path,
        product(path, "--no-simulate", env={"EYRIE_POSTGRES_DSN": database[1]}) as up,
    ):
        yield up


@asynccontextmanager
async def looking(running: Product) -> AsyncIterator[Stores]:
    opened = await open_stores(read_resolved(running.data.settings_file), name="test")
    try:
        yield opened
    finally:
        await opened.close()


class Wall:
    """A dashboard on one socket, which must stay up: every event and state of its cameras, in the
    order shown."""

    def __init__(self) -> None:
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.states: dict[str, list[dict[str, Any]]] = {}
        self.ended: list[
            int
        ] = []  # codes of subscriptions that were ended and made again, as SDKs do

    async def watch(self, running: Product, cameras: list[str]) -> None:
        """Until cancelled; fails when the socket is closed."""
        host, port = address(running)
        async with connect(
            f"ws://{host}:{port}/connection/websocket", compression=None, proxy=None, max_size=2**24
        ) as socket:
            dash = Dash(socket)
            await dash.ask("connect", token=running.token)
            for camera in cameras:
                await self._subscribe(dash, f"events:camera:{camera}")
                await self._subscribe(dash, f"camera:{camera}")
            while True:
                push = await dash.push(within_s=60.0)
                if "unsubscribe" in push:
                    self.ended.append(push["unsubscribe"]["code"])
                    await self._subscribe(dash, push["channel"])
                elif "pub" in push:
                    self._take(push["channel"], push["pub"]["data"])

    async def _subscribe(self, dash: Dash, channel: str) -> None:
        while "subscribe" not in (reply := await dash.ask("subscribe", channel=channel)):
            assert reply["error"]["temporary"], reply
            await asyncio.sleep(0.1)  # SDKs try again too
        for publication in reply["subscribe"].get("publications", ()):
            self._take(channel, publication["data"])

    def _take(self, channel: str, data: dict[str, Any]) -> None:
        kind, _, camera = channel.rpartition(":")
        (self.events if kind.startswith("events") else self.states).setdefault(camera, []).append(
            data
        )

    def consistent(self) -> None:
        """No id meant two events, and no epoch was shown again after a newer one; states never went
        back."""
        for camera, events in self.events.items():
            bodies: dict[str, dict[str, Any]] = {}
            for event in events:
                assert bodies.setdefault(event["id"], event) == event, (
                    f"two events have the id {event['id']}"
                )
            epochs = [event["epoch"] for event in events]
            assert epochs == sorted(epochs), f"epochs of {camera} are mixed: {epochs}"
            for before, after in itertools.pairwise(events):
                assert (
                    before["epoch"] != after["epoch"] or before["offset"] + 1 == after["offset"]
                ), (before["id"], after["id"])
        for camera, states in self.states.items():
            generations = [state["generation"] for state in states]
            assert generations == sorted(generations), f"generations of {camera} went back"


@asynccontextmanager
async def watching(running: Product, cameras: list[str]) -> AsyncIterator[Wall]:
    wall = Wall()
    task = asyncio.create_task(wall.watch(running, cameras))
    try:
        yield wall
        assert not task.done(), task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_shown(wall: Wall, made: Load, epochs: dict[str, str]) -> None:
    """Of every camera an event of a newer epoch, and a state that is online and folds such an event
    in, are shown."""

    def newer(camera: str) -> bool:
        events, states = wall.events.get(camera, []), wall.states.get(camera, [])
        return bool(
            events
            and events[-1]["epoch"] > epochs[camera]
            and states
            and states[-1]["status"] == "online"
        )

    await until(
        lambda: all(map(newer, made.cameras)), within_s=60, what="events of a new epoch, and online"
    )


def run(dsn: str, name: str, *arguments: str, user: bool = False) -> None:
    """One of PostgreSQL's own programs on the server; `user`: as the server's user."""
    folder = re.search(r"host=(\S+)", dsn)
    assert folder is not None
    who = os.stat(folder[1]).st_uid if user else None
    command = [str(server_programs(POSTGRES) / name), "-h", folder[1], "-U", "eyrie", *arguments]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=folder[1], user=who, group=who
    )
    assert done.returncode == 0, done.stderr


def is_ready(dsn: str) -> bool:
    with contextlib.suppress(AssertionError):
        run(dsn, "pg_isready", "-q")
        return True
    return False


async def forward(stores: Stores, made: Load) -> None:
    """What happens between the backup and its return: more observations and events, and another
    owner with a later generation."""
    camera = next(iter(made.cameras))
    before, generation = await actor_of(stores, camera)
    started = start_time(before.pid)
    os.kill(before.pid, signal.SIGKILL)
    await until(lambda: not same(before.pid, started), what="the end of the killed actor")
    await made.more(200, within_s=120)
    assert (await actor_of(stores, camera))[1] > generation


class Row(NamedTuple):
    generation: int
    session: str
    last_seq: int
    epoch: str


async def rows(dsn: str) -> dict[str, Row]:
    """Where the cameras stand, by a connection that is not the product's: those look for a restore
    themselves."""
    connection = await asyncpg.connect(dsn)
    try:
        found = await connection.fetch(
            "SELECT camera, generation, session, last_seq, epoch FROM positions"
        )
    finally:
        await connection.close()
    return {
        row["camera"]: Row(row["generation"], row["session"], row["last_seq"], row["epoch"])
        for row in found
    }


@asynccontextmanager
async def without_redis(running: Product) -> AsyncIterator[None]:
    """Redis is lost, and comes back empty once the database was restored: nothing in it tells how
    far that was before."""
    before = next(record for record in running.data.noted() if record.name == "redis")
    os.kill(running.pid, signal.SIGSTOP)  # it would start another one at once
    try:
        os.kill(before.pid, signal.SIGKILL)
        yield
    finally:
        os.kill(running.pid, signal.SIGCONT)
    await until(
        lambda: any(r.name == "redis" and r.pid != before.pid for r in running.data.noted()),
        within_s=30,
        what="another Redis",
    )


async def goes_on(
    dsn: str, made: Load, wall: Wall, kept: dict[str, Row], lost: dict[str, Row]
) -> None:
    """After the older state came back: acks move again, all that was lost is declared, dashboards
    see the new epoch."""
    sent = {name: camera.sent for name, camera in made.cameras.items()}
    connections = made.client.connections
    await made.more(150, within_s=150)
    await until_shown(wall, made, {camera: at.epoch for camera, at in lost.items()})
    connection = await asyncpg.connect(dsn)
    for camera, at in (await rows(dsn)).items():
        assert at.epoch > lost[camera].epoch
        assert at.session == lost[camera].session, "the device goes on in its session"
        assert at.last_seq > sent[camera]
        found = await connection.fetch(
            "SELECT body FROM events WHERE camera = $1 AND epoch = $2 AND type = 'stream.gap'",
            camera,
            at.epoch,
        )
        gaps = [json.loads(row["body"])["data"] for row in found]
        missing = {seq for gap in gaps for seq in range(gap["first_seq"], gap["last_seq"] + 1)}
        acked_and_gone = set(range(kept[camera].last_seq + 1, lost[camera].last_seq + 1))
        assert acked_and_gone, "nothing was lost: the restore shows nothing"
        assert acked_and_gone <= missing, (camera, kept[camera], lost[camera], gaps)
    await connection.close()
    wall.consistent()
    assert made.client.connections <= connections + 2, (
        "devices that stayed up came back again and again"
    )


async def test_a_base_backup_and_a_dump_that_come_back_below_a_running_stack(
    database: tuple[Server, str], running: Product
) -> None:
    server, dsn = database
    async with (
        looking(running) as stores,
        load(running, stores, "restored") as made,
        watching(running, list(made.cameras)) as wall,
    ):
        data, backup = server.folder / "data", server.folder / "backup"
        await made.more(60)
        await asyncio.to_thread(
            run, dsn, "pg_basebackup", "-D", str(backup), "-c", "fast", user=True
        )
        kept = await rows(dsn)  # what the backup holds at most
        await forward(stores, made)
        lost = await rows(dsn)
        await asyncio.to_thread(server.stop, signal.SIGQUIT)
        async with without_redis(running):
            await asyncio.to_thread(shutil.rmtree, data)
            backup.rename(data)
            await asyncio.to_thread(server.start, lambda: is_ready(dsn))
        await goes_on(dsn, made, wall, kept, lost)

        dump = str(server.folder / "dump")
        await asyncio.to_thread(run, dsn, "pg_dump", "-Fc", "-f", dump, "postgres", user=True)
        kept = await rows(dsn)
        await forward(stores, made)
        lost = await rows(dsn)
        emptied = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
        await asyncio.to_thread(
            run, dsn, "psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", emptied
        )
        async with without_redis(running):
            await asyncio.to_thread(
                run, dsn, "pg_restore", "--single-transaction", "-d", "postgres", dump, user=True
            )
        await goes_on(dsn, made, wall, kept, lost)
    verified = await asyncio.to_thread(eyrie, "audit", "verify", dsn)
    assert verified.returncode == 0, verified.stdout
