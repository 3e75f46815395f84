"""What a hub shows of a camera: latest wins, old owners are refused, silence becomes stale."""

import msgspec
import pytest

from actors.core.reasons import ACTOR_LOST, REDIS_LOST, TOLD_BY_ACTORS
from hub.access.redaction import DEFAULT, View
from hub.fanout.live_states import (
    STALE_AFTER_S,
    Lag,
    LiveStates,
    state_without_news,
    without_news,
    without_tracks,
)
from hub.fanout.pacing import Pacing
from hub.fanout.walls import WallFeed
from storage.ports.live import LiveSummary


def state(version: int, status: str = "online") -> bytes:
    return msgspec.json.encode(
        {"camera": "a", "version": version, "status": status, "reason": None, "tracks": [1]}
    )


def shown(body: bytes | None) -> tuple[str, str | None]:
    assert body is not None
    document = msgspec.json.decode(body)
    return document["status"], document["reason"]


def watching(now: float = 0.0) -> LiveStates:
    live = LiveStates()
    live.expect("north", ["a"], now)
    return live


def test_the_latest_generation_and_version_wins() -> None:
    live = watching()
    assert live.take_state("north", "a", 2, 5, state(5), 0)
    assert not live.take_state("north", "a", 2, 5, state(5), 0)
    assert not live.take_state("north", "a", 2, 4, state(4), 0)
    assert not live.take_state("north", "a", 1, 9, state(9), 0)
    assert live.take_state("north", "a", 3, 1, state(1), 0)
    assert live.state("a") == state(1)
    assert not live.take_summary("north", LiveSummary("a", 2, 99, 0, b"{}"), 0)


def test_what_is_not_watched_is_not_kept() -> None:
    live = watching()
    assert not live.take_state("south", "b", 1, 1, state(1), 0)
    live.take_state("north", "a", 1, 1, state(1), 0)
    live.forget_states("a")
    assert live.state("a") is None
    live.forget_site("north")
    assert live.known("a") is None
    assert live.summary("a") is None
    assert list(live.sites()) == []


def test_a_summary_can_be_made_of_a_state() -> None:
    live = watching()
    live.take_state("north", "a", 1, 7, state(7), 0)
    assert live.summary("a") == without_tracks(state(7))
    assert not live.take_summary("north", LiveSummary("a", 1, 7, 0, b"{}"), 0)


def test_a_camera_not_heard_is_stale_until_it_is_heard_again() -> None:
    live = watching()
    live.take_state("north", "a", 1, 1, state(1), 0)
    assert live.sweep(STALE_AFTER_S) == []
    assert live.sweep(STALE_AFTER_S + 0.1) == ["a"]
    assert live.sweep(STALE_AFTER_S + 0.2) == []
    assert shown(live.state("a")) == ("stale", ACTOR_LOST)
    assert shown(live.summary("a")) == ("stale", ACTOR_LOST)
    assert live.take_heartbeat("north", [LiveSummary("a", 1, 1, 0)], 6.0) == ([], ["a"])
    assert shown(live.state("a")) == ("online", None)


def test_redis_lost_is_told_as_such_and_worse_news_stays() -> None:
    live = watching()
    live.take_state("north", "a", 1, 1, state(1), 0)
    live.redis_lost = True
    live.sweep(60)
    assert shown(live.state("a")) == ("stale", REDIS_LOST)
    live.take_state("north", "a", 1, 2, state(2, "offline"), 60)
    assert shown(live.state("a")) == ("offline", None)


def test_a_new_owner_ends_staleness_with_its_first_beat() -> None:
    live = watching()
    live.take_state("north", "a", 1, 5, state(5), 0)
    live.sweep(60)
    _, back = live.take_heartbeat("north", [LiveSummary("a", 2, 0, 0)], 61)
    assert back == ["a"]
    assert live.take_state("north", "a", 2, 1, state(1), 61)


def test_a_lag_is_what_the_heartbeat_before_told_and_has_not_come() -> None:
    live = watching()
    live.take_state("north", "a", 1, 5, state(5), 0)
    live.take_summary("north", LiveSummary("a", 1, 5, 2, b"{}"), 0)
    assert live.take_heartbeat("north", [LiveSummary("a", 1, 8, 3)], 1) == ([], [])
    assert live.take_heartbeat("north", [LiveSummary("a", 1, 9, 3)], 2) == (
        [Lag("a", True, True, 3)],
        [],
    )
    live.take_state("north", "a", 1, 9, state(9), 2)
    assert live.take_heartbeat("north", [LiveSummary("a", 1, 9, 3)], 3)[0] == [
        Lag("a", False, True, 3)
    ]
    assert live.take_heartbeat("north", [LiveSummary("a", 0, 9, 3)], 4) == ([], [])


def test_a_camera_that_never_was_active_says_so() -> None:
    assert shown(without_news("north", "a", seen=False)) == ("offline", "never_seen")
    assert shown(without_news("north", "a", seen=True)) == ("offline", "link_lost")
    assert msgspec.json.decode(state_without_news("north", "a", seen=False))["tracks"] == []


def test_a_wall_joins_ready_bytes() -> None:
    summaries = {"a": b'{"camera":"a"}', "b": b'{"camera":"b"}'}
    wall = WallFeed("north", lambda camera: summaries.get(camera), Pacing())
    assert wall.end_tick(0.0) == []
    wall.mark("b")
    wall.mark("a")
    wall.mark("b")
    assert wall.end_tick(0.0) == ["b", "a"]
    assert wall.message(["b", "a", "gone"], DEFAULT, 0.0, full=False) == (
        b'{"site":"north","tick":1,"full":false,"cameras":[{"camera":"b"},{"camera":"a"}]}'
    )
    assert wall.message(["a"], View(exclude=frozenset({"a"})), 0.0, full=False) is None
    assert (
        WallFeed("", lambda camera: None, Pacing()).message([], DEFAULT, 0.0, full=True)
        == b'{"tick":0,"full":true,"cameras":[]}'
    )


@pytest.mark.parametrize("trouble", sorted(TOLD_BY_ACTORS))
def test_what_its_actor_cannot_do_is_shown_until_it_says_otherwise(trouble: str) -> None:
    live = LiveStates()
    live.expect("north", ["gate"], 0.0)
    live.take_state("north", "gate", 1, 1, b'{"status":"online","tracks":[]}', 0.0)
    told = [LiveSummary("gate", 1, 1, 0, trouble.encode())]
    assert live.take_heartbeat("north", told, 1.0)[1] == ["gate"]
    assert live.take_heartbeat("north", told, 2.0)[1] == []
    for body in (
        live.state("gate"),
        live.summary("gate"),
        live.vouched("gate", b'{"status":"online"}'),
    ):
        found = msgspec.json.decode(body or b"{}")
        assert (found["status"], found["reason"]) == ("stale", trouble)
    assert live.take_heartbeat("north", [LiveSummary("gate", 1, 1, 0)], 3.0)[1] == ["gate"]
    assert msgspec.json.decode(live.state("gate") or b"")["status"] == "online"
    live.take_heartbeat("north", [LiveSummary("gate", 1, 1, 0, b"<script>")], 4.0)
    assert live.state("gate") == b'{"status":"online","tracks":[]}', (
        "only reasons of the list are shown"
    )
