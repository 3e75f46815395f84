"""The small parts of the core, each by itself."""

from datetime import UTC, datetime

import msgspec
import pytest

from actors.core import severity
from actors.core.boxes import fault, shown
from actors.core.camera import decoding
from actors.core.camera.clocks import FrameRate, OffsetEstimate, StreamClock
from actors.core.camera.credits import MIN_WINDOW, CreditLine, window
from actors.core.camera.decoding import Unusable
from actors.core.messages.event_data import AlarmData
from actors.core.messages.observations import Alarm, Observation
from actors.core.scene.compiled import changed
from actors.core.settings import CameraSettings
from actors.core.severity import Severity


def test_the_window_shares_the_process_and_shrinks_under_pressure() -> None:
    settings = CameraSettings(mailbox_items=2048, process_items=16_384)
    assert window(settings) == 2048
    assert window(settings, 64) == 256
    assert window(settings, commit_latency_s=1.0) == 1024
    assert window(settings, loop_lag_s=0.4) == 512
    assert window(settings, loop_lag_s=60.0) == MIN_WINDOW
    assert window(settings, 16_384, loop_lag_s=60.0) == 1


def test_the_windows_of_all_cameras_fit_into_the_process() -> None:
    settings = CameraSettings(mailbox_items=2048, process_items=16_384)
    for cameras in (1, 3, 16, 1000):
        assert cameras * window(settings, cameras) <= settings.process_items


def test_credit_counts_from_the_ack() -> None:
    credit = CreditLine(10, 100)
    assert credit.limit == 10
    assert credit.grant(10) == 100
    assert credit.grant(50) == 100
    credit.window = 20
    assert credit.grant(60) == 90


def test_credits_are_the_free_space() -> None:
    credit = CreditLine(0, 100)
    assert credit.grant(0) == 100
    sent = 70
    assert credit.grant(0) - sent == 30  # 70 are in the process, 30 more fit
    assert credit.grant(70) == 100


def test_stream_time_never_steps_back() -> None:
    clock = StreamClock()
    assert clock.advance(10_000_000) == 0
    assert clock.advance(9_000_000) == 0
    assert clock.now_us == 10_000_000
    assert clock.advance(5_000_000) == -5_000_000
    assert clock.advance(5_100_000) == 0
    assert clock.now_us == 10_100_000


def test_the_offset_is_the_lower_envelope_of_minutes() -> None:
    estimate = OffsetEstimate()
    assert estimate.quality() == "unknown"
    for second in range(600):
        estimate.sample(second * 1_000_000 + 120_000 + (second % 7) * 50_000, second * 1_000_000)
    assert estimate.offset_us() == 120_000
    assert estimate.quality() == "good"
    for second in range(600, 1200):
        estimate.sample(second * 1_000_000 + 3_600_000_000, second * 1_000_000)
    assert estimate.offset_us() == 3_600_000_000
    assert estimate.quality() == "unusable"


@pytest.mark.parametrize(
    ("late_us", "quality"),
    [(249_999, "good"), (-1_000_000, "fair"), (2_000_000, "bad"), (300_000_000, "unusable")],
)
def test_offset_quality(late_us: int, quality: str) -> None:
    estimate = OffsetEstimate()
    estimate.sample(1_000_000_000 + late_us, 1_000_000_000)
    assert estimate.quality() == quality


def test_the_frame_rate_follows_capture_time() -> None:
    rate = FrameRate()
    assert rate.fps() == 0.0
    for index in range(50):
        rate.frame(1_000_000 + index * 40_000)
    assert rate.fps() == 25.0


@pytest.mark.parametrize(
    ("raw", "form", "code"),
    [
        (b"\xc1", "msgpack", "bad_input"),
        (b"{", "json", "bad_input"),
        (b'{"time":"2026-03-01T12:00:00"}', "json", "bad_input"),
        (
            b'{"time":"2026-03-01T12:00:00Z","objects":[{"label":"\xff","box":[0,0,1,1]}]}',
            "json",
            "bad_input",
        ),
        (b"[" * 5000, "json", "bad_input"),
        (b"{}", "cbor", "bad_input"),
    ],
)
def test_items_that_do_not_decode(raw: bytes, form: str, code: str) -> None:
    with pytest.raises(Unusable) as caught:
        decoding.decode(raw, form)
    assert caught.value.code == code


def test_numbers_that_are_none_cost_their_object() -> None:
    seen = {
        "time": datetime(2026, 1, 1, tzinfo=UTC),
        "objects": [{"label": "a", "box": [float("nan"), 0.0, 1.0, 1.0]}],
    }
    found, faults = decoding.decode(msgspec.msgpack.encode(seen), "msgpack")
    assert (found.objects, faults) == ([], {"box_not_finite": 1})


def test_capture_times_outside_the_epoch_are_refused() -> None:
    for year in (1969, 2300):
        with pytest.raises(Unusable, match="outside"):
            decoding.require_time(Observation(datetime(year, 1, 1, tzinfo=UTC)))


def test_alarms_that_cannot_be_stored_are_refused() -> None:
    for alarm in (
        Alarm("a", text="nul \x00"),
        Alarm("a", data={"k": "x" * 20_000}),
        Alarm("a", data={"k": {(1, 2): 3}}),
    ):
        with pytest.raises(Unusable) as caught:
            decoding.alarm_data(alarm)
        assert caught.value.code == "bad_alarm"
    assert decoding.alarm_data(Alarm("a")) == AlarmData()


def test_severity_by_type_and_place() -> None:
    rules: dict[str, Severity] = {"zone.entered": "warning", "zone.entered/vault": "critical"}
    assert severity.of("zone.entered", "vault", rules) == "critical"
    assert severity.of("zone.entered", "door", rules) == "warning"
    assert severity.of("zone.exited", "door", rules) == "info"
    assert severity.of("stream.integrity", None, {}) == "critical"
    assert severity.highest("notice", "critical", "info") == "critical"


def test_changes_between_scenes() -> None:
    assert changed({"a": "1", "b": "2"}, {"b": "3", "c": "4"}) == {
        "added": ["c"],
        "removed": ["a"],
        "changed": ["b"],
    }
    assert changed({"a": "1"}, {"a": "1"}) == {}


def test_clipping() -> None:
    assert (fault((-0.02, 0.1, 0.5, 1.02)), shown((-0.02, 0.1, 0.5, 1.02))) == (
        "clipped",
        (0.0, 0.1, 0.5, 1.0),
    )
    assert fault((-0.04, 0.1, -0.01, 0.5)) == "box_outside"
    assert fault((0.0, 0.0, 1.0, 1.0)) is None
