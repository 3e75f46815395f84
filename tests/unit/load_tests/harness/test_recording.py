"""Histories on disk: what is written is read back as operations, in the order of time; what does
not fit is refused."""

from pathlib import Path

import pytest

from actors.core.errors import StartError
from load_tests.harness.history import (
    Acknowledged,
    Closed,
    Declared,
    Sent,
    ShownEvent,
    ShownState,
    ToldGap,
    WatcherPosition,
)
from load_tests.harness.recording import Recorder, digest, operations, read

BODIES = [b"one", b"two", b"three"]


def body(camera: str, seq: int) -> bytes:
    return BODIES[seq - 1]


def test_what_is_noted_by_several_processes_comes_back_in_order(tmp_path: Path) -> None:
    with Recorder(tmp_path / "b.jsonl", "b") as edge, Recorder(tmp_path / "a.jsonl", "a") as wall:
        edge.note(
            "invoke", "observe", camera="cam", session="s1", seq=1, last=3, sha=digest(BODIES)
        )
        wall.note("ok", "watch", camera="cam", by="w", epoch="e1", offset=4)
        edge.note("ok", "observe", camera="cam", session="s1", last=3)
        edge.note("info", "observe", camera="cam", session="s1", seq=4, last=5)
        edge.note("invoke", "gap", camera="cam", session="s1", seq=4, last=5, reason="shed")
        wall.note(
            "ok", "event", camera="cam", by="w", epoch="e1", offset=5, type="zone.entered", time="t"
        )
        wall.note("ok", "state", camera="cam", by="w", generation=2, offset=5, status="online")
        wall.note("ok", "told-gap", camera="cam", by="w", last=-1)
        wall.note("ok", "close", by="w", code=3001, reason="shutdown")
        wall.note("info", "close", by="w", code=0)
    found = operations(read(tmp_path), body)
    kinds = [type(one) for one in found]
    assert kinds == [
        Sent,
        Sent,
        Sent,
        WatcherPosition,
        Acknowledged,
        Declared,
        ShownEvent,
        ShownState,
        ToldGap,
        Closed,
    ]
    assert [one.body for one in found if isinstance(one, Sent)] == BODIES
    assert isinstance(found[-1], Closed)
    assert (found[-1].by, found[-1].code, found[-1].reason) == ("w", 3001, "shutdown")


def test_a_history_of_something_else_is_refused(tmp_path: Path) -> None:
    with Recorder(tmp_path / "a.jsonl", "a") as edge:
        edge.note(
            "invoke", "observe", camera="cam", session="s1", seq=1, last=2, sha=digest([b"other"])
        )
    with pytest.raises(StartError, match="does not fit"):
        operations(read(tmp_path), body)
    (tmp_path / "c.jsonl").write_bytes(b'{"t_mono_ns":1\n')
    with pytest.raises(StartError, match="no record"):
        read(tmp_path)
