"""What a process that died was busy with is read afterwards, once; of one that lives or ended in
order nothing is told."""

import subprocess
import sys
from pathlib import Path

from actors.step_notes import StepNote, left_behind
from storage.embedded.data_dir import DataDir

DIES = """
import os, sys
from pathlib import Path
from actors.step_notes import StepNote
from storage.embedded.data_dir import DataDir
note = StepNote()
note.open(DataDir(Path(sys.argv[1])), sys.argv[2])
note.set("gate-1")
note.set(sys.argv[3])
os._exit(13)
"""

# No file may grow: what a full disk does to a write, wherever the tests' folder is.
NO_ROOM = """
import resource, signal, sys
from pathlib import Path
from actors.step_notes import StepNote
from storage.embedded.data_dir import DataDir
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
note = StepNote()
note.open(DataDir(Path(sys.argv[1])), "cameras.1")
note.set("gate-1")
print("lives")
"""


def dies(folder: Path, name: str, camera: str) -> None:
    """A process that ends while it is busy with `camera`."""
    assert (
        subprocess.run(
            [sys.executable, "-c", DIES, str(folder), name, camera], check=False
        ).returncode
        == 13
    )


def test_what_a_dead_process_was_busy_with_is_told_once(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    assert left_behind(data) == {}
    dies(tmp_path, "cameras.1", "a" * 64)
    dies(tmp_path, "cameras.2", "")
    mine = StepNote()
    mine.open(data, "cameras.3")
    mine.set("gate-2")
    assert left_behind(data) == {"cameras.1": "a" * 64}
    assert left_behind(data) == {}
    mine.close()
    assert left_behind(data) == {}


def test_before_it_is_opened_nothing_is_written(tmp_path: Path) -> None:
    StepNote().set("gate-1")
    assert list(tmp_path.iterdir()) == []


def test_without_room_on_the_disk_nothing_is_noted_and_the_process_lives(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (0, "lives\n"), ended.stderr
    assert left_behind(DataDir(tmp_path)) == {}
