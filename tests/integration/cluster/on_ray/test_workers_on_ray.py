"""Workers on the real stack: scaled, killed, stopped, and what their schedules make."""

import asyncio
import json
import os
import signal
import time
from typing import Any

import pytest

from cluster.cli.main import main
from storage.ports.background.jobs import JobRow
from storage.process.settings_files import read_resolved
from storage.stores import open_stores
from tests.support.cluster.ray_stack import Stack

pytestmark = [pytest.mark.ray, pytest.mark.prove]


def eyrie(running: Stack, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What ``eyrie cluster … --json`` prints."""
    capsys.readouterr()
    code = main(["cluster", *words, "--json", "--settings", str(running.path)])
    out = capsys.readouterr().out
    assert code == 0, out
    return dict(json.loads(out))


@pytest.mark.timeout(300)
def test_workers_are_scaled_and_run_what_schedules_make(
    running: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert eyrie(running, capsys, "plan", "scale", "workers", "1")["problem"] == ""
    assert eyrie(running, capsys, "scale", "workers", "1")["state"] == "done"
    (worker,) = eyrie(running, capsys, "workers")["workers"]
    assert (worker["state"], worker["pid"] > 0) == ("ready", True)
    assert eyrie(running, capsys, "log-level", "worker-0")["level"] == "info"
    assert asyncio.run(run_now(running, "jobs.retention")).state == "done"
    for ending in (signal.SIGKILL, signal.SIGSTOP):  # another comes in its place, and works
        os.kill(lost := worker["pid"], ending)
        deadline = time.monotonic() + 100
        while True:
            (worker,) = eyrie(running, capsys, "workers")["workers"]
            if worker["state"] == "ready" and worker["pid"] != lost:
                break
            assert time.monotonic() < deadline
    assert asyncio.run(run_now(running, "rows.retention")).state == "done"
    assert eyrie(running, capsys, "restart", "worker-0")["state"] == "done"
    assert eyrie(running, capsys, "scale", "workers", "0")["state"] == "done"
    assert eyrie(running, capsys, "workers")["workers"] == []


async def run_now(running: Stack, schedule: str) -> JobRow:
    """Its job, once it has ended."""
    stores = await open_stores(read_resolved(str(running.path)))
    try:
        async with asyncio.timeout(60):
            while not (job := await stores.schedules.run_now(schedule, who="test")):
                await asyncio.sleep(0.05)  # the worker declares it when it begins
            while (row := await stores.jobs.get(job)) is None or row.state in ("ready", "running"):
                await asyncio.sleep(0.05)
            return row
    finally:
        await stores.close()
