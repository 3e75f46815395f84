"""Rows by frame number in bounded memory: sorted runs of `held_rows` rows, all but the last on
disk, merged when they are read.

Ground truth comes sorted by track, so no frame is whole before the last row. Runs lie in unnamed
temporary files.
"""

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import groupby
from typing import IO

HELD_ROWS = 100_000  # rows in memory at once
MAX_ROWS = 50_000_000  # rows of one file: 500 runs

Row = tuple[int, bytes]


class FrameOrder:
    """Collects rows, then gives them back frame by frame; rows of one frame keep the order in which
    they came."""

    def __init__(self, held_rows: int = HELD_ROWS) -> None:
        self._held_rows = held_rows
        self._held: list[Row] = []
        self._runs: list[IO[bytes]] = []
        self._open = ExitStack()
        self.rows = 0

    def add(self, frame: int, row: bytes) -> None:
        """Keep a row of `frame`. `row` holds no line break."""
        self._held.append((frame, row))
        self.rows += 1
        if len(self._held) >= self._held_rows:
            self._spill()

    def frames(self) -> Iterator[tuple[int, Iterable[bytes]]]:
        """Each frame with its rows, in order of frames. Use a frame's rows before taking the next
        frame."""
        self._held.sort(key=_frame)
        try:
            runs = [*(_rows(run) for run in self._runs), iter(self._held)]
            for frame, rows in groupby(heapq.merge(*runs, key=_frame), _frame):
                yield frame, (row for _, row in rows)
        finally:
            self._open.close()
            self._runs.clear()
            self._held.clear()

    def _spill(self) -> None:
        self._held.sort(key=_frame)
        # the stack closes it
        run = self._open.enter_context(tempfile.TemporaryFile(prefix="eyrie-rows-"))  # noqa: SIM115
        run.writelines(b"%d %b\n" % row for row in self._held)
        run.seek(0)
        self._runs.append(run)
        self._held.clear()


def _frame(row: Row) -> int:
    return row[0]


def _rows(run: IO[bytes]) -> Iterator[Row]:
    for line in run:
        frame, _, row = line.rstrip(b"\n").partition(b" ")
        yield int(frame), row
