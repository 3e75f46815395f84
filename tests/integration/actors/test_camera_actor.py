"""The camera actor over a real PostgreSQL and Redis, without Ray."""

import asyncio
import itertools
import signal
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest

from actors import commit_loop
from actors.core.errors import BadInput, Full, Unavailable
from actors.core.messages.commits import CommitRow
from actors.core.messages.deliveries import (
    NOT_OWNER,
    Acked,
    AskedAgain,
    Data,
    Dismissed,
    Refused,
    Welcomed,
)
from actors.core.settings import Settings
from storage.embedded.packages import POSTGRES
from storage.embedded.redis import answers
from storage.stores import Stores
from tests.support.camera_rig import Process, events_of, types, walk
from tests.support.servers.store_servers import Server, server_programs
from tests.support.waiting import until

Begin = Callable[[Sequence[str]], Awaitable[Process]]


async def test_observations_are_committed_before_they_are_acked_and_shown_afterwards(
    begin: Begin, stores: Stores, site: str, camera: str
) -> None:
    process = await begin([camera])
    process.attach(camera)
    await process.has(Welcomed)
    process.data(camera, range(1, 26))
    await process.acked(camera, 25)
    position = (await stores.cameras.ownership([camera]))[camera].position
    assert (position.session, position.last_seq) == ("s1", 25)
    rows = await events_of(stores, camera)
    assert [row.offset for row in rows] == list(range(1, position.last_offset + 1))
    assert {"camera.online", "zone.entered", "zone.exited"} <= set(types(rows))
    await until(lambda: process.actor._cameras[camera].shown_offset == position.last_offset)
    marks = await stores.publisher.published_marks([(site, camera)])
    assert marks[camera] == (position.epoch, position.last_offset)


async def test_a_resend_changes_nothing_and_is_acked_again(
    begin: Begin, stores: Stores, camera: str
) -> None:
    process = await begin([camera])
    process.attach(camera)
    process.data(camera, range(1, 26))
    await process.has(Welcomed)
    process.data(camera, range(1, 26))
    await process.acked(camera, 25)
    before = await stores.cameras.ownership([camera])
    process.answers.clear()
    process.data(camera, range(1, 26))
    await process.acked(camera, 25)
    assert await stores.cameras.ownership([camera]) == before


async def test_a_hole_is_asked_for_and_nothing_behind_it_is_applied(
    begin: Begin, stores: Stores, camera: str
) -> None:
    process = await begin([camera])
    process.attach(camera)
    await process.has(Welcomed)
    process.data(camera, range(1, 6))
    await process.acked(camera, 5)
    process.data(camera, range(8, 12))
    await process.has(AskedAgain)
    assert process.of(AskedAgain)[0].resume_from == 6
    process.data(camera, range(6, 12))
    await process.acked(camera, 11)


async def test_killed_between_commit_and_publish_the_next_owner_publishes_the_rest_once(
    begin: Begin, stores: Stores, site: str, camera: str, servers: tuple[Server, Server, Settings]
) -> None:
    first = await begin([camera])
    first.attach(camera)
    await first.has(Welcomed)
    first.data(camera, range(1, 6))
    await first.acked(camera, 5)
    await until(lambda: not first.actor._live._events and first.actor._cameras[camera].version > 0)
    mark = (await stores.publisher.published_marks([(site, camera)]))[camera]
    first.actor._live.end()  # commits go on, nothing is published any more
    first.data(camera, range(6, 40))
    await first.acked(camera, 39)
    first.freeze()
    committed = await events_of(stores, camera)
    assert committed[-1].offset > mark[1]
    assert (await stores.publisher.published_marks([(site, camera)]))[camera] == mark

    second = await begin([camera])
    await until(lambda: not second.actor._cameras[camera].behind)
    marks = await stores.publisher.published_marks([(site, camera)])
    assert (
        marks[camera][1] == (await stores.cameras.ownership([camera]))[camera].position.last_offset
    )
    second.attach(camera)
    await second.has(Welcomed)
    assert second.of(Welcomed)[0].resume_from == 40


async def test_a_stale_incarnation_stores_and_shows_nothing_and_sends_its_hubs_elsewhere(
    begin: Begin, stores: Stores, camera: str
) -> None:
    old = await begin([camera])
    old.attach(camera)
    await old.has(Welcomed)
    old.data(camera, range(1, 6))
    await old.acked(camera, 5)
    new = await begin([camera])
    new.attach(camera)
    await new.has(Welcomed)
    new.data(camera, range(6, 11))
    await new.acked(camera, 10)
    before = (await stores.cameras.ownership([camera]))[camera]
    old.data(camera, range(6, 40))
    await old.has(Dismissed)
    assert {answer.code for answer in old.of(Dismissed)} == {NOT_OWNER}
    assert max(answer.seq for answer in old.of(Acked)) == 5
    after = (await stores.cameras.ownership([camera]))[camera]
    assert (after.owner, after.generation, after.position.last_seq) == (
        new.actor.name,
        before.generation,
        10,
    )


async def test_a_commit_refused_for_a_moved_row_is_activated_again_under_the_own_name(
    begin: Begin, stores: Stores, camera: str
) -> None:
    process = await begin([camera])
    process.attach(camera)
    await process.has(Welcomed)
    process.data(camera, range(1, 6))
    await process.acked(camera, 5)
    generation = process.actor._cameras[camera].generation
    # A reply to an activation that was lost leaves the row one generation ahead of the process.
    await stores.cameras.activate(process.actor.name, [camera])
    process.data(camera, range(6, 11))
    await process.has(Welcomed, 2)
    assert process.of(Welcomed)[-1].resume_from == 6
    assert process.actor._cameras[camera].generation > generation + 1
    process.data(camera, range(6, 11))
    await process.acked(camera, 10)


async def test_a_newer_session_supersedes_the_older_one(
    begin: Begin, stores: Stores, camera: str
) -> None:
    process = await begin([camera])
    process.attach(camera, "s1", "1")
    await process.has(Welcomed)
    process.data(camera, range(1, 6))
    await process.acked(camera, 5)
    process.attach(camera, "s2", "2")
    await process.has(Welcomed, 2)
    assert [(d.code, d.link.rpartition("/")[2]) for d in process.of(Dismissed)] == [(4509, "1")]
    process.answers.clear()
    process.data(camera, range(1, 4), "s2", "2")
    await process.acked(camera, 3)
    process.attach(camera, "s1", "3")
    await process.has(Dismissed)
    position = (await stores.cameras.ownership([camera]))[camera].position
    assert (position.session, position.last_seq) == ("s2", 3)


async def test_bad_items_go_to_the_dead_letters_with_the_position(
    begin: Begin, stores: Stores, camera: str
) -> None:
    process = await begin([camera])
    process.attach(camera)
    await process.has(Welcomed)
    items = walk(range(1, 4))
    items[1] = b'{"time": "yesterday"}'
    link = f"{process.hub}/1"
    process.send(Data(camera, link, "s1", 1, 0, "json", items))
    await process.acked(camera, 3)
    assert [(refused.seq, refused.code) for refused in process.of(Refused)] == [(2, "bad_input")]
    (letter,) = await stores.dead_letters.list(camera=camera)
    assert (letter.seq, letter.raw) == (2, items[1])


async def test_redis_away_delays_nothing_durable_and_everything_is_shown_on_its_return(
    begin: Begin, stores: Stores, site: str, camera: str, servers: tuple[Server, Server, Settings]
) -> None:
    process = await begin([camera])
    process.attach(camera)
    await process.has(Welcomed)
    process.data(camera, range(1, 6))
    await process.acked(camera, 5)
    redis = servers[1]
    redis.stop(signal.SIGKILL)
    process.data(camera, range(6, 40))
    await process.acked(camera, 39)
    await until(lambda: process.actor._live._away, what="the loss of Redis to be seen")
    redis.start(lambda: answers(redis.folder / "redis.sock"))
    await until(
        lambda: not process.actor._live._away and not process.actor._cameras[camera].behind,
        within_s=30,
    )
    position = (await stores.cameras.ownership([camera]))[camera].position
    marks = await stores.publisher.published_marks([(site, camera)])
    assert marks[camera] == (position.epoch, position.last_offset)
    assert (await stores.publisher.fences([(site, camera)]))[camera] == process.actor._cameras[
        camera
    ].generation


async def test_postgresql_away_holds_the_acks_and_loses_nothing(
    begin: Begin, stores: Stores, camera: str, servers: tuple[Server, Server, Settings]
) -> None:
    process = await begin([camera])
    process.attach(camera)
    await process.has(Welcomed)
    process.data(camera, range(1, 6))
    await process.acked(camera, 5)
    database = servers[0]
    database.stop(signal.SIGKILL)
    process.data(camera, range(6, 30))
    await until(
        lambda: process.actor._commits.counts["unknown"] or process.actor._commits.in_flight,
        what="a commit that cannot be made",
    )
    assert max(answer.seq for answer in process.of(Acked)) == 5
    database.start(lambda: _accepts(database))

    looks = itertools.count()

    def resent() -> bool:
        if next(looks) % 100 == 0:
            process.data(camera, range(6, 30))
        return any(answer.seq >= 29 for answer in process.of(Acked))

    await until(resent, within_s=30, what="the ack after PostgreSQL is back")
    rows = await events_of(stores, camera)
    assert [row.offset for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize(
    "beats", [False, True], ids=["nothing is written", "only the least write finds room"]
)
async def test_an_outage_is_told_once_and_so_is_its_end(
    begin: Begin,
    stores: Stores,
    camera: str,
    beats: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On a full disk the heartbeat is still written now and then, between two commits that are
    not."""
    monkeypatch.setattr(commit_loop, "RETRY_S", 0.01)
    process = await begin([camera])
    process.attach(camera)
    await process.has(Welcomed)
    tries: list[int] = []
    commit, beat = process.stores.cameras.commit, process.stores.actors.beat

    async def away(*_arguments: object) -> Any:
        tries.append(1)
        raise Full("PostgreSQL has no room") if beats else Unavailable("PostgreSQL is away")

    beaten: list[int] = []

    async def beating(name: str) -> bool:
        beaten.append(1)
        return await beat(name)

    monkeypatch.setattr(process.stores.cameras, "commit", away)
    monkeypatch.setattr(process.stores.actors, "beat", beating if beats else away)
    process.data(camera, range(1, 30))
    await until(lambda: len(tries) > 30 and len(beaten) >= 3 * beats, what="attempts")
    monkeypatch.setattr(process.stores.cameras, "commit", commit)
    monkeypatch.setattr(process.stores.actors, "beat", beat)
    await process.acked(camera, 29)
    told = [record.message for record in caplog.records if "PostgreSQL" in record.message]
    assert len(told) == 2, told


async def test_a_row_that_postgresql_refuses_without_naming_it_harms_its_camera_alone(
    begin: Begin, stores: Stores, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_loop, "RETRY_S", 0.01)
    cameras = [f"{site}-{number}" for number in range(4)]
    for camera in cameras:
        await stores.registry.register(camera, site)
    process = await begin(cameras)
    for camera in cameras:
        process.attach(camera)
    await process.has(Welcomed, len(cameras))
    commit, bad = process.stores.cameras.commit, cameras[1]

    async def refusing(rows: Sequence[CommitRow]) -> set[str]:
        if any(row.camera == bad for row in rows):
            raise BadInput("a value cannot be stored")
        return await commit(rows)

    monkeypatch.setattr(process.stores.cameras, "commit", refusing)
    for camera in cameras:
        process.data(camera, range(1, 11))
    for camera in (camera for camera in cameras if camera != bad):
        await process.acked(camera, 10)
    assert not process.of(Acked, bad)
    assert process.actor.health()["failed"] == ""


async def test_many_cameras_in_one_process_share_commits(
    begin: Begin, stores: Stores, site: str
) -> None:
    cameras = [f"{site}-{number}" for number in range(12)]
    for camera in cameras:
        await stores.registry.register(camera, site)
    process = await begin(cameras)
    for camera in cameras:
        process.attach(camera)
    await process.has(Welcomed, len(cameras))
    for camera in cameras:
        process.data(camera, range(1, 11))
    for camera in cameras:
        await process.acked(camera, 10)
    counts = process.actor._commits.counts
    assert counts["rows"] > counts["commits"]


async def test_stop_commits_what_was_stepped(begin: Begin, stores: Stores, camera: str) -> None:
    process = await begin([camera])
    process.attach(camera)
    await process.has(Welcomed)
    process.data(camera, range(1, 31))
    await asyncio.sleep(0)
    assert await process.actor.stop(5.0)
    assert (await stores.cameras.ownership([camera]))[camera].position.last_seq == 30


async def test_a_released_camera_is_dismissed_as_not_owned(
    begin: Begin, stores: Stores, camera: str
) -> None:
    process = await begin([camera])
    process.attach(camera)
    await process.has(Welcomed)
    process.data(camera, range(1, 11))
    await asyncio.sleep(0)
    await process.actor.release([camera])
    await process.has(Dismissed)
    assert process.of(Dismissed)[0].code == NOT_OWNER
    assert (await stores.cameras.ownership([camera]))[camera].position.last_seq == 10


async def test_health_and_describe_answer_at_once(begin: Begin, camera: str) -> None:
    process = await begin([camera])
    health = process.actor.health()
    assert health["loop_age_s"] < 20.0
    assert health["failed"] == ""
    described = process.actor.describe()
    assert described["hosted"][camera]["generation"] == 1
    assert msgspec.json.encode(described)


def _accepts(database: Server) -> bool:
    check = server_programs(POSTGRES) / "pg_isready"
    return (
        subprocess.run([str(check), "-q", "-h", str(database.folder)], check=False).returncode == 0
    )


async def test_redis_ahead_of_a_restored_row_raises_the_generation_and_starts_a_new_epoch(
    begin: Begin, stores: Stores, site: str, camera: str
) -> None:
    epoch = (await stores.cameras.ownership([camera]))[camera].position.epoch
    await stores.publisher.raise_fences([(site, camera, 50)])
    await stores.publisher.set_marks([(site, camera, 50, epoch, 99)])
    process = await begin([camera])
    process.attach(camera)
    await process.has(Welcomed)
    process.data(camera, range(1, 26))
    await process.acked(camera, 25)
    place = (await stores.cameras.ownership([camera]))[camera]
    assert place.generation > 50
    assert place.position.epoch != epoch
    assert [row.offset for row in await events_of(stores, camera)] == list(
        range(1, place.position.last_offset + 1)
    )

    async def shown() -> bool:
        marks = await stores.publisher.published_marks([(site, camera)])
        return marks[camera] == (place.position.epoch, place.position.last_offset)

    async with asyncio.timeout(30):
        while not await shown():
            await asyncio.sleep(0.01)


async def test_a_camera_whose_row_cannot_be_made_harms_no_neighbour(
    begin: Begin, stores: Stores, site: str, camera: str
) -> None:
    bad = f"{camera}-bad"
    await stores.registry.register(bad, site)
    process = await begin([bad, camera])
    for name in (bad, camera):
        process.attach(name)
    await process.has(Welcomed, 2)
    process.actor._cameras[bad].core.rejected = 2**70  # no snapshot can hold it
    process.data(bad, range(1, 2))
    process.data(camera, range(1, 26))
    await process.acked(camera, 25)
    await process.has(Welcomed, 3)  # it began again from its last commit
    process.data(bad, range(1, 2))
    await process.acked(bad, 1)
    assert process.actor.health()["failed"] == ""
