"""`eyrie-edge source frigate` as a real process, beside a real broker: what the broker was told to
forget is not lost, and what comes again is not told again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from actors.core.messages.observations import Observation
from tests.support.servers.edge_server import EdgeServer
from tests.support.servers.frigate import (
    SimulatedFrigate,
    Step,
    config,
    event,
    review,
    simulated_frigate,
    walk,
)
from tests.support.servers.mosquitto import Mosquitto, mosquitto
from tests.support.sources.running import SourceProcess, arrived, expected, source_process
from tests.support.waiting import until

CONFIG = msgspec.json.encode(config("yard", "gate"))
LAST = event("new", "9-last", at=900.0, label="dog")


@asynccontextmanager
async def site(
    folder: Path, *more: str
) -> AsyncIterator[tuple[Mosquitto, EdgeServer, SourceProcess]]:
    """A broker, a hub's socket, and a source that is not started yet."""
    path = folder / "config.json"
    path.write_bytes(CONFIG)
    async with (
        mosquitto(folder) as broker,
        EdgeServer() as hub,
        source_process(folder, hub, broker.port, path, *more) as source,
    ):
        yield broker, hub, source


async def all_there(hub: EdgeServer, steps: list[Step]) -> list[Observation]:
    """What arrived, once the last step did."""
    wanted = expected(steps, CONFIG)
    await until(lambda: arrived(hub)[-1:] == wanted[-1:], within_s=60, what="the last observation")
    return arrived(hub)


async def subscribe(source: SourceProcess) -> None:
    """Leave a session at the broker that collects from now on."""
    await source.start()
    await source.online()
    await source.stop()


async def killed_at(
    folder: Path, points: list[tuple[str, int]], version: str, steps_each: int
) -> None:
    """A scene with a kill at each of `points`, one after another, ends as an undisturbed one. It
    has more messages than the rounds take that come before the last kill."""
    steps = [
        *walk("1-abc", steps=steps_each, step_s=0.2),
        review("new", "2-rev", "detection"),
        review("update", "2-rev", "alert"),
        *walk("3-def", at=60.0, steps=steps_each, step_s=0.2),
        review("end", "2-rev", "alert", at=90.0),
        LAST,
    ]
    async with site(folder, "--mqtt", version) as (broker, hub, source):
        await subscribe(source)
        async with simulated_frigate(broker.port) as frigate:
            await frigate.say(*steps)
            for point, number in points:
                await source.start(point, number)
                await source.killed()
            await source.start()
            found = await all_there(hub, steps)
            assert found == expected(steps, CONFIG)
            assert hub.violations == []
            assert all(not seen.gaps for seen in hub.seen.values())
            await until(lambda: source.status().get("counts"), what="a status")
            assert source.status()["counts"]["refused"] == {}


@pytest.mark.timeout(300)  # four processes, one after another
async def test_killed_between_receipt_and_acknowledgement_nothing_is_lost_or_told_twice(
    tmp_path: Path,
) -> None:
    points = [("half-journal", 2), ("after-spool", 3)]
    await killed_at(tmp_path, points, "5", 100)


@pytest.mark.prove
@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(
    "point",
    [
        "before-journal",
        "half-journal",
        "after-journal",
        "before-spool",
        "after-spool",
        "before-acknowledge",
        "after-acknowledge",
    ],
)
async def test_killed_at_every_point(tmp_path: Path, point: str, number: int, version: str) -> None:
    await killed_at(tmp_path, [(point, number), (point, number + 2)], version, 200)


@pytest.mark.timeout(300)
async def test_a_broker_that_restarts_changes_no_track(tmp_path: Path) -> None:
    steps = [*walk("1-abc", steps=20), LAST]
    async with site(tmp_path, "--mqtt", "3.1.1") as (broker, hub, source):
        await source.start()
        await source.online()
        frigate = SimulatedFrigate(broker.port)
        await frigate.start()
        await frigate.say(*steps[:8])
        await until(lambda: len(arrived(hub)) == 8, what="the first part")
        await broker.stop()
        await source.is_at("away")
        await broker.start()
        await source.online()
        await frigate.say(*steps[8:])
        assert await all_there(hub, steps) == expected(steps, CONFIG)
        assert {key for seen in arrived(hub) for key in (o.id for o in seen.objects or [])} == {
            "1-abc",
            "9-last",
        }
        await frigate.crash()


async def test_faults_of_a_frigate_cost_themselves(tmp_path: Path) -> None:
    good = [*walk("1-abc", steps=6), LAST]
    bad: list[Step] = [
        ("events", b'{"type": "new", "after": {"id": "x"'),
        ("events", b"\xff\xfe"),
        ("tracked_object_update", b"[]"),
        event("update", "2-nobox", at=1.0, box=None),
        event("update", "3-elsewhere", at=1.0, camera="unknown"),
    ]
    async with site(tmp_path) as (broker, hub, source):
        await source.start()
        await source.online()
        async with simulated_frigate(broker.port) as frigate:
            for step in good[:3]:
                await frigate.say(step, step, *bad)  # each twice, and what is no message
            await frigate.say(good[0])  # late
            await frigate.say(*good[3:])
            found = await all_there(hub, good)
            assert found == expected(good, CONFIG)
            counts = source.status
            await until(
                lambda: counts()["counts"]["refused"].get("no_frame_size") == 3, what="the counts"
            )
            assert counts()["counts"]["refused"] == {"malformed": 12, "no_frame_size": 3}
            nothing = counts()["counts"]["nothing_new"]
            assert (nothing["duplicate"], nothing["late"]) == (3, 1)


async def test_a_frigate_that_crashes_takes_its_cameras_offline_until_it_is_back(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as (broker, hub, source):
        await source.start()
        await source.online()
        frigate = SimulatedFrigate(broker.port)
        await frigate.start()
        await frigate.say(event("new", "1-abc"))
        await until(lambda: len(hub.hellos) == 2, what="both cameras")
        await frigate.crash()
        await until(lambda: all(seen.byes for seen in hub.seen.values()), what="the goodbyes")
        await frigate.start()
        await until(lambda: len(hub.hellos) == 4, what="both cameras again")
        await frigate.say(event("update", "1-abc", at=3.0, x=0.6))
        await until(lambda: len(arrived(hub)) == 2, what="what it says then")
        await frigate.stop()


@pytest.mark.prove
async def test_credentials_that_change_are_read_again(tmp_path: Path) -> None:
    secret, passwords, path = tmp_path / "secret", tmp_path / "passwords", tmp_path / "config.json"
    secret.write_text("eyrie\nwrong\n")
    path.write_bytes(CONFIG)
    made = await asyncio.create_subprocess_exec(
        "mosquitto_passwd", "-b", "-c", str(passwords), "eyrie", "right horse"
    )
    assert await made.wait() == 0
    options = f"password_file {passwords}"
    async with mosquitto(tmp_path, options) as broker, EdgeServer() as hub:
        more = ("--credentials", str(secret))
        async with source_process(tmp_path, hub, broker.port, path, *more) as source:
            await source.start()
            await source.is_at("refused")
            secret.write_text("eyrie\nright horse\n")
            await source.online()
