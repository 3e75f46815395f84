"""The data directory: one holder, folders of the right modes, and leftovers that are ended only
when they are truly ours."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from actors.core.errors import StartError
from actors.core.settings import DataSettings, Settings
from storage.embedded import data_dir
from storage.embedded.data_dir import DataDir, PidRecord, start_time

SLEEPER = (
    "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\nprint('ready', "
    "flush=True)\ntime.sleep(120)"
)
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('deaf', "
    "flush=True)\ntime.sleep(120)"
)


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    made = DataDir(tmp_path / "data")
    made.prepare()
    return made


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def test_the_directory_is_the_one_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert data_dir.of(Settings(data=DataSettings(dir="~/here"))).path == tmp_path / "here"
    usual = data_dir.of(Settings()).path
    assert usual == (
        Path("/var/lib/eyrie") if os.geteuid() == 0 else tmp_path / ".local/share/eyrie"
    )


def test_secrets_and_logs_are_closed_to_others(data: DataDir) -> None:
    for folder in (data.keys, data.logs):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for folder in (data.path, data.run):
        assert stat.S_IMODE(folder.stat().st_mode) & 0o066 == 0


def test_a_second_holder_is_told_who_the_first_is(data: DataDir) -> None:
    with data.locked(), pytest.raises(StartError) as caught, DataDir(data.path).locked():
        pytest.fail("two holders")
    assert str(os.getpid()) in caught.value.detail
    assert "--data-dir" in caught.value.next_step
    with DataDir(data.path).locked():
        pass


def test_a_place_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="ascii")
    with pytest.raises(StartError, match="cannot be used"):
        DataDir(tmp_path / "file" / "data").prepare()


def test_what_is_noted_and_lives_is_found_and_ended(
    data: DataDir, sleeper: "subprocess.Popen[bytes]"
) -> None:
    data.note("sleeper", sleeper.pid)
    assert [record.name for record in data.noted()] == ["sleeper"]
    assert [record.pid for record in data.end_leftovers()] == [sleeper.pid]
    assert sleeper.wait(10) == -signal.SIGINT
    assert data.noted() == []
    assert list(data.run.glob("*.pid")) == []


def test_one_that_does_not_listen_is_killed(data: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_dir, "END_S", 0.2)
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"deaf\n"
        data.note("deaf", process.pid)
        data.end_leftovers()
        assert process.wait(10) == -signal.SIGKILL


def test_a_pid_that_another_program_has_now_is_never_touched(
    data: DataDir, sleeper: "subprocess.Popen[bytes]"
) -> None:
    started = start_time(sleeper.pid)
    assert started is not None
    (data.run / "old.pid").write_bytes(
        msgspec.json.encode(PidRecord("old", sleeper.pid, started - 1))
    )
    assert data.end_leftovers() == []
    assert sleeper.poll() is None
    assert list(data.run.glob("*.pid")) == []


@pytest.mark.parametrize("text", [b"", b"{", b'{"name":"x"}', b"1234\n"])
def test_a_pid_file_cut_short_by_a_crash_is_passed_over(data: DataDir, text: bytes) -> None:
    (data.run / "cut.pid").write_bytes(text)
    assert data.end_leftovers() == []


def test_we_never_end_ourselves(data: DataDir) -> None:
    data.note("me", os.getpid())
    assert data.end_leftovers() == []


def test_a_dead_process_has_no_start_time(sleeper: "subprocess.Popen[bytes]") -> None:
    assert start_time(sleeper.pid) is not None
    sleeper.kill()
    deadline = time.monotonic() + 10
    while start_time(sleeper.pid) is not None:  # a zombie until it is waited for
        assert time.monotonic() < deadline
    sleeper.wait()
    assert start_time(sleeper.pid) is None


def test_a_socket_in_a_deep_directory_gets_a_short_private_place(tmp_path: Path) -> None:
    near, deep = DataDir(tmp_path / "d"), DataDir(tmp_path / ("deep" * 30))
    assert len(os.fsencode(deep.socket_folder("pg"))) + len("/.s.PGSQL.5432.lock") < 107
    assert deep.socket_folder("pg") != DataDir(tmp_path / ("Deep" * 30)).socket_folder("pg")
    if len(os.fsencode(near.run / "pg")) < 70:
        assert near.socket_folder("pg") == near.run / "pg"


def test_the_session_of_a_dead_server_is_ended_too(data: DataDir) -> None:
    script = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import "
        "time; time.sleep(120)']).pid, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as leader:
        assert leader.stdout is not None
        worker = int(leader.stdout.readline())
        data.note("ray", leader.pid)
        leader.kill()
        leader.wait()
        assert data.noted() == []
        assert start_time(worker) is not None
        assert [(record.name, record.pid) for record in data.end_leftovers()] == [("ray", worker)]
        assert start_time(worker) is None


def test_a_record_of_another_boot_means_nothing(
    data: DataDir, sleeper: "subprocess.Popen[bytes]"
) -> None:
    started = start_time(sleeper.pid)
    assert started is not None
    (data.run / "old.pid").write_bytes(
        msgspec.json.encode(PidRecord("old", sleeper.pid, started, "another"))
    )
    assert data.end_leftovers() == []
    assert sleeper.poll() is None


def test_a_folder_in_a_public_place_is_ours_or_refused(tmp_path: Path) -> None:
    made = data_dir.private_folder(tmp_path / "ours")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert data_dir.private_folder(made) == made
    (tmp_path / "link").symlink_to(made)
    (tmp_path / "file").write_text("", encoding="ascii")
    for name in ("link", "file"):
        with pytest.raises(StartError):
            data_dir.private_folder(tmp_path / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a folder of another user")
def test_a_folder_of_another_user_is_refused_unless_it_is_meant(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 12_345, 12_345)
    with pytest.raises(StartError, match="not a folder of ours"):
        data_dir.private_folder(theirs)
    assert data_dir.private_folder(theirs, 12_345) == theirs
