"""An embedded PostgreSQL that ended on a full disk is started again and again, says why it is not
there, and is back once there is room."""

import contextlib
import os
import signal

import pytest

from actors.core.errors import NeverStarts
from actors.core.settings import DataSettings, PostgresSettings, Settings
from cluster.launcher.restarts import LONGEST_S, Restarts
from cluster.ray.process import descendants
from storage.embedded.data_dir import DataDir
from storage.embedded.postgres import EmbeddedPostgres
from storage.process.settings_files import write_resolved
from tests.support.cluster.product import data_folder, eyrie
from tests.support.servers.small_disk import filled, small_disk
from tests.support.waiting import block_until

pytestmark = pytest.mark.prove

TRIES = 8  # more than it once had before everything was given up


def test_a_postgresql_that_a_full_disk_ended_waits_says_why_and_is_back_by_itself() -> None:
    now, told = [0.0], list[str]()
    with small_disk() as disk:
        data = DataDir(disk / "data")
        data.prepare()
        postgres = EmbeddedPostgres(data, max_connections=20)
        restarts = Restarts(data, told.append, now=lambda: now[0])
        data.note("test", os.getpid())  # for `eyrie status`: something runs here
        postgres.start()
        write_resolved(
            data.settings_file,
            Settings(
                data=DataSettings(dir=str(data.path)), postgres=PostgresSettings(dsn=postgres.dsn)
            ),
        )
        try:
            with filled(disk):
                end(postgres)
                for _ in range(TRIES):
                    restarts.again("PostgreSQL", postgres.start)
                    assert not postgres.alive()
                    now[0] += LONGEST_S
                said = eyrie("status", "--data-dir", data.path)
            restarts.again("PostgreSQL", postgres.start)
            assert postgres.alive()
        finally:
            postgres.stop()
    assert len(told) == TRIES + 2, told
    assert told[0] == "PostgreSQL ended; starting it again"
    assert all(
        f" are needed in {data.path}, and " in line and "make room" in line for line in told[1:-1]
    ), told
    assert told[-1].startswith("PostgreSQL is back after")
    assert said.returncode == 1
    assert "PostgreSQL cannot be reached" in said.stderr
    assert "make room" in " ".join(said.stderr.split())


def test_a_database_that_is_gone_is_not_made_anew_below_a_running_stack() -> None:
    with data_folder() as folder:
        data = DataDir(folder / "data")
        data.prepare()
        postgres = EmbeddedPostgres(data, max_connections=20)
        postgres.start()
        try:
            end(postgres)
            (data.path / "postgres").rename(folder / "elsewhere")
            with pytest.raises(NeverStarts, match="is gone"):
                Restarts(data, lambda line: None).again("PostgreSQL", postgres.start)
        finally:
            postgres.stop()


def end(postgres: EmbeddedPostgres) -> None:
    """As the system ends it."""
    for pid in (postgres.pid, *descendants(postgres.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    block_until(lambda: not postgres.alive(), "its end")
