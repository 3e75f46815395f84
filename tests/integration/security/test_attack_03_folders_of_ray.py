"""Attack 3: another user of the machine becomes the one that Eyrie runs as, by way of the folder
that Ray leaves open to everybody."""

import os
import pwd
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.ray.head import RayHead
from storage.embedded.data_dir import DataDir
from tests.support.cluster.product import data_folder

STRANGER = "nobody"

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user"),
]


@pytest.fixture(scope="module")
def head() -> Iterator[tuple[RayHead, Path]]:
    """A running head, and the folder that it was told to use."""
    with data_folder() as path:
        data = DataDir(path)
        data.prepare()
        running = RayHead(data, cameras=1)
        running.spawn()
        try:
            running.wait()
            yield running, ray_folder(data)
        finally:
            running.stop()


def ray_folder(data: DataDir) -> Path:
    """The ``--temp-dir`` on the command lines of the processes that were written down."""
    for record in data.noted():
        for word in Path(f"/proc/{record.pid}/cmdline").read_bytes().split(b"\0"):
            if word.startswith((b"--temp-dir=", b"--temp_dir=")):
                return Path(os.fsdecode(word.partition(b"=")[2]))
    raise AssertionError("no process of Ray names its folder")


def as_stranger(work: Callable[[], bool]) -> bool:
    """What `work` returns in a process of another user; False when the system refuses it."""
    pid = os.fork()
    if not pid:
        status = 3
        try:
            entry = pwd.getpwnam(STRANGER)
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            status = 0 if work() else 1
        except PermissionError:
            status = 1
        finally:
            os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 1), code
    return code == 0


def replace(path: Path) -> bool:
    path.unlink()
    path.write_text("127.0.0.1:1", encoding="ascii")
    return True


def test_ray_does_leave_its_folder_open_so_that_this_test_means_something(
    head: tuple[RayHead, Path],
) -> None:
    _, folder = head
    assert stat.S_IMODE(folder.stat().st_mode) & stat.S_IWOTH, (
        "Ray no longer opens its folder: the closed one above it may go"
    )


def test_attack_03_a_stranger_replaces_nothing_in_the_folder_of_ray(
    head: tuple[RayHead, Path],
) -> None:
    _, folder = head
    assert not as_stranger(lambda: replace(folder / "ray_current_cluster"))
    assert not as_stranger(lambda: bool(os.listdir(folder)))
    assert not as_stranger(lambda: not (folder / "planted").write_text("x"))


def test_attack_03_the_address_of_the_head_is_the_chosen_one_whatever_a_file_says(
    head: tuple[RayHead, Path],
) -> None:
    running, folder = head
    before = running.address
    (folder / "ray_current_cluster").write_text("127.0.0.1:1", encoding="ascii")
    running.wait()
    assert running.address == before
