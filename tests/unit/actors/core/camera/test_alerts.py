"""Alert rules of a scene, seen through the core's entrance: raised, counted, cleared, and the same
after a crash."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from actors.core.camera import core
from actors.core.camera.alerts import MAX_POINTS, TELL_US, Alerts
from actors.core.camera.core import Configure
from actors.core.messages.event_data import TYPES
from actors.core.messages.observations import Alarm
from actors.core.scene.alert_checks import alert_problem
from actors.core.scene.alert_rules import (
    EVENT_TYPES,
    AlertHours,
    AlertRule,
    CompiledHours,
    Condition,
    HoursWindow,
    Occupancy,
)
from actors.core.scene.checks import problems
from actors.core.scene.scene import Scene, Zone
from actors.core.times import to_us
from tests.support.load.cores import START_US, Shell, at, frame, person

EVERYWHERE = Zone([(0.0, 0.0), (0.8, 0.0), (0.8, 1.0), (0.0, 1.0)], exit_ms=0, exit_frames=1)
FORCED = AlertRule([Condition(events=["alarm.door"])], severity="critical", clear_after_s=60.0)
CROWD = AlertRule([Condition(occupancy=[Occupancy("all", over=1, for_s=2.0)])], clear_after_s=0.0)


def opened(**alerts: AlertRule) -> Shell:
    shell = Shell(Scene(zones={"all": EVERYWHERE}, min_hits=1, alerts=alerts))
    shell.hello()
    return shell


def alarmed(seconds: float, kind: str = "door", **said: Any) -> bytes:
    return frame(seconds, alarm=Alarm(kind, **{"severity": "warning", **said}))


def told(shell: Shell, kind: str) -> list[dict[str, Any]]:
    return [stored.event.data for stored in shell.of(f"alert.{kind}")]


def shown(shell: Shell) -> dict[str, Any]:
    found = core.live_state(shell.core, 1, START_US)
    assert found is not None
    summary: dict[str, Any] = msgspec.json.decode(found[1])
    return summary


def test_an_alarm_raises_its_alert_once_and_is_counted_after_that() -> None:
    shell = opened(forced=FORCED)
    shell.walk([alarmed(0), alarmed(1), alarmed(2)])
    (raised,) = told(shell, "raised")
    cause = shell.of("alarm.door")[0].event.id
    assert (raised["rule"], raised["occurrence"], raised["cause"]) == ("forced", 1, cause)
    assert shell.of("alert.raised")[0].event.severity == "critical"
    (view,) = shown(shell)["alerts"]
    assert (view["rule"], view["severity"], view["occurrence"]) == ("forced", "critical", 3)
    assert told(shell, "changed") == []


def test_a_thousand_alarms_in_ten_milliseconds_are_one_alert_and_a_thousand_occurrences() -> None:
    shell = opened(forced=FORCED)
    shell.walk([alarmed(number / 100_000) for number in range(1_000)], batch=100)
    assert len(told(shell, "raised")) == 1
    assert told(shell, "changed") == []
    assert shown(shell)["alerts"][0]["occurrence"] == 1_000
    shell.walk([frame(TELL_US / 1e6 + 1)], first_seq=1_001)
    assert [one["occurrence"] for one in told(shell, "changed")] == [1_000]


def test_it_stays_on_the_tile_until_it_is_over_whatever_happens_meanwhile() -> None:
    shell = opened(forced=FORCED)
    shell.walk([alarmed(0), *(frame(s, person("a", 0.5, 0.5)) for s in range(1, 50))])
    summary = shown(shell)
    assert summary["severity"] == "critical"
    assert summary["last_event"]["type"] != "alarm.door"
    shell.walk([frame(60.5), frame(95.0)], first_seq=51)
    (cleared,) = told(shell, "cleared")
    assert (cleared["reason"], cleared["occurrence"]) == ("quiet", 1)
    assert "alerts" not in shown(shell)
    assert shown(shell)["severity"] == "info"


def test_what_comes_again_is_the_next_occurrence() -> None:
    shell = opened(forced=FORCED)
    shell.walk([alarmed(0), frame(61), alarmed(100)])
    assert [one["occurrence"] for one in told(shell, "raised")] == [1, 2]


def test_while_the_camera_sees_nothing_nothing_is_cleared() -> None:
    shell = opened(forced=FORCED)
    shell.walk([alarmed(0)])
    shell.tick(3_600.0)
    assert shell.core.status == "offline"
    assert told(shell, "cleared") == []
    assert shown(shell)["alerts"][0]["rule"] == "forced"


def test_only_by_hand_or_by_the_event_that_is_named() -> None:
    rules = {
        "by-event": AlertRule(
            [Condition(events=["alarm.door"])], clear_after_s="never", clear_on=["alarm.closed"]
        ),
        "by-hand": AlertRule([Condition(events=["alarm.door"])], clear_after_s="never"),
    }
    shell = opened(**rules)
    shell.walk([alarmed(0), frame(90_000.0)])
    assert told(shell, "cleared") == []
    shell.walk([alarmed(90_001.0, "closed")], first_seq=3)
    assert [(one["rule"], one["reason"]) for one in told(shell, "cleared")] == [
        ("by-event", "alarm.closed")
    ]


def test_a_person_may_say_that_it_is_over() -> None:
    shell = opened(forced=msgspec.structs.replace(FORCED, clear_after_s="never"))
    shell.walk([alarmed(0)])
    shell.step(core.ClearAlert("other"), core.ClearAlert("forced", "door"))
    assert told(shell, "cleared") == []
    shell.step(core.ClearAlert("forced"))
    shell.step(core.ClearAlert("forced"))
    assert [one["reason"] for one in told(shell, "cleared")] == ["by_hand"]
    shell.walk([alarmed(1)], first_seq=2)
    assert [one["occurrence"] for one in told(shell, "raised")] == [1, 2]


def test_a_crowd_must_last_and_is_over_when_it_is_gone() -> None:
    shell = opened(crowd=CROWD)
    two = [person("a", 0.3, 0.5), person("b", 0.7, 0.5)]
    shell.walk([frame(s / 10, *two) for s in range(15)])
    assert told(shell, "raised") == []
    shell.walk([frame(1.5 + s / 10, *two) for s in range(15)], first_seq=16)
    (raised,) = shell.of("alert.raised")
    assert (raised.event.zone, raised.event.data["place"]) == ("all", "all")
    shell.walk([frame(3.0 + s / 10, two[0]) for s in range(100)], first_seq=31)
    assert [one["reason"] for one in told(shell, "cleared")] == ["quiet"]


def test_a_crowd_that_comes_and_goes_is_none() -> None:
    shell = opened(crowd=CROWD)
    inside, outside = person("b", 0.7, 0.5), person("b", 0.9, 0.5)
    for s in range(120):
        other = inside if (s // 15) % 2 == 0 else outside
        shell.walk([frame(s / 10, person("a", 0.3, 0.5), other)], first_seq=s + 1)
    assert len(shell.of("zone.entered")) > 4
    assert told(shell, "raised") == []


def test_places_have_alerts_of_their_own() -> None:
    left = Zone([(0.0, 0.0), (0.4, 0.0), (0.4, 1.0), (0.0, 1.0)])
    right = Zone([(0.6, 0.0), (1.0, 0.0), (1.0, 1.0), (0.6, 1.0)])
    rule = AlertRule([Condition(events=["zone.entered"], zones=["left", "right"])])
    shell = Shell(Scene(zones={"left": left, "right": right}, min_hits=1, alerts={"in": rule}))
    shell.hello()
    two = [person("a", 0.2, 0.5), person("b", 0.8, 0.5)]
    shell.walk([frame(s / 10, *two) for s in range(10)])
    assert sorted(one["place"] for one in told(shell, "raised")) == ["left", "right"]


def test_a_rule_looks_only_in_its_hours_by_the_wall_clock_of_its_zone() -> None:
    # 12:00 UTC on Sunday 1 March 2026 is 13:00 in Berlin
    during = AlertHours("Europe/Berlin", [HoursWindow("13:00", "13:01", days=["sun"])])
    shell = opened(forced=msgspec.structs.replace(FORCED, during=during, clear_after_s=1.0))
    shell.walk([alarmed(0), frame(2), alarmed(59.9), frame(61.0), alarmed(62.0)])
    assert [one["occurrence"] for one in told(shell, "raised")] == [1, 2]


@pytest.mark.parametrize(
    ("day", "inside"), [("2026-03-29T00:59:59", True), ("2026-03-29T01:00:00", False)]
)
def test_summer_time_moves_a_window_with_the_wall_clock(day: str, inside: bool) -> None:
    """01:00 UTC is when 02:00 becomes 03:00 there: a window up to 02:30 ends with the jump."""
    schedule = CompiledHours(
        AlertHours("Europe/Berlin", [HoursWindow("22:00", "02:30", days=["sat"])])
    )
    assert schedule.holds(to_us(datetime.fromisoformat(day).replace(tzinfo=UTC))) is inside


def test_a_rule_that_is_taken_away_takes_its_alert_along() -> None:
    shell = opened(forced=FORCED, other=FORCED)
    shell.walk([alarmed(0)])
    shell.step(Configure(Scene(zones={"all": EVERYWHERE}, alerts={"other": FORCED}), 2))
    assert [(one["rule"], one["reason"]) for one in told(shell, "cleared")] == [
        ("forced", "rule_removed")
    ]
    assert [one["rule"] for one in shown(shell)["alerts"]] == ["other"]


def test_a_crash_changes_no_alert() -> None:
    frames = [alarmed(s) if s % 7 == 0 else frame(s) for s in range(200)]
    undisturbed, crashing = opened(forced=FORCED), opened(forced=FORCED)
    undisturbed.walk(frames)
    for seq, one in enumerate(frames, 1):
        crashing.send(seq, one, link=f"h/{seq}")
        crashing.restart()
        crashing.hello(link=f"h/{seq + 1}")
    for kind in ("raised", "changed", "cleared"):
        assert told(crashing, kind) == told(undisturbed, kind)


def test_a_scene_without_rules_watches_nothing() -> None:
    shell = opened()
    assert shell.core.journal.watch is None


def test_points_are_bounded() -> None:
    """The last place of all that fits; what comes after it raises nothing."""
    rule = AlertRule([Condition(events=["zone.entered"])])
    zones = {f"z{number}": EVERYWHERE for number in range(64)}
    scene = Scene(zones=zones, min_hits=1, alerts={f"r{number}": rule for number in range(5)})
    shell = Shell(scene)
    shell.hello()
    shell.walk([frame(s / 10, person("a", 0.5, 0.5)) for s in range(10)])
    assert len(told(shell, "raised")) == MAX_POINTS < 5 * 64
    assert isinstance(shell.core.alerts, Alerts)


def test_times_are_of_the_capture() -> None:
    shell = opened(forced=FORCED)
    shell.walk([frame(5), alarmed(7.5)])
    (raised,) = told(shell, "raised")
    assert raised["since"] == f"{at(7.5):%Y-%m-%dT%H:%M:%S.%fZ}"


def test_a_rule_may_look_at_every_type_of_event_but_those_of_alerts() -> None:
    assert {kind for kind in TYPES if not kind.startswith("alert.")} == EVENT_TYPES


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (AlertRule([Condition()]), "condition 1 names neither events nor occupancy"),
        (AlertRule([Condition(events=["door.open"])]), "no type of event: 'door.open'"),
        (AlertRule([Condition(events=["alert.raised"])]), "looks at alerts"),
        (AlertRule([Condition(events=["zone.entered"], zones=["x"])]), "no zone of this scene"),
        (AlertRule([Condition(events=["line.crossed"], lines=["x"])]), "no line of this scene"),
        (AlertRule([Condition(occupancy=[Occupancy("x")])]), "no zone of this scene"),
        (AlertRule([Condition(labels=["car"], occupancy=[Occupancy("all")])]), "belong to events"),
        (msgspec.structs.replace(FORCED, clear_on=["no"]), "clear_on names no type"),
        (
            msgspec.structs.replace(
                FORCED, during=AlertHours("Mars/Base", [HoursWindow("1", "2")])
            ),
            "no time zone: 'Mars/Base'",
        ),
        (
            msgspec.structs.replace(
                FORCED, during=AlertHours("UTC", [HoursWindow("10:00", "10:00")])
            ),
            "ends when it begins",
        ),
    ],
)
def test_a_rule_that_nothing_can_meet_is_refused_with_the_reason(rule: AlertRule, why: str) -> None:
    assert why in (alert_problem(rule, {"all"}, {"gate"}) or "nothing is wrong")
    assert alert_problem(FORCED, {"all"}, {"gate"}) is None


def test_an_alert_stays_until_the_last_of_those_who_raise_it_has_left() -> None:
    rule = AlertRule(
        [Condition(events=["zone.entered"], labels=["person"])],
        clear_after_s="never",
        clear_on=["zone.exited"],
    )
    shell = opened(intruder=rule)
    away = {"a": 1.0, "car": 1.2, "b": 3.0}  # when they leave, in seconds
    shell.walk(
        [
            frame(
                i / 10,
                *(
                    person(
                        key, 0.5 if i < 10 * left else 0.95, 0.5, label=key.strip("ab") or "person"
                    )
                    for key, left in away.items()
                ),
            )
            for i in range(50)
        ]
    )
    exits = shell.of("zone.exited")
    assert [one.event.track for one in exits] == ["a", "car", "b"]
    (cleared,) = shell.of("alert.cleared")
    assert cleared.event.offset > exits[-1].event.offset


def test_any_alarm_may_end_an_alert() -> None:
    rule = msgspec.structs.replace(FORCED, clear_after_s="never", clear_on=["alarm.*"])
    shell = opened(forced=rule)
    shell.walk([alarmed(0), alarmed(1, "closed")])
    assert [one["reason"] for one in told(shell, "cleared")] == ["alarm.closed"]


def test_a_camera_without_frames_waits_for_none_of_their_time() -> None:
    ends = msgspec.structs.replace(FORCED, clear_on=["alarm.closed"])
    by_hand = msgspec.structs.replace(FORCED, clear_after_s="never")
    assert problems(Scene(event_only=True, alerts={"door": ends, "other": by_hand})) == []
    (why,) = problems(Scene(event_only=True, alerts={"door": FORCED}))
    assert "alert door: waits for the time of frames" in why
