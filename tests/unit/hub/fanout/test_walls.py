"""A wall's messages: what changed since the last tick, each camera no more often than policy lets
it be seen, and ticks that count time alone."""

import json
from typing import Any

from hub.access.redaction import DEFAULT, View
from hub.fanout.pacing import Pacing
from hub.fanout.walls import WallFeed


class Shown:
    """A wall over summaries that count up."""

    def __init__(self) -> None:
        self.summaries = {"gate": b'{"camera":"gate","n":1}', "yard": b'{"camera":"yard","n":1}'}
        self.echoing: set[str] = set()
        self.wall = WallFeed("north", self.summaries.get, Pacing(), self.echoing)

    def change(self, camera: str, n: int) -> None:
        self.summaries[camera] = b'{"camera":"%s","n":%d}' % (camera.encode(), n)
        self.wall.mark(camera)

    def message(self, cameras: list[str], view: View, now: float) -> dict[str, Any] | None:
        body = self.wall.message(cameras, view, now, full=False)
        return None if body is None else json.loads(body)


def test_a_tick_names_what_changed_in_it_once() -> None:
    shown = Shown()
    assert shown.wall.end_tick(0.0) == []
    for camera in ("yard", "gate", "yard"):
        shown.wall.mark(camera)
    assert shown.wall.end_tick(0.25) == ["yard", "gate"]
    assert shown.wall.end_tick(0.5) == []


def test_ticks_grow_with_time_whatever_was_shown_between() -> None:
    """How many lie between two tells nothing of cameras that somebody may not see."""
    busy, quiet = Shown(), Shown()
    for now in (0.0, 0.25, 0.5, 1.0):
        busy.change("gate", 2)
        busy.wall.end_tick(now)
    quiet.change("yard", 2)
    quiet.wall.end_tick(0.0)
    quiet.change("yard", 3)
    quiet.wall.end_tick(1.0)
    assert busy.wall.tick == quiet.wall.tick == 1001
    quiet.change("yard", 4)
    quiet.wall.end_tick(1.0)
    assert quiet.wall.tick == 1002, "never the same twice"


def test_a_message_leaves_out_what_may_not_be_seen_and_is_none_when_nothing_is_left() -> None:
    shown = Shown()
    view = View(exclude=frozenset({"gate"}))
    message = shown.message(["gate", "yard", "gone"], view, 0.0)
    assert message is not None
    assert [camera["camera"] for camera in message["cameras"]] == ["yard"]
    assert shown.message(["gate"], view, 0.0) is None
    whole = shown.wall.message(["gate"], view, 0.0, full=True)
    assert whole is not None
    assert json.loads(whole)["cameras"] == [], "a whole wall may be empty"


def test_a_camera_under_a_rate_shows_its_newest_when_that_is_due() -> None:
    shown, view = Shown(), View(limit_hz=1.0)
    assert shown.message(["gate"], view, 0.0) is not None
    shown.change("gate", 2)
    shown.wall.end_tick(0.25)
    message = shown.message(["gate"], view, 0.25)
    assert message is not None
    assert message["cameras"][0]["n"] == 1, "what was shown less than a second ago"
    assert shown.wall.end_tick(0.75) == []
    assert shown.wall.end_tick(1.0) == ["gate"], "held back until now"
    message = shown.message(["gate"], view, 1.0)
    assert message is not None
    assert message["cameras"][0]["n"] == 2


def test_hidden_classes_are_looked_for_where_a_summary_echoes_them() -> None:
    shown, view = Shown(), View(redact=("plate",))
    shown.summaries["gate"] = b'{"camera":"gate","echoes":{"AB 12":["plate"]}}'
    shown.echoing.add("gate")
    body = shown.wall.message(["gate"], view, 0.0, full=False)
    plain = shown.wall.message(["gate"], DEFAULT, 0.0, full=False)
    assert body is not None
    assert plain is not None
    assert (b"AB 12" in body, b"AB 12" in plain) == (False, True)
