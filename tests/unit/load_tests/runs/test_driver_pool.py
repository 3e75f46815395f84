"""The driver processes of a run, heard while they work and at their end."""

from contextlib import ExitStack
from multiprocessing.connection import Connection

import pytest

from actors.core.errors import StartError
from load_tests.drivers.device_plan import DeviceProgress, Drove
from load_tests.harness.child_process import BenchChild
from load_tests.runs.driver_pool import DriverPool
from tests.support.waiting import block_until


def driver(pipe: Connection, sent: int, fails: bool) -> None:
    pipe.send("welcome")
    assert pipe.recv() == 7.0
    for number in range(1, 4):
        pipe.send(
            DeviceProgress(sent * number, sent * number, oldest_s=0.1 * sent, latency={100: sent})
        )
    pipe.send(
        StartError("turned away")
        if fails
        else Drove({"cam": 3 * sent}, {"cam": 3 * sent}, 0, 1, 0, 0.0, {}, {})
    )
    pipe.recv()


def test_progress_is_summed_and_everybody_is_heard_to_the_end() -> None:
    with ExitStack() as stack:
        pool = DriverPool([stack.enter_context(BenchChild(driver, sent, False)) for sent in (1, 2)])
        pool.welcome()
        pool.begin(7.0)
        seen: list[DeviceProgress] = []

        def all_is_seen() -> bool:
            seen.append(pool.progress())
            return seen[-1].sent == 9

        block_until(all_is_seen, "all progress is seen")
        assert seen[-1].oldest_s == 0.2
        assert sum(one.latency.get(100, 0) for one in seen) == 9  # every latency in one look alone
        assert [one.sent["cam"] for one in pool.finish(10)] == [3, 6]


def test_what_goes_wrong_in_a_driver_is_raised() -> None:
    with ExitStack() as stack:
        pool = DriverPool([stack.enter_context(BenchChild(driver, 1, True))])
        pool.welcome()
        pool.begin(7.0)
        with pytest.raises(StartError, match="turned away"):
            pool.finish(10)
