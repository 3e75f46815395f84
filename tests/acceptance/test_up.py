"""`eyrie up` from nothing: a live wall within 30 s, a clean stop that loses nothing, and a start
that goes on."""

import os
import re
import signal
import subprocess

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

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

LINK = re.compile(r"http://127\.0\.0\.1:\d+/#code=[A-Za-z0-9_-]{43}")
TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.")
FIRST_PUBLICATION_S = 30.0  # what the product promises, installation apart


def test_the_first_live_publication_comes_within_30_s_and_a_stop_loses_nothing() -> None:
    with data_folder() as path:
        with product(path, "--cameras", "2") as first:
            assert 0 < first.ready["first_publication_s"] < FIRST_PUBLICATION_S
            block_until(
                lambda: committed_seqs(first.data) > 20, "observations are committed", within_s=30
            )
            verdict = first.stop()
        assert verdict == {"stopped": True, "durable": True}
        with product(path, "--cameras", "2") as second:
            block_until(
                lambda: committed_seqs(second.data) > 0, "the next start goes on", within_s=30
            )
            second.stop()
        verified = eyrie("audit", "verify", path)
        assert verified.returncode == 0, verified.stdout


def test_what_a_killed_launcher_leaves_is_ended_by_the_next_start() -> None:
    with data_folder() as path:
        killed = Product(path, ["--cameras", "2"])
        killed.wait_ready()
        family = {pid: start_time(pid) for pid in killed.processes()}
        driver = next(record for record in killed.data.noted() if record.name == "driver")
        os.kill(killed.pid, signal.SIGKILL)
        killed.reap()
        block_until(
            lambda: start_time(driver.pid) != driver.started,
            "the driver has noticed, and ended",
            within_s=15,
        )
        assert (
            f"the launcher (process {killed.pid}) was killed"
            in (killed.data.logs / "eyrie.log").read_text()
        )
        with product(path, "--cameras", "2") as again:
            left = [
                pid
                for pid, started in family.items()
                if started is not None and start_time(pid) == started
            ]
            assert left == []
            assert again.ready["ready"] is True


def test_attack_10_a_terminal_is_shown_a_link_and_a_log_how_to_make_one() -> None:
    arguments = ["up", "--no-simulate", "--port", "0", "--data-dir"]
    with data_folder() as path:
        code, shown = on_a_terminal([*arguments, str(path)], until="Ctrl-C stops everything.")
        assert code == 0, shown
        assert LINK.search(shown), shown
        assert not TOKEN.search(shown), shown
        with subprocess.Popen(
            [*COMMAND, *arguments, str(path)],
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
                if "Ctrl-C stops everything." in line:
                    piped.send_signal(signal.SIGINT)
        said = "".join(lines)
        assert piped.returncode == 0, said
        assert f"eyrie sign-in --data-dir {path}" in said
        assert "code=" not in said
        assert not TOKEN.search(said), said
