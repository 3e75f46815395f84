"""The journal of a source: whole after any crash, and the spool is repaired from it."""

import os
from pathlib import Path

import pytest

from actors.core.errors import Conflict
from edge.sessions import open_sessions
from edge.sources.journal import Entry, SourceJournal, SpooledItem, repair
from edge.spool import DiskSpool
from edge.spool_folder import CameraFolder

CAPACITY = 1_000_000


def placed(seq: int, session: str = "s1") -> SpooledItem:
    return SpooledItem("gate", session, seq, False, b"body %d" % seq)


def held(spool: Path) -> dict[int, bytes | None]:
    folder = CameraFolder(spool, "gate")
    (_, path) = folder.sessions()[-1]
    disk = DiskSpool(path, capacity=CAPACITY)
    found = {seq: disk.get(seq) for seq, _, _ in disk.recovered.held}
    disk.close()
    folder.close()
    return found


def test_a_torn_end_is_cut_off_at_every_byte(tmp_path: Path) -> None:
    journal = SourceJournal(tmp_path)
    journal.append(Entry({"a": 1}, [placed(1)]))
    whole = journal.size
    journal.append(Entry({"a": 2, "b": 3}, [placed(2)]))
    journal.close()
    path = next(tmp_path.glob("journal-*"))
    data = path.read_bytes()
    for cut in range(whole, len(data)):
        path.write_bytes(data[:cut])
        again = SourceJournal(tmp_path)
        assert (again.memory, [one.seq for one in again.placed]) == ({"a": 1}, [1])
        again.append(Entry({"c": 4}))
        again.close()
        last = SourceJournal(tmp_path)
        assert last.memory == {"a": 1, "c": 4}
        last.close()


def test_what_was_appended_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = SourceJournal(tmp_path)
    synced: list[int] = []
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    journal.append(Entry({"a": 1}))
    assert synced == [journal.size]
    journal.close()


def test_a_rewrite_keeps_the_memory_alone(tmp_path: Path) -> None:
    journal = SourceJournal(tmp_path)
    journal.append(Entry({"a": 1}, [placed(1)]))
    journal.rewrite({"a": 1, "b": 2})
    journal.append(Entry({"a": None}))
    journal.close()
    again = SourceJournal(tmp_path)
    assert (again.memory, again.placed) == ({"b": 2}, [])
    again.close()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    journal = SourceJournal(tmp_path)
    with pytest.raises(Conflict):
        SourceJournal(tmp_path)
    journal.close()


def test_the_spool_gets_what_it_lacks_and_nothing_twice(tmp_path: Path) -> None:
    folder = CameraFolder(tmp_path, "gate")
    disk = DiskSpool(folder.place("s1"), capacity=CAPACITY)
    disk.append(1, b"body 1", alarm=False)
    disk.append(2, b"body 2", alarm=False)
    disk.forget([1], 1)
    disk.close()
    folder.close()
    assert repair(tmp_path, [placed(seq) for seq in (1, 2, 3, 4)], CAPACITY) == 2
    assert held(tmp_path) == {2: b"body 2", 3: b"body 3", 4: b"body 4"}
    assert repair(tmp_path, [placed(seq) for seq in (1, 2, 3, 4)], CAPACITY) == 0


def test_a_power_failure_leaves_the_session_as_it_was(tmp_path: Path) -> None:
    folder = CameraFolder(tmp_path, "gate")
    path = folder.place("s1")
    disk = DiskSpool(path, capacity=CAPACITY)
    disk.append(1, b"body 1", alarm=False)
    disk.append(2, b"body 2", alarm=True)
    segment = max(path.glob("*.seg"))
    segment.write_bytes(segment.read_bytes()[:-20])  # what was not synced
    (path / "boot").write_text("another\n")
    folder.close()
    wanted = [placed(seq) for seq in (1, 2, 3)]
    assert repair(tmp_path, wanted, CAPACITY) == 2
    folder = CameraFolder(tmp_path, "gate")
    (session,), _ = open_sessions(folder, None, CAPACITY)
    assert (session.name, session.window.next_seq, session.window.pending) == ("s1", 4, 3)
    session.spool.close()
    folder.close()


def test_a_session_that_is_gone_was_delivered_and_one_that_never_was_is_made(
    tmp_path: Path,
) -> None:
    assert repair(tmp_path, [placed(1)], CAPACITY) == 1
    assert held(tmp_path) == {1: b"body 1"}
    assert repair(tmp_path, [placed(5, "older")], CAPACITY) == 0
