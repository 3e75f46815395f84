"""The disk spool: what is written comes back, whatever happens to the files; and it stays within
its bound."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.core.errors import ConfigError, Unavailable
from edge import spool as spool_module
from edge.spool import DiskSpool


def body(seq: int) -> bytes:
    return b"body %d " % seq * 5


def opened(folder: Path, *, capacity: int = 1_000_000, segment_bytes: int = 1_000_000) -> DiskSpool:
    return DiskSpool(folder, capacity=capacity, segment_bytes=segment_bytes)


def written(
    folder: Path, count: int, *, clean: bool = True, segment_bytes: int = 1_000_000
) -> None:
    made = opened(folder, segment_bytes=segment_bytes)
    for seq in range(1, count + 1):
        made.append(seq, body(seq), alarm=seq % 10 == 0)
    if clean:
        made.close()


def newest(folder: Path) -> Path:
    return [path for path in sorted(folder.glob("*.seg")) if path.stat().st_size > 60][-1]


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("segment_bytes", [200, 1_000_000])
def test_everything_comes_back_after_a_clean_end_and_after_a_kill(
    tmp_path: Path, clean: bool, segment_bytes: int
) -> None:
    written(tmp_path / "s", 30, clean=clean, segment_bytes=segment_bytes)
    again = opened(tmp_path / "s")
    found = again.recovered
    assert [(seq, alarm) for seq, _, alarm in found.held] == [
        (seq, seq % 10 == 0) for seq in range(1, 31)
    ]
    assert (found.next_seq, found.acked, found.gaps, found.damaged, found.resumable) == (
        31,
        0,
        [],
        0,
        True,
    )
    assert [again.get(seq) for seq in range(1, 31)] == [body(seq) for seq in range(1, 31)]
    again.close()


def test_acks_and_gaps_survive(tmp_path: Path) -> None:
    made = opened(tmp_path / "s", segment_bytes=200)
    for seq in range(1, 21):
        made.append(seq, body(seq), alarm=False)
    made.give_up([11, 12, 14], "full")
    made.forget(list(range(1, 11)), 10)
    made.close()
    found = opened(tmp_path / "s").recovered
    assert found.acked == 10
    assert found.gaps == [(11, 12, "full"), (14, 14, "full")]
    assert [seq for seq, _, _ in found.held] == [13, *range(15, 21)]


def test_the_numbers_go_on_when_everything_was_acked(tmp_path: Path) -> None:
    made = opened(tmp_path / "s", segment_bytes=100)
    for seq in range(1, 31):
        made.append(seq, body(seq), alarm=False)
        made.forget([seq], seq)
    made.close()
    for _ in range(3):
        again = opened(tmp_path / "s", segment_bytes=100)
        assert (again.recovered.next_seq, again.recovered.held) == (31, [])
        again.close()
    again = opened(tmp_path / "s")
    again.forget([], 30)
    assert len(list((tmp_path / "s").glob("*.seg"))) == 1


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(cut=st.integers(1, 900))
def test_a_cut_file_loses_its_end_only_and_its_counter_is_not_trusted(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("cut") / "s"
    written(folder, 20, clean=False)
    path = newest(folder)
    whole = path.read_bytes()
    left = max(len(whole) - cut, 0)
    path.write_bytes(whole[:left])
    again = opened(folder)
    held = [seq for seq, _, _ in again.recovered.held]
    assert held == list(range(1, len(held) + 1))
    assert all(again.get(seq) == body(seq) for seq in held)
    assert again.recovered.resumable == (again.recovered.damaged == 0)
    again.close()


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(at=st.floats(0, 0.9999), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_one_record_and_never_gives_a_wrong_body(
    tmp_path_factory: pytest.TempPathFactory, at: float, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("flip") / "s"
    written(folder, 20)
    path = newest(folder)
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 1 << bit
    path.write_bytes(data)
    again = opened(folder)
    held = [seq for seq, _, _ in again.recovered.held]
    assert len(held) >= 19
    assert again.recovered.damaged > 0
    assert all(again.get(seq) == body(seq) for seq in held)
    again.close()


def test_damage_while_open_is_noticed_when_read(tmp_path: Path) -> None:
    made = opened(tmp_path / "s")
    made.append(1, body(1), alarm=False)
    made.append(2, body(2), alarm=False)
    path = newest(tmp_path / "s")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert made.get(1) == body(1)
    assert made.get(2) is None


def test_after_a_power_failure_the_session_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "killed", 5, clean=False)
    written(tmp_path / "ended", 5, clean=True)
    monkeypatch.setattr(spool_module, "boot_id", lambda: "another boot")
    killed, ended = opened(tmp_path / "killed").recovered, opened(tmp_path / "ended").recovered
    assert (len(killed.held), killed.resumable) == (5, False)
    assert (len(ended.held), ended.resumable) == (5, True)


def test_the_folder_stays_within_its_bound_even_with_alarms_in_every_segment(
    tmp_path: Path,
) -> None:
    made = opened(tmp_path / "s", capacity=5_000, segment_bytes=1_000)
    alarms: list[int] = []
    held: list[int] = []
    for seq in range(1, 2001):
        alarm = seq % 50 == 0
        made.append(seq, body(seq), alarm=alarm)
        (alarms if alarm else held).append(seq)
        if len(held) > 30:
            made.give_up([held.pop(0)], "full")
        size = sum(path.stat().st_size for path in (tmp_path / "s").glob("*.seg"))
        assert size <= 2 * 5_000 + 3 * 1_000
    assert all(made.get(seq) == body(seq) for seq in [*alarms, *held])
    made.close()
    found = opened(tmp_path / "s").recovered
    assert [seq for seq, _, _ in found.held] == sorted([*alarms, *held])


def test_a_disk_that_refuses_leaves_no_half_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = opened(tmp_path / "s")
    made.append(1, body(1), alarm=False)
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:9]))
    with pytest.raises(Unavailable, match="cannot be written"):
        made.append(2, body(2), alarm=False)
    monkeypatch.undo()
    made.append(3, body(3), alarm=False)
    made.close()
    assert [seq for seq, _, _ in opened(tmp_path / "s").recovered.held] == [1, 3]


def test_a_finished_session_leaves_nothing_behind(tmp_path: Path) -> None:
    made = opened(tmp_path / "s")
    made.append(1, body(1), alarm=False)
    made.remove()
    assert not (tmp_path / "s").exists()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="file"):
        opened(tmp_path / "file")
