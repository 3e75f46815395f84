"""What is on the disk when the power fails: every alarm that `send` took, live observations but for
the last second, and never half a record."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from actors.core.backoff import Backoff
from actors.core.errors import Unavailable
from actors.core.messages.observations import Alarm, Object, Observation
from edge import spool as spool_module
from edge.client import SYNC_S, EdgeClient
from edge.spool import DiskSpool
from edge.window import Batch, Window
from tests.support.doubles.losing_disk import LosingDisk
from tests.support.servers.edge_server import EdgeServer
from tests.support.waiting import until

START = datetime(2026, 1, 1, tzinfo=UTC)
NOBODY = "ws://127.0.0.1:9/v1/edge"  # the discard port: no hub listens there


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[LosingDisk]:
    losing = LosingDisk()
    monkeypatch.setattr(spool_module, "os", losing)
    yield losing
    monkeypatch.undo()


def body(seq: int) -> bytes:
    return b"body %d " % seq * 5


def opened(folder: Path, *, segment_bytes: int = 1_000_000) -> DiskSpool:
    return DiskSpool(folder, capacity=1_000_000, segment_bytes=segment_bytes)


def held(folder: Path) -> list[int]:
    """The seqs that a restart finds."""
    return [seq for seq, _, _ in opened(folder).recovered.held]


def frame(number: int, *, alarm: bool = False) -> Observation:
    box = Object("person", (0.1, 0.2, 0.3, 0.4), 0.5, id=str(number))
    return Observation(
        START + timedelta(seconds=number), [box], Alarm("button", text="help") if alarm else None
    )


def sessions(root: Path) -> list[Path]:
    """The folders with segments."""
    return sorted({path.parent for path in root.rglob("*.seg")})


def test_what_was_synced_outlasts_a_power_failure_and_the_rest_goes_whole(
    tmp_path: Path, disk: LosingDisk
) -> None:
    made = opened(tmp_path / "s")
    for seq in range(1, 6):
        made.append(seq, body(seq), alarm=False)
    made.sync()
    made.append(6, body(6), alarm=False)
    disk.cut_power()
    again = opened(tmp_path / "s")
    assert [seq for seq, _, _ in again.recovered.held] == [1, 2, 3, 4, 5]
    assert [again.get(seq) for seq in range(1, 6)] == [body(seq) for seq in range(1, 6)]
    assert again.recovered.damaged == 0


def test_a_segment_is_on_the_disk_before_the_next_one_begins(
    tmp_path: Path, disk: LosingDisk
) -> None:
    """Later segments may be synced alone: what lies before them must not be missing then."""
    made = opened(tmp_path / "s", segment_bytes=200)
    for seq in range(1, 31):
        made.append(seq, body(seq), alarm=False)
    made.sync()
    disk.cut_power()
    assert held(tmp_path / "s") == list(range(1, 31))


def test_a_clean_end_is_on_the_disk(tmp_path: Path, disk: LosingDisk) -> None:
    made = opened(tmp_path / "s")
    made.append(1, body(1), alarm=False)
    made.close()
    assert disk.unsynced() == 0
    disk.cut_power()
    assert held(tmp_path / "s") == [1]


def test_a_sync_that_fails_is_told(tmp_path: Path, disk: LosingDisk) -> None:
    made = opened(tmp_path / "s")
    made.append(1, body(1), alarm=True)
    disk.refusals = 1
    with pytest.raises(Unavailable, match="cannot be synced"):
        made.sync()
    made.sync()
    assert disk.unsynced() == 0


@pytest.mark.parametrize("fits", [1, 9, 20, 40])
def test_a_write_that_found_room_for_a_part_leaves_nothing(
    tmp_path: Path, disk: LosingDisk, fits: int
) -> None:
    """What is written later is found, at its place: reading it back needs no restart either."""
    made = opened(tmp_path / "s")
    made.append(1, body(1), alarm=False)
    disk.room = fits
    with pytest.raises(Unavailable, match="cannot be written"):
        made.append(2, body(2), alarm=True)
    disk.room = None
    made.append(3, body(3), alarm=False)
    assert made.get(3) == body(3)
    assert made.get(2) is None
    made.close()
    again = opened(tmp_path / "s").recovered
    assert [seq for seq, _, _ in again.held] == [1, 3]
    assert (again.damaged, again.resumable) == (0, True)


async def test_an_alarm_is_on_the_disk_when_send_returns(tmp_path: Path, disk: LosingDisk) -> None:
    edge = EdgeClient(NOBODY, spool=tmp_path)
    stream = await edge.open("cam")
    for number in range(3):
        await stream.send(frame(number))
    seq = await stream.send(frame(3, alarm=True))
    disk.cut_power()
    (folder,) = sessions(tmp_path)
    assert held(folder) == [1, 2, 3, seq]
    await edge.close()


async def test_an_alarm_that_cannot_be_brought_to_the_disk_is_refused(
    tmp_path: Path, disk: LosingDisk
) -> None:
    edge = EdgeClient(NOBODY, spool=tmp_path)
    stream = await edge.open("cam")
    disk.refusals = 1
    with pytest.raises(Unavailable):
        await stream.send(frame(1, alarm=True))
    await edge.close()


async def test_a_device_whose_disk_is_full_goes_on_live_and_declares_what_it_could_not_keep(
    tmp_path: Path, disk: LosingDisk
) -> None:
    async with EdgeServer() as server:
        server.switches.hold_acks = True
        async with EdgeClient(server.url, "secret", spool=tmp_path) as edge:
            stream = await edge.open("cam", session="s1")
            await until(lambda: stream.open)
            disk.room = 0
            assert await stream.send(frame(1)) == 1
            with pytest.raises(Unavailable):
                await stream.send(frame(2, alarm=True))
            disk.room = None
            await stream.send(frame(3))
            await server.release()
            await edge.drain(30)
        gaps = [(gap.first_seq, gap.last_seq) for gap in server.of("cam").gaps]
        assert sorted(seq for first, last in gaps for seq in range(first, last + 1)) == [1, 2]
        assert server.of("cam").order == [3]


@pytest.mark.parametrize("connected", [True, False])
async def test_live_observations_are_brought_to_the_disk_whether_a_hub_is_there_or_not(
    tmp_path: Path, disk: LosingDisk, connected: bool
) -> None:
    assert SYNC_S <= 1.0, "a power failure may cost a second"
    async with EdgeServer() as server:
        server.switches.hold_acks = True
        url = server.url if connected else NOBODY
        async with EdgeClient(url, spool=tmp_path, backoff=Backoff(0.02, 0.1)) as edge:
            stream = await edge.open("cam", session="s1")
            if connected:
                await until(lambda: stream.open)
            disk.refusals = 1  # one that fails does not end it
            await stream.send(frame(1))
            assert stream.pending
            await until(lambda: disk.refusals == 0 and disk.unsynced() == 0, what="a sync")
            assert stream.pending
            await server.release()


async def test_a_device_that_was_welcomed_comes_back_at_once() -> None:
    """Pauses grow while a hub refuses, and begin anew with a stream that opened."""
    async with EdgeServer() as server:
        server.switches.status = 503
        backoff = Backoff(0.005, 0.01)
        async with EdgeClient(server.url, "secret", backoff=backoff) as edge:
            stream = await edge.open("cam", session="s1")
            await until(lambda: backoff.attempts > 3, what="refused attempts")
            server.switches.status = None
            await until(lambda: stream.open)
            assert backoff.attempts == 0
            await asyncio.sleep(0)


def test_a_new_connection_begins_with_its_own_credits() -> None:
    window = Window(10_000)
    for _ in range(20):
        window.offer(10, alarm=False)
    window.connected(1, 100, numbered_elsewhere=False)
    assert window.next() == Batch(1, 20)
    window.disconnected()
    assert window.next() is None
    window.connected(1, 4, numbered_elsewhere=False)
    assert window.next() == Batch(1, 4)
    assert window.next() is None
    window.ack(2, 4)
    assert window.next() == Batch(5, 6)
