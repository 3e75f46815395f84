"""Logs of a bounded size, whoever writes them and however much (attack 11)."""

import logging
import subprocess
import sys
from pathlib import Path

from actors.core.settings import DataSettings, LogSettings, Settings
from storage.bounded_log import BoundedLog
from storage.embedded import server
from storage.embedded.data_dir import DataDir
from storage.embedded.server import ServerProcess
from storage.process.log_file import log_to_file
from tests.support.waiting import block_until

WRITER = """
import sys
from pathlib import Path
from storage.bounded_log import BoundedLog
log = BoundedLog(Path(sys.argv[1]), max_bytes=20_000, files=2)
for number in range(2_000):
    log.write(f"{sys.argv[2]} {number} {'x' * 50}\\n")
"""


def test_attack_11_the_common_log_stays_within_its_bound_and_lines_stay_whole(
    tmp_path: Path,
) -> None:
    path = tmp_path / "eyrie.log"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), f"w{n}"]) for n in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    kept = sorted(tmp_path.glob("eyrie.log*"))
    assert [one.name for one in kept] == ["eyrie.log", "eyrie.log.1", "eyrie.log.2"]
    assert all(one.stat().st_size <= 20_000 + 200 for one in kept)
    lines = [line for one in kept for line in one.read_text().splitlines()]
    assert all(line.endswith("x" * 50) and line.startswith("w") for line in lines)
    assert {"w0 1999", "w1 1999", "w2 1999"} & {line.rsplit(" ", 1)[0] for line in lines}, (
        "the newest are there"
    )


def test_attack_11_a_process_of_ours_logs_to_it(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "data")
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        log_to_file(
            Settings(data=DataSettings(dir=str(data.path)), log=LogSettings(max_mb=1, files=1)),
            "test",
        )
        for _ in range(800):
            logging.getLogger("eyrie.test").info("%s", "y" * 4_000)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    sizes = [one.stat().st_size for one in data.logs.glob("eyrie.log*")]
    assert len(sizes) == 2
    assert sum(sizes) <= 2 * 1_048_576 + 8_192


def test_attack_11_a_server_that_floods_its_output_is_bounded_and_does_not_wait(
    tmp_path: Path,
) -> None:
    data = DataDir(tmp_path / "data")
    data.prepare()
    child = ServerProcess("loud", data)
    process = child.spawn(
        [
            sys.executable,
            "-c",
            "import sys\nfor n in range(90): sys.stderr.write('z' * 1_048_575 + '\\n')",
        ]
    )
    assert process.wait(120) == 0
    block_until(lambda: child.log_tail().count("z") > 0, "the end of its log")
    sizes = [one.stat().st_size for one in data.logs.glob("loud.log*")]
    assert len(sizes) == 1 + server.LOG_FILES
    assert max(sizes) <= server.MAX_LOG_BYTES
    child.stop()


def test_attack_11_a_log_that_somebody_removed_is_made_anew(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "a.log", max_bytes=100, files=1)
    log.write("one\n")
    (tmp_path / "a.log").unlink()
    log.write("two\n")
    assert (tmp_path / "a.log").read_text() == "two\n"
    log.close()
