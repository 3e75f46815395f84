"""What a dashboard writes down of what it is shown: every event, states as far as they change, and
that it looked away."""

import json
from pathlib import Path

from load_tests.checker.watchers import DISCONNECTED, UNKNOWN
from load_tests.drivers.dashboard_history import DashboardHistory, fact, summaries
from load_tests.harness.history import ShownEvent, ShownState, ToldGap, WatcherPosition
from load_tests.harness.recording import Recorder, operations, read


def wall(*cameras: dict[str, object]) -> bytes:
    return json.dumps(
        {
            "push": {
                "channel": "site:s",
                "pub": {"data": {"tick": 1, "full": False, "cameras": list(cameras)}},
            }
        }
    ).encode()


def event(offset: int) -> bytes:
    data = {
        "camera": "cam",
        "epoch": "e1",
        "offset": offset,
        "type": "zone.entered",
        "time": "t",
        "data": {},
    }
    return json.dumps(
        {"push": {"channel": "events:site:s", "pub": {"data": data, "offset": 10 + offset}}}
    ).encode()


def test_pushes_are_read_and_other_words_are_none() -> None:
    (one,) = summaries(
        wall(
            {
                "camera": "cam",
                "generation": 2,
                "offset": 5,
                "status": "stale",
                "reason": "x",
                "received": None,
            }
        )
    )
    assert (one.camera, one.generation, one.offset, one.status) == ("cam", 2, 5, "stale")
    assert (
        summaries(b'{"push":{"channel":"site:s","unsubscribe":{"code":2500,"reason":"x"}}}') == ()
    )
    found = fact(event(3))
    assert found is not None
    assert (found.camera, found.offset) == ("cam", 3)
    assert fact(b'{"push":{"channel":"events:site:s","unsubscribe":{"code":2500}}}') is None


def test_a_history_holds_changes_and_beginnings(tmp_path: Path) -> None:
    online = {
        "camera": "cam",
        "generation": 1,
        "offset": 4,
        "status": "online",
        "received": "2026-03-01T12:00:00Z",
    }
    with Recorder(tmp_path / "w.jsonl", "w") as recorder:
        seen = DashboardHistory("w/1", recorder)
        seen.states(summaries(wall(online)))
        seen.states(summaries(wall({**online, "received": "2026-03-01T12:00:01.5Z"})))
        seen.states(summaries(wall({**online, "offset": 5})))
        for offset in (5, 6):
            shown = fact(event(offset))
            assert shown is not None
            seen.event(shown)
        seen.told_gap()
        shown = fact(event(9))
        assert shown is not None
        seen.event(shown)
        seen.lost()
        seen.end()
    found = operations(read(tmp_path), lambda camera, seq: b"")
    kinds = [
        ShownState,
        ShownState,
        WatcherPosition,
        ShownEvent,
        ShownEvent,
        ToldGap,
        WatcherPosition,
        ShownEvent,
        ShownState,
    ]
    assert [type(one) for one in found] == kinds
    assert [one.offset for one in found if isinstance(one, WatcherPosition)] == [4, 8]
    assert [one.last for one in found if isinstance(one, ToldGap)] == [UNKNOWN]
    assert [one.status for one in found if isinstance(one, ShownState)] == [
        "online",
        "online",
        DISCONNECTED,
    ]


def test_a_state_is_noted_anew_also_when_the_clock_went_back(tmp_path: Path) -> None:
    online = {"camera": "cam", "generation": 1, "offset": 4, "status": "online"}
    times = ["12:05:00", "12:05:01", "12:00:01", "12:00:02", "12:00:03"]
    with Recorder(tmp_path / "w.jsonl", "w") as recorder:
        seen = DashboardHistory("w/1", recorder)
        for time in times:
            seen.states(summaries(wall({**online, "received": f"2026-03-01T{time}Z"})))
    found = operations(read(tmp_path), lambda camera, seq: b"")
    noted = [one.received_s % 3600 for one in found if isinstance(one, ShownState)]
    assert noted == [300.0, 1.0, 3.0]
