"""Frigate's messages as observations: one frame of a camera is what Frigate holds open on it."""

import contextlib
import tomllib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.messages.observations import Object, Observation
from actors.core.times import to_us
from cluster.registry_file import RegistryFile
from edge.adapters.readings import RefusedInput
from edge.sources.frigate.config import proposal
from edge.sources.frigate.mapping import FrigateMapping, FrigateOptions
from edge.sources.frigate.messages import read_config, zone_points
from edge.sources.receipts import Given, Memory, Presence, Receipt
from tests.support.servers.frigate import START, Step, config, event, review, walk

RECEIVED_US = 1_790_000_500_000_000


class Frigate:
    """A mapping that is talked to by topic, with one memory over restarts."""

    def __init__(self, *cameras: str, settle_s: float = 0.0) -> None:
        self.memory = Memory()
        self.options = FrigateOptions(settle_s=settle_s)
        self.mapping = FrigateMapping(self.options, self.memory)
        self.mapping.configured(read_config(msgspec.json.encode(config(*(cameras or ("yard",))))))

    def hear(self, step: Step, **more: Any) -> list[Observation]:
        said = self.mapping.receive(Receipt(f"frigate/{step[0]}", step[1], RECEIVED_US, **more))
        return [one.observation for one in said if isinstance(one, Given)]

    def presences(self, topic: str, word: bytes) -> list[Presence]:
        said = self.mapping.receive(Receipt(f"frigate/{topic}", word, RECEIVED_US, retained=True))
        return [one for one in said if isinstance(one, Presence)]

    def restart(self) -> None:
        """All that is left is what a journal keeps."""
        kept = msgspec.msgpack.decode(msgspec.msgpack.encode(self.memory.kept))
        self.memory = Memory(kept)
        self.mapping = FrigateMapping(self.options, self.memory)


def ids(seen: Observation) -> set[str | None]:
    return {found.id for found in seen.objects or []}


def seconds(seen: Observation) -> float:
    return to_us(seen.time) / 1_000_000 - START


def test_an_object_is_in_every_frame_until_its_end() -> None:
    frigate = Frigate()
    (first,) = frigate.hear(event("new", "1-a", x=0.5, y=0.5))
    assert first.objects == [Object("person", (0.45, 0.2, 0.55, 0.5), 0.8, "1-a")]
    (second,) = frigate.hear(event("new", "2-b", at=1.0, label="car"))
    assert ids(second) == {"1-a", "2-b"}
    (third,) = frigate.hear(event("end", "1-a", at=3.0))
    assert ids(third) == {"2-b"}
    assert [seconds(seen) for seen in (first, second, third)] == [0.0, 1.0, 3.0]


def test_cameras_do_not_mix() -> None:
    frigate = Frigate("yard", "gate")
    frigate.hear(event("new", "1-a"))
    (seen,) = frigate.hear(event("new", "2-b", camera="gate"))
    assert ids(seen) == {"2-b"}


def test_what_comes_again_gives_nothing() -> None:
    frigate = Frigate()
    steps = [*walk("1-a", steps=5), review("new", "3-r", "alert"), review("end", "3-r", "alert")]
    for step in steps:
        frigate.hear(step)
        assert frigate.hear(step, again=True) == []
    for step in steps:
        assert frigate.hear(step, again=True) == []


def test_what_comes_again_in_a_row_is_no_clock_that_was_set() -> None:
    frigate = Frigate()
    steps = walk("1-a", steps=60)[:-1]
    for step in steps:
        frigate.hear(step)
    assert [frigate.hear(step, again=True) for step in steps[2:]] == [[]] * 58


def test_a_restart_between_any_two_messages_changes_nothing() -> None:
    steps = [
        *walk("1-a", steps=6),
        review("new", "3-r", "detection"),
        review("update", "3-r", "alert"),
        *walk("2-b", at=9.0, steps=6),
    ]
    undisturbed, restarted = Frigate(), Frigate()
    for step in steps:
        wanted = undisturbed.hear(step)
        assert restarted.hear(step) == wanted
        restarted.restart()


def test_times_never_go_back_and_a_late_message_gives_nothing() -> None:
    frigate = Frigate()
    frigate.hear(event("new", "1-a", at=0.0))
    frigate.hear(event("new", "2-b", at=5.0))
    (seen,) = frigate.hear(event("update", "1-a", at=4.0))
    assert seconds(seen) == 5.0
    assert frigate.hear(event("update", "1-a", at=2.0)) == []
    assert frigate.mapping.counts["late"] == 1


def test_a_clock_that_was_set_back_is_followed() -> None:
    frigate = Frigate()
    frigate.hear(event("new", "1-a", at=4_000.0))
    said = [frigate.hear(event("update", "1-a", at=400.0 + at)) for at in range(4)]
    assert [len(one) for one in said] == [0, 0, 1, 1]
    assert seconds(said[3][0]) == 403.0


def test_an_object_that_ended_does_not_come_back() -> None:
    frigate = Frigate()
    frigate.hear(event("new", "1-a"))
    frigate.hear(event("end", "1-a", at=1.0))
    assert frigate.hear(event("update", "1-a", at=0.5)) == []
    frigate.restart()
    assert frigate.hear(event("update", "1-a", at=2.0)) == []


def test_an_object_whose_end_was_lost_goes_when_nothing_is_heard_of_it() -> None:
    frigate = Frigate("yard", "gate")
    frigate.hear(event("new", "1-a", at=0.0))
    for at in range(0, 125, 5):
        said = frigate.hear(event("update", "2-b", camera="gate", at=float(at), x=at / 200))
        assert len(said) == 1
    said = frigate.hear(event("update", "2-b", camera="gate", at=131.0))
    assert [ids(seen) for seen in said] == [set(), {"2-b"}]


def test_a_hole_in_what_was_heard_takes_nobody_away() -> None:
    frigate = Frigate()
    frigate.hear(event("new", "1-a", at=0.0))
    (seen,) = frigate.hear(event("new", "2-b", at=3_600.0))
    assert ids(seen) == {"1-a", "2-b"}


def test_a_count_of_zero_lets_go_what_was_held() -> None:
    frigate = Frigate()
    frigate.hear(event("new", "1-a"))
    frigate.hear(event("new", "2-b", label="car"))
    (seen,) = frigate.hear(("yard/person", b"0"))
    assert ids(seen) == {"2-b"}
    assert frigate.hear(("yard/car", b"0"), retained=True) == []
    assert frigate.hear(("yard/car", b"1")) == []


def test_frames_are_said_once_more_when_they_have_settled() -> None:
    frigate = Frigate(settle_s=6.0)
    frigate.hear(event("new", "1-a", at=0.0))
    frigate.hear(event("end", "1-a", at=2.0))
    due_us = frigate.mapping.due_us()
    assert due_us == RECEIVED_US + 6_000_000
    assert frigate.mapping.due(due_us - 1) == []
    (said,) = frigate.mapping.due(due_us)
    assert isinstance(said, Given)
    assert (said.observation.objects, seconds(said.observation)) == ([], 8.0)
    assert frigate.mapping.due(due_us) == []
    assert frigate.mapping.due_us() is None


def test_what_is_learned_later_stays_with_the_object() -> None:
    frigate = Frigate()
    frigate.hear(event("new", "1-a"))

    def update(**said: Any) -> list[Observation]:
        return frigate.hear(("tracked_object_update", msgspec.json.encode({"id": "1-a", **said})))

    update(type="face", name="Ada", score=0.9, camera="yard", timestamp=START)
    update(type="lpr", name=None, plate="AB 12", score=0.7, camera="yard", timestamp=START)
    update(type="classification", model="helmet", attribute="yes", score=0.8)
    (seen,) = update(type="description", description="Somebody with a ladder.")
    (found,) = seen.objects or []
    assert found.sub_label == "Ada"
    assert found.attributes == {
        "sub_label_score": 0.9,
        "license_plate": "AB 12",
        "license_plate_score": 0.7,
        "helmet": "yes",
        "description": "Somebody with a ladder.",
    }
    (later,) = frigate.hear(event("update", "1-a", at=2.0))
    assert (later.objects or [])[0].attributes == found.attributes
    frigate.hear(event("end", "1-a", at=3.0))
    assert update(type="face", name="Bob", score=0.9) == []
    assert frigate.mapping.counts["unknown_object"] == 1


def test_sub_label_plate_zones_and_speed_of_an_event() -> None:
    frigate = Frigate()
    (seen,) = frigate.hear(
        event(
            "new",
            "1-a",
            label="car",
            sub_label=["Post", 0.75],
            recognized_license_plate="XY 99",
            recognized_license_plate_score=0.9,
            current_zones=["Middle", "Drive"],
            current_estimated_speed=36.0,
        )
    )
    (found,) = seen.objects or []
    assert found.sub_label == "Post"
    assert found.attributes == {
        "sub_label_score": 0.75,
        "license_plate": "XY 99",
        "license_plate_score": 0.9,
        "source_zones": "Middle,Drive",
        "estimated_speed_mps": 10.0,
    }


def test_reviews_are_alarms_once_each() -> None:
    frigate = Frigate()
    said = [
        *frigate.hear(review("new", "3-r", "detection")),
        *frigate.hear(review("update", "3-r", "detection")),
        *frigate.hear(review("update", "3-r", "alert")),
        *frigate.hear(review("end", "3-r", "alert", at=9.0)),
        *frigate.hear(review("update", "3-r", "alert")),
    ]
    alarms = [seen.alarm for seen in said]
    assert [(alarm.type, alarm.severity) for alarm in alarms if alarm] == [
        ("review.started", "notice"),
        ("review.raised", "warning"),
        ("review.ended", "info"),
    ]


def test_presence_follows_the_will_and_each_cameras_detector() -> None:
    frigate = Frigate("yard", "gate")
    assert frigate.presences("available", b"online") == [
        Presence("gate", None),
        Presence("yard", None),
    ]
    assert frigate.presences("available", b"online") == []
    assert frigate.presences("yard/status/detect", b"disabled") == [
        Presence("yard", "detect_disabled")
    ]
    assert frigate.presences("available", b"offline") == [
        Presence("gate", "source_offline"),
        Presence("yard", "source_offline"),
    ]
    frigate.restart()
    assert frigate.mapping.present() == [
        Presence("gate", "source_offline"),
        Presence("yard", "source_offline"),
    ]
    assert frigate.presences("available", b"online") == [
        Presence("gate", None),
        Presence("yard", "detect_disabled"),
    ]


def test_a_clean_stop_ends_what_was_open() -> None:
    frigate = Frigate()
    frigate.hear(event("new", "1-a"))
    (seen,) = frigate.hear(("available", b"stopped"))
    assert seen.objects == []
    assert frigate.hear(event("update", "1-a", at=2.0)) == []


def test_events_that_a_broker_kept_are_left_alone() -> None:
    frigate = Frigate()
    assert frigate.hear(event("new", "1-a"), retained=True) == []
    assert frigate.mapping.counts["retained"] == 1


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (event("new", "1-a", camera="elsewhere"), "no_frame_size"),
        (event("new", "1-a", box=[1, 2, 3]), "malformed"),
        (event("new", "1-a", box=[1, 2, "3", 4]), "malformed"),
        (event("new", "1-a", frame_time=-1.0), "bad_time"),
        (event("new", "1-a", frame_time=1e300), "bad_time"),
        (event("new", "", label="person"), "malformed"),
        (event("new", "1-a", label=""), "malformed"),
        (event("appeared", "1-a"), "unknown_type"),
        (("events", b"{"), "malformed"),
        (("events", b"[" * 100_000), "malformed"),
        (("available", b"\xff"), "malformed"),
    ],
)
def test_what_is_no_message_is_refused_with_its_reason(step: Step, code: str) -> None:
    frigate = Frigate()
    with pytest.raises(RefusedInput) as refused:
        frigate.hear(step)
    assert refused.value.code == code
    assert len(frigate.hear(event("new", "2-b"))) == 1


@given(st.binary(max_size=60), st.sampled_from(["events", "reviews", "tracked_object_update"]))
def test_any_bytes_are_an_observation_or_refused(payload: bytes, topic: str) -> None:
    frigate = Frigate()
    with contextlib.suppress(RefusedInput):
        frigate.hear((topic, payload))
    assert len(frigate.hear(event("new", "1-a"))) == 1


@given(st.permutations(walk("1-a", steps=6)))
def test_in_any_order_times_do_not_go_back(steps: list[Step]) -> None:
    frigate = Frigate()
    times = [seconds(seen) for step in steps for seen in frigate.hear(step)]
    assert times == sorted(times)


def test_the_proposal_can_be_registered() -> None:
    text = proposal(
        read_config(msgspec.json.encode(config("yard", "Front Door"))),
        "home",
        lambda name: {"yard": "yard", "Front Door": "front"}[name],
    )
    found = msgspec.convert(tomllib.loads(text), RegistryFile)
    assert set(found.cameras) == {"yard", "front"}
    scene = found.cameras["front"].scene
    assert not isinstance(scene, msgspec.UnsetType)
    (zone,) = scene.zones.values()
    assert zone.points == [(0.4, 0.4), (0.6, 0.4), (0.6, 0.9), (0.4, 0.9)]
    assert (zone.labels, scene.min_hits, scene.event_only) == (["person"], 1, True)


def test_zones_in_pixels_and_what_is_no_polygon() -> None:
    assert zone_points("0,0,640,0,640,360", (1280, 720)) == [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5)]
    assert zone_points(["0.1,0.1", "0.2,0.1", "0.2,0.2"], None) == [
        (0.1, 0.1),
        (0.2, 0.1),
        (0.2, 0.2),
    ]
    for bad in ("", "0.1,0.2", "a,b,c,d,e,f", "0,0,640,0,640,360"):
        assert zone_points(bad, None) is None
