"""What an actor process does when something fails, fails again, or changes while something else is
under way, over doubles of storage: nothing is lost, nothing is shown twice, nothing stands still.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest

from actors.activation import activate
from actors.commit_loop import MAX_FAILURES
from actors.core.camera import core as camera_core
from actors.core.errors import Conflict
from actors.core.messages.commits import CommitRow
from actors.core.messages.deliveries import Acked, Data, Welcomed
from storage.ports.epochs import new_epoch
from tests.support.camera_rig import Process
from tests.support.doubles.memory_postgres import MemoryCameraStore
from tests.support.doubles.memory_process import SITE, ProcessStores, begin
from tests.support.waiting import until

Start = Callable[..., Awaitable[Process]]
CAMERA = "cam-1"


@pytest.fixture
def stores() -> ProcessStores:
    return ProcessStores()


@pytest.fixture
async def start(stores: ProcessStores) -> AsyncIterator[Start]:
    """An actor process that was welcomed for all its cameras; ended with the test."""
    begun: list[Process] = []

    async def started(cameras: Sequence[str] = (CAMERA,), **settings: Any) -> Process:
        process = await begin(stores, cameras, **settings)
        begun.append(process)
        for camera in cameras:
            process.attach(camera)
        await process.has(Welcomed, len(cameras))
        return process

    yield started
    for process in begun:
        await process.end()


def committed(stores: ProcessStores, camera: str = CAMERA) -> tuple[int, int]:
    """(seq, offset) of a camera's row."""
    position = stores.database.rows[camera].position
    return position.last_seq, position.last_offset


# PostgreSQL


async def test_what_comes_while_a_commit_waits_is_committed_after_it(
    start: Start, stores: ProcessStores
) -> None:
    process = await start()
    faults = stores.database.faults
    faults.down.add("commit")
    process.data(CAMERA, range(1, 6))
    await until(lambda: faults.calls["commit"] > 1)
    process.data(CAMERA, range(6, 11))
    tried = faults.calls["commit"]
    await until(lambda: faults.calls["commit"] > tried + 2, what="further attempts")
    faults.down.clear()
    await process.acked(CAMERA, 10)
    assert committed(stores)[0] == 10


async def test_an_outage_of_many_attempts_ends_with_everything_committed_once(
    start: Start, stores: ProcessStores
) -> None:
    process = await start()
    stores.database.faults.plan("commit", "fail", "fail", "after", "fail")
    process.data(CAMERA, range(1, 31))
    await process.has(Welcomed, 2)  # of the activation after the unknown outcome
    process.data(CAMERA, range(1, 61))
    await process.acked(CAMERA, 60)
    offsets = [stored.row.offset for stored in stores.database.events]
    assert offsets == list(range(1, committed(stores)[1] + 1))


@pytest.mark.parametrize("failures", [1, 3])
async def test_a_commit_of_unknown_outcome_ends_well_though_its_renewal_fails_too(
    start: Start, stores: ProcessStores, failures: int
) -> None:
    process = await start()
    stores.database.faults.plan("commit", "after")
    for _ in range(failures):
        stores.database.faults.plan("activate", "fail")
    process.data(CAMERA, range(1, 11))
    await process.has(Welcomed, 2)  # of the new activation, without a word of the hub's
    assert process.of(Welcomed)[-1].resume_from == 11
    process.data(CAMERA, range(11, 21))
    await process.acked(CAMERA, 20)
    assert process.actor.health()["failed"] == ""


async def test_a_session_is_opened_though_the_first_attempts_fail(
    start: Start, stores: ProcessStores
) -> None:
    process = await start()
    stores.database.faults.plan("open_session", "fail", "after", "fail")
    process.attach(CAMERA, session="s2", link="2")
    await process.has(Welcomed, 2)
    assert stores.database.rows[CAMERA].position.session == "s2"


async def test_a_camera_is_given_up_after_so_many_errors_in_a_row(
    start: Start, stores: ProcessStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await start()
    kept, failed = camera_core.step, []

    def fails(core: camera_core.CameraCore, items: Sequence[Any], now_us: int) -> Any:
        if any(isinstance(item, Data) for item in items):
            failed.append(now_us)
            raise OverflowError("a value that nobody thought of")
        return kept(core, items, now_us)

    monkeypatch.setattr(camera_core, "step", fails)
    while CAMERA in process.actor.describe()["hosted"]:
        seen = len(failed)
        process.data(CAMERA, range(1, 3))
        await until(lambda: len(failed) > seen or not process.actor.describe()["hosted"])  # noqa: B023
        await until(
            lambda: all(
                camera["phase"] == "active"
                for camera in process.actor.describe()["hosted"].values()
            )
        )
    assert len(failed) == MAX_FAILURES
    assert CAMERA in process.actor.describe()["given_up"]


async def test_errors_that_are_not_in_a_row_give_nothing_up(
    start: Start, stores: ProcessStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await start()
    kept = camera_core.step
    bad: list[bool] = []

    def fails(core: camera_core.CameraCore, items: Sequence[Any], now_us: int) -> Any:
        if bad and any(isinstance(item, Data) for item in items):
            bad.clear()
            raise OverflowError("a value that nobody thought of")
        return kept(core, items, now_us)

    monkeypatch.setattr(camera_core, "step", fails)
    for number in range(MAX_FAILURES + 1):
        welcomes = len(process.of(Welcomed))
        bad.append(True)
        process.data(CAMERA, range(10 * number + 1, 10 * number + 11))
        await process.has(Welcomed, welcomes + 1)  # it started again from its last commit
        process.data(CAMERA, range(10 * number + 1, 10 * number + 11))
        await process.acked(CAMERA, 10 * number + 10)
    assert process.actor.describe()["given_up"] == {}


class OvertakenCameras(MemoryCameraStore):
    """Between an activation and the commit that follows, another process becomes the owner."""

    async def commit(self, rows: Sequence[CommitRow]) -> set[str]:
        row = self.database.rows[rows[0].camera]
        row.owner, row.generation = "another", row.generation + 1
        return await super().commit(rows)


async def test_who_is_no_longer_the_owner_gives_no_new_epoch(stores: ProcessStores) -> None:
    await stores.give("me", [CAMERA])
    position = stores.database.rows[CAMERA].position
    await stores.publisher.set_marks([(SITE, CAMERA, 0, position.epoch or new_epoch(), 7)])
    mark = stores.redis.site(SITE).marks[CAMERA]
    stores.database.rows[CAMERA].position = msgspec.structs.replace(position, epoch=mark[0])
    stores.cameras = OvertakenCameras(stores.database)
    with pytest.raises(Conflict):
        await activate(stores, "me", [CAMERA])
    assert stores.database.rows[CAMERA].position.epoch == mark[0]


# Redis


async def test_events_committed_while_redis_was_away_are_shown_when_it_is_back(
    start: Start, stores: ProcessStores
) -> None:
    process = await start()
    faults = stores.redis.faults
    await until(lambda: not process.actor.describe()["hosted"][CAMERA]["behind"])
    faults.down.add("publish")
    process.data(CAMERA, range(1, 31))
    await process.acked(CAMERA, 30)
    tried = faults.calls["publish"]
    await until(lambda: faults.calls["publish"] > tried + 1, what="attempts to show them")
    faults.down.clear()
    wanted = list(range(1, committed(stores)[1] + 1))
    await until(lambda: stores.shown_events(CAMERA) == wanted, what="all events, each once")


async def test_a_catch_up_that_fails_again_and_again_ends_with_every_event_shown_once(
    start: Start, stores: ProcessStores
) -> None:
    process = await start()
    await until(lambda: not process.actor.describe()["hosted"][CAMERA]["behind"])
    stores.redis.faults.plan("publish", "fail", "after", "fail")
    stores.redis.faults.plan("fences", "fail")
    stores.redis.faults.plan("published_marks", "fail", "fail")
    stores.database.faults.plan("after", "fail", "fail")
    process.data(CAMERA, range(1, 31))
    await process.acked(CAMERA, 30)
    wanted = list(range(1, committed(stores)[1] + 1))
    await until(lambda: stores.shown_events(CAMERA) == wanted, what="all events, each once")


async def test_a_redis_that_lost_everything_is_shown_the_state_again(
    start: Start, stores: ProcessStores
) -> None:
    process = await start()
    process.data(CAMERA, range(1, 6))
    await process.acked(CAMERA, 5)
    await until(lambda: CAMERA in stores.redis.site(SITE).states)
    stores.redis.lose()
    process.data(CAMERA, range(6, 31))
    await process.acked(CAMERA, 30)
    await until(
        lambda: (
            (state := stores.redis.site(SITE).states.get(CAMERA)) is not None
            and state.offset == committed(stores)[1]
        ),
        what="the state with its last event",
    )


async def test_an_actor_that_stops_has_shown_its_last_commit(
    start: Start, stores: ProcessStores
) -> None:
    process = await start(live_hz=0.001)  # one state in a quarter of an hour
    await until(lambda: CAMERA in stores.redis.site(SITE).states)
    process.data(CAMERA, range(1, 31))
    await process.acked(CAMERA, 30)
    assert stores.redis.site(SITE).states[CAMERA].offset < committed(stores)[1]
    assert await process.actor.stop()
    assert stores.redis.site(SITE).states[CAMERA].offset == committed(stores)[1]
    assert stores.shown_events(CAMERA) == list(range(1, committed(stores)[1] + 1))


async def test_a_publication_that_the_stop_cuts_off_is_made_up_for(
    start: Start, stores: ProcessStores
) -> None:
    """No state without the events that it folds in, whatever moment the stop finds."""
    process = await start(heartbeat_s=1_000.0, wall_hz=0.001)
    await until(lambda: CAMERA in stores.redis.site(SITE).states)
    faults = stores.redis.faults
    faults.plan("publish", "hang")
    tried = faults.calls["publish"]
    process.data(CAMERA, range(1, 31))
    await process.acked(CAMERA, 30)
    await until(lambda: faults.calls["publish"] > tried, what="a publication under way")
    assert await process.actor.stop()
    assert stores.shown_events(CAMERA) == list(range(1, committed(stores)[1] + 1))
    assert stores.redis.site(SITE).states[CAMERA].offset == committed(stores)[1]


# pauses, calls


def reach(process: Process, camera: str) -> int:
    """The highest seq that the camera's device may send."""
    told: list[int] = [
        answer.resume_from - 1 + answer.credits
        for answer in process.of(Welcomed, camera)
        if answer.credits
    ]
    told += [ack.seq + ack.credits for ack in process.of(Acked, camera)]
    return max(told)


async def test_a_paused_camera_is_given_no_credits_whoever_comes_beside_it(
    start: Start, stores: ProcessStores
) -> None:
    process = await start(mailbox_items=64, process_items=128)  # the share of each of two
    before = reach(process, CAMERA)
    process.actor.pause([CAMERA])
    await stores.give(process.actor.name, ["cam-2"])
    assert await process.actor.adopt(["cam-2"]) == {}  # all windows are set anew
    process.data(CAMERA, range(1, 31))
    await process.acked(CAMERA, 30)
    assert reach(process, CAMERA) == before
    process.actor.pause([])
    process.data(CAMERA, range(31, 41))
    await process.acked(CAMERA, 40)
    assert reach(process, CAMERA) > before


async def test_a_camera_that_comes_while_it_is_paused_is_given_none(
    stores: ProcessStores,
) -> None:
    process = await begin(stores, [CAMERA])
    try:
        process.actor.pause(["cam-2"])
        await stores.give(process.actor.name, ["cam-2"])
        await process.actor.adopt(["cam-2"])
        process.attach("cam-2")
        await process.has(Welcomed)
        assert [welcome.credits for welcome in process.of(Welcomed, "cam-2")] == [0]
    finally:
        await process.end()


async def test_a_pause_outlives_an_activation_anew(start: Start, stores: ProcessStores) -> None:
    process = await start(mailbox_items=64, process_items=64)
    before = reach(process, CAMERA)
    process.actor.pause([CAMERA])
    stores.database.faults.plan("commit", "after")
    process.data(CAMERA, range(1, 31))
    await process.has(Welcomed, 2)
    assert reach(process, CAMERA) <= before
