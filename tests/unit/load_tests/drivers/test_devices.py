"""The devices of a scenario against a real server that speaks the edge protocol: they come back,
resend, and write down everything."""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest

from load_tests.drivers import devices
from load_tests.drivers.device_plan import DevicePlan, DeviceProgress, Drove
from load_tests.drivers.open_loop import Accounts
from load_tests.harness.histogram import Histogram
from load_tests.harness.history import Acknowledged, Closed, Sent
from load_tests.harness.recording import Recorder, operations, read
from load_tests.harness.scenarios import STEP_S, Schedule
from load_tests.harness.synthetic_scene import walk
from tests.support.servers.edge_server import EdgeServer
from tests.support.waiting import until

POOL = walk(1, 2, 200)
RATES = [40.0] * round(1.5 / STEP_S)


def plan(server: EdgeServer, folder: Path, *, client: bool = False) -> DevicePlan:
    return DevicePlan(
        "raw-0",
        str(folder / "raw-0.jsonl"),
        "127.0.0.1",
        [server.port],
        "token",
        "s1",
        [["cam-1", "cam-2"]],
        RATES,
        1.5,
        7,
        client,
    )


async def drove(
    server: EdgeServer, wanted: DevicePlan, fault: Callable[[], object]
) -> tuple[Drove, list[object]]:
    """Run the devices in this process's loop; `fault` happens in the middle. The end, and what else
    was said."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    with Recorder(Path(wanted.history), wanted.proc) as recorder:
        running = asyncio.create_task(devices._Run(wanted, POOL, recorder).run(theirs))
        assert await asyncio.to_thread(_heard, ours) == "welcome"
        ours.send(time.perf_counter())
        await asyncio.sleep(0.2)
        fault()
        found = await running
    said: list[object] = []
    while ours.poll():
        said.append(ours.recv())
    return found, said


def _heard(pipe: Connection) -> object:
    assert pipe.poll(20), "the devices say nothing"
    return pipe.recv()


@pytest.mark.parametrize("client", [False, True])
async def test_a_cut_socket_comes_back_and_nothing_is_lost(tmp_path: Path, client: bool) -> None:
    async with EdgeServer() as server:
        found, said = await drove(
            server, plan(server, tmp_path, client=client), server.drop_everyone
        )
        assert server.violations == []
        total = Schedule(RATES).total()
        assert found.sent == found.acked == {"cam-1": total, "cam-2": total}
        assert [server.of(camera).order for camera in ("cam-1", "cam-2")] == [
            list(range(1, total + 1))
        ] * 2
    assert (found.connections, found.unanswered) == (2, 0)
    assert sum(Histogram(counts).total() for counts in found.by_second.values()) == 2 * total
    assert all(isinstance(one, DeviceProgress) for one in said)
    history = operations(read(tmp_path), lambda camera, seq: POOL[seq - 1])
    assert {(one.camera, one.seq) for one in history if isinstance(one, Sent)} == {
        (c, s) for c in found.sent for s in range(1, total + 1)
    }
    assert max(one.seq for one in history if isinstance(one, Acknowledged)) == total
    if not client:
        assert [one.code for one in history if isinstance(one, Closed)] == [0], (
            "a connection that just ends is written down"
        )
    invoked = Counter(record.kind for record in read(tmp_path))
    assert invoked["invoke"] > 0


async def test_a_device_that_is_not_sure_sends_twice(tmp_path: Path) -> None:
    async with EdgeServer() as server:
        found, _ = await drove(
            server, msgspec.structs.replace(plan(server, tmp_path), resend_every=4), lambda: None
        )
        assert found.resent > 0
        assert server.violations == []
        assert server.of("cam-1").order == list(range(1, found.acked["cam-1"] + 1))


async def test_what_credits_hold_back_counts_as_late_as_it_was(tmp_path: Path) -> None:
    async with EdgeServer(credits=10) as server:
        server.switches.hold_acks = True
        running = asyncio.create_task(drove(server, plan(server, tmp_path), lambda: None))
        await until(
            lambda: (
                len(server.seen) == 2 and all(seen.last_seq == 10 for seen in server.seen.values())
            ),
            what="all that is admitted",
        )
        began = time.monotonic()
        await until(lambda: time.monotonic() - began > 1.3, what="the end of the schedule")
        await server.release()
        found, _ = await running
    latency = Histogram().merge(found.by_second.values())
    assert latency.total() == 2 * Schedule(RATES).total(), (
        "every observation that was due is in the account"
    )
    assert found.unanswered == 0
    assert latency.percentile(0.5) > 0.2


def test_what_is_never_acked_is_in_the_account_with_the_time_it_waited() -> None:
    accounts = Accounts(Schedule([4.0] * 8))
    assert accounts.acked("cam", 4, 2.0)
    assert not accounts.acked("cam", 4, 9.0), "told twice, counted once"
    assert sum(found.total() for found in accounts.by_second.values()) == 4
    assert accounts.close(["cam", "other"], 3.0) == 4 + 8
    latency = Histogram().merge(found.counts for found in accounts.by_second.values())
    assert latency.total() == 16
    assert latency.percentile(1.0) == pytest.approx(3.0 - 0.25, rel=0.02)
    assert accounts.acked_in == {2: 4}
