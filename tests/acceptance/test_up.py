"""`eyrie up` from nothing: a live wall within 30 s, a clean stop that loses nothing, and starts
that go on, whatever the one before left."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from storage.embedded.data_dir import start_time
from tests.support.cluster.product import (
    COMMAND,
    ROOT,
    Product,
    committed_seqs,
    data_folder,
    eyrie,
    product,
)
from tests.support.cluster.terminal import on_a_terminal
from tests.support.waiting import block_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

LINK = re.compile(r"http://127\.0\.0\.1:\d+/#code=[A-Za-z0-9_-]{43}")
TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.")
FIRST_PUBLICATION_S = 30.0  # what the product promises, installation apart
STARTED = "Ctrl-C stops everything."


def pid_of(running: Product, name: str) -> int | None:
    """Of what the run folder names so."""
    return next((record.pid for record in running.data.noted() if record.name == name), None)


def is_ready(running: Product) -> bool:
    try:
        return bool(urlopen(running.url + "health/ready", timeout=5).status == 200)
    except OSError:
        return False


def family_of(running: Product) -> dict[int, int | None]:
    """Its processes and when each started."""
    return {pid: start_time(pid) for pid in running.processes()}


def living(family: dict[int, int | None]) -> list[int]:
    """Those of `family` that are still there."""
    return [
        pid for pid, started in family.items() if started is not None and start_time(pid) == started
    ]


def servers_killed_and_back(running: Product) -> None:
    """`kill -9` for the servers: others take their places, and the hub is ready again."""
    before = {name: pid_of(running, name) for name in ("redis", "postgres", "nats")}
    for pid in before.values():
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    block_until(
        lambda: all(pid_of(running, name) not in (None, pid) for name, pid in before.items()),
        "servers are back",
        within_s=40,
    )
    block_until(lambda: is_ready(running), "the hub is ready again", within_s=40)


def launcher_killed(running: Product) -> dict[int, int | None]:
    """`kill -9` for the launcher alone: its driver notices, says so and ends. The processes that
    there were."""
    family = family_of(running)
    driver = next(record for record in running.data.noted() if record.name == "driver")
    running.kill_launcher()
    block_until(
        lambda: start_time(driver.pid) != driver.started,
        "the driver has noticed, and ended",
        within_s=15,
    )
    assert (
        f"the launcher (process {running.pid}) was killed"
        in (running.data.logs / "eyrie.log").read_text()
    )
    return family


def started_into_a_pipe(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code of `eyrie up` that no terminal sees and that is stopped when it is ready, and what
    it said."""
    with subprocess.Popen(
        [*COMMAND, "up", "--no-simulate", "--data-dir", str(folder), *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as piped:
        assert piped.stdout is not None
        lines = []
        for line in piped.stdout:
            lines.append(line)
            if STARTED in line:
                piped.send_signal(signal.SIGINT)
    return piped.returncode, "".join(lines)


@dataclass(frozen=True)
class Lives:
    """One data directory through three starts: stopped in order, killed, and stopped when ready.

    `verdict`: the last line of the first. `family`: what the second was, of which `left` outlived
    the third. `code`, `said`: of the third, whose standard output was a pipe. `verified`: exit
    codes of `eyrie audit verify` behind the first and the third.
    """

    folder: Path
    published_s: float
    verdict: dict[str, Any]
    port: int
    family: dict[int, int | None]
    left: list[int]
    noted: list[Any]
    code: int
    said: str
    verified: list[int]


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    with data_folder() as path:
        with product(path, "--cameras", "2") as first:
            block_until(
                lambda: committed_seqs(first.data) > 20, "observations are committed", within_s=30
            )
            verdict = first.stop()
        verified = [eyrie("audit", "verify", path).returncode]
        with product(path, "--cameras", "2") as second:
            block_until(
                lambda: committed_seqs(second.data) > 0, "the next start goes on", within_s=30
            )
            servers_killed_and_back(second)
            family = launcher_killed(second)
        port = urlsplit(second.url).port or 0
        code, said = started_into_a_pipe(path, "--port", str(port))
        left, noted = living(family), second.data.noted()
        verified.append(eyrie("audit", "verify", path).returncode)
        published_s = first.ready["first_publication_s"]
        yield Lives(path, published_s, verdict, port, family, left, noted, code, said, verified)


def test_the_first_live_publication_comes_within_30_s_and_a_stop_loses_nothing(
    lives: Lives,
) -> None:
    assert 0 < lives.published_s < FIRST_PUBLICATION_S
    assert lives.verdict == {"stopped": True, "durable": True}
    assert lives.verified == [0, 0]


def test_what_a_killed_launcher_leaves_is_ended_by_the_next_start_on_its_port(
    lives: Lives,
) -> None:
    assert lives.code == 0, lives.said
    assert f"127.0.0.1:{lives.port}/" in lives.said
    assert len(lives.family) >= 8
    assert (lives.left, lives.noted) == ([], [])


def test_attack_10_a_terminal_is_shown_a_link_and_a_log_how_to_make_one(lives: Lives) -> None:
    assert f"eyrie sign-in --data-dir {lives.folder}" in lives.said
    assert "code=" not in lives.said
    assert not TOKEN.search(lives.said), lives.said
    arguments = ["up", "--no-simulate", "--port", "0", "--data-dir", str(lives.folder)]
    code, shown = on_a_terminal(arguments, until=STARTED)
    assert code == 0, shown
    assert LINK.search(shown), shown
    assert not TOKEN.search(shown), shown
