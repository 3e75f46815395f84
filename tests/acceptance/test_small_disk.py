"""A disk without room is told before anything begins, one that fills up meanwhile in one line, and
neither leaves anything running."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.process.disk_room import DATABASE_BYTES, MIB, needs
from tests.support.cluster.newcomer import ROOT, Machine, Person, clone, impossible, machine, person
from tests.support.waiting import block_until

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(impossible()), reason=impossible()),
]


@pytest.fixture
def who() -> Iterator[Person]:
    with person("root") as made:
        made.home.chmod(
            0o711
        )  # the embedded servers' own user must reach a data directory below it
        yield made


def disk(folder: Path, size: int) -> str:
    return f"mount -t tmpfs -o size={size},mode=711 tmpfs '{folder}'"


def up(where: Machine, who: Person, data: Path) -> "subprocess.CompletedProcess[str]":
    words = (
        sys.executable,
        "-m",
        "cluster.cli.main",
        "up",
        "--port",
        "0",
        "--cameras",
        "2",
        "--data-dir",
        data,
    )
    return where.attempt(who, Path("/"), *words, env={"PYTHONPATH": str(ROOT)}, timeout_s=200)


def test_a_start_without_room_says_how_many_bytes_it_needs_and_where(who: Person) -> None:
    data = who.home / "data"
    with machine(disk(who.home, 40 * MIB)) as where:
        refused = up(where, who, data)
        assert refused.returncode == 1
        assert f"{needs(data, database=True)[data]:,} bytes are needed in {data}" in refused.stderr
        assert "are free there" in refused.stderr
        assert "--data-dir" in refused.stderr
        assert len(refused.stderr.splitlines()) == 2
        assert list(where.inside(who.home).iterdir()) == []
        assert where.left() == []


def test_a_disk_that_fills_up_during_the_start_is_told_in_one_line(who: Person) -> None:
    data = who.home / "data"
    with machine(disk(who.home, DATABASE_BYTES + 80 * MIB)) as where:
        ended = threading.Event()

        def fill() -> None:
            """What is freed meanwhile is taken too."""
            block_until(
                lambda: where.inside(data / "postgres").exists(),
                "the database is being made",
                within_s=60,
            )
            with where.inside(who.home / "others").open("wb", buffering=0) as file:
                while not ended.is_set():
                    try:
                        file.write(bytes(MIB))
                    except OSError:
                        ended.wait(0.01)

        filler = threading.Thread(target=fill)
        filler.start()
        try:
            refused = up(where, who, data)
        finally:
            ended.set()
            filler.join()
        assert refused.returncode == 1, refused.stderr
        assert f"a disk is full; Eyrie writes to {data} (" in refused.stderr
        assert "Traceback" not in refused.stderr
        error = refused.stderr.splitlines().index(
            next(line for line in refused.stderr.splitlines() if line.startswith("error: "))
        )
        assert len(refused.stderr.splitlines()) - error == 2, refused.stderr
        # A PostgreSQL that panics for want of room leaves its shared memory to the system:
        # processes alone are asked for.
        assert [one for one in where.left() if one.startswith("process")] == []


def test_an_installation_without_room_ends_before_it_begins(who: Person) -> None:
    with machine(disk(who.home, 600 * MIB)) as where:
        checkout = clone(where, who, who.home / "eyrie")
        refused = where.attempt(who, checkout, "make", "up")
        assert refused.returncode == 2
        assert f"bytes in {checkout}" in refused.stderr
        assert "are free there" in refused.stderr
        assert not where.inside(checkout / ".venv").exists()
        assert where.left() == []
