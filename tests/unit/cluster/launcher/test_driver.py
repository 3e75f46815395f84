"""What the driver does when the launcher that started it is killed: it says so, and ends, whatever
hangs."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from storage.embedded.data_dir import start_time
from tests.support.cluster.product import ROOT
from tests.support.waiting import block_until

LAUNCHER = """
import json, os, sys, time
from pathlib import Path
from storage.embedded.data_dir import DataDir
from storage.embedded.server import ServerProcess

data = DataDir(Path(sys.argv[1]))
data.prepare()
child = ServerProcess("driver", data)
child.spawn([sys.executable, "-c", sys.argv[2]], environment={**os.environ, "PYTHONPATH": os.getcwd()})
child.wait_ready(lambda: "listens" in child.log_tail(), 60)
print(json.dumps([os.getpid(), child.pid]), flush=True)
time.sleep(600)
"""  # noqa: E501
DRIVER = """
import asyncio, logging, time
from cluster.launcher.driver import Parent

async def main():
    logging.basicConfig(filename="words.log")
    parent = Parent()
    parent.listen()
    print("listens", flush=True)
    await parent.over.wait()
    await asyncio.sleep(0.1)
    time.sleep(600)  # a call of Ray that hangs without its head

asyncio.run(main())
"""


def test_the_driver_of_a_killed_launcher_says_so_and_ends_though_a_call_hangs(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", LAUNCHER, str(tmp_path), DRIVER]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        pid, driver = json.loads(launcher.stdout.readline())
        started = start_time(driver)
        assert started is not None
        launcher.send_signal(signal.SIGKILL)
    block_until(lambda: start_time(driver) != started, "the end of the driver", within_s=30)
    assert f"the launcher (process {pid}) was killed" in (tmp_path / "words.log").read_text()
