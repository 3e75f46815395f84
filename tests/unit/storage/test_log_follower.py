"""Who follows a log misses nothing that is still kept, and says where something was."""

from pathlib import Path

from storage.bounded_log import BoundedLog
from storage.log_follower import LogFollower

FILES = 3
LINES = 5  # in one file


def written(log: BoundedLog, first: int, count: int) -> list[str]:
    made = [f"line {number:05}\n" for number in range(first, first + count)]
    for line in made:
        log.write(line)
    return made


def test_a_log_that_was_put_aside_several_times_between_two_looks_is_read_whole(
    tmp_path: Path,
) -> None:
    log = BoundedLog(tmp_path / "eyrie.log", max_bytes=LINES * 11, files=FILES)
    written(log, 0, 7)
    follower = LogFollower(tmp_path / "eyrie.log")
    assert follower.lines() == ([], False)
    first = 7
    for count in (1, 2, LINES, 2 * LINES + 1, FILES * LINES, 0, 3):
        assert follower.lines() == ([], False)
        expected = written(log, first, count)
        assert follower.lines() == (expected, False), count
        first += count
    follower.close()
    log.close()


def test_what_is_lost_is_told(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "eyrie.log", max_bytes=LINES * 11, files=FILES)
    follower = LogFollower(tmp_path / "eyrie.log")
    expected = written(log, 0, 100)
    lines, lost = follower.lines()
    assert lost
    assert lines == expected[:LINES] + expected[-(FILES + 1) * LINES :], (
        "the file that it held, and those that are kept"
    )
    assert follower.lines() == ([], False)
    assert follower.lines() == ([], False)
    expected = written(log, 100, LINES)
    assert follower.lines() == (expected, False)
    follower.close()
    log.close()
