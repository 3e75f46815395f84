"""Channel names, close codes, origins, frames, timers: the small tables."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import Forbidden, NotFound, Unauthorized, Unavailable
from actors.core.settings import ChannelsSettings
from hub.access import client_address
from hub.dashboards.timed.timer_wheel import Wheel
from hub.protocol import channels, disconnects, errors, frames
from hub.protocol.disconnects import reconnects, resubscribes


@pytest.mark.parametrize(
    ("name", "lane", "scope", "target"),
    [
        ("camera:cam-1", "live", "camera", "cam-1"),
        ("site:north", "wall", "site", "north"),
        ("fleet", "wall", "fleet", ""),
        ("events:camera:cam-1", "events", "camera", "cam-1"),
        ("events:site:north", "events", "site", "north"),
        ("events:fleet", "events", "fleet", ""),
        ("#ada", "personal", "user", "ada"),
    ],
)
def test_channels(name: str, lane: str, scope: str, target: str) -> None:
    channel = channels.parse(name)
    assert (channel.name, channel.lane, channel.scope, channel.target) == (
        name,
        lane,
        scope,
        target,
    )


@pytest.mark.parametrize(
    "name",
    [
        "",
        "camera",
        "camera:",
        "camera:A",
        "camera:a\n",
        "camera:*",
        "site:[a]",
        "cameras:a",
        "events",
        "events:a",
        "events:camera:",
        "#",
        "fleet:",
        "camera:a b",
        "x" * 256,
    ],
)
def test_names_that_are_no_channel(name: str) -> None:
    with pytest.raises(NotFound):
        channels.parse(name)


def test_the_number_of_a_code_carries_the_rule() -> None:
    closes = [
        value for value in vars(disconnects).values() if isinstance(value, disconnects.CloseCode)
    ]
    assert len({close.code for close in closes}) == len(closes)
    assert all(0 < len(close.reason.encode()) <= disconnects.MAX_REASON_BYTES for close in closes)
    assert [
        code
        for code in (1000, 1009, 3008, 3499, 3500, 3999, 4000, 4499, 4500, 4999, 5000)
        if not reconnects(code)
    ] == [
        1009,
        3500,
        3999,
        4500,
        4999,
    ]
    assert disconnects.SLOW.reconnects
    assert not disconnects.INVALID_TOKEN.reconnects
    assert (resubscribes(2000), resubscribes(2500)) == (False, True)


def test_errors_of_the_family_have_a_reply() -> None:
    assert errors.of(Forbidden("x")).code == 103
    assert errors.of(NotFound("x")).code == 102
    assert errors.of(Unauthorized("x")).code == 101
    assert errors.of(Unavailable("x")).temporary


def test_the_default_origins_are_the_console_itself() -> None:
    assert client_address.default_origins("127.0.0.1", 8000) == {
        "http://127.0.0.1:8000",
        "http://localhost:8000",
        "http://[::1]:8000",
    }
    assert client_address.default_origins("10.0.0.5", 80) == {"http://10.0.0.5"}
    assert client_address.default_origins("fd00::1", 8000) == {"http://[fd00::1]:8000"}


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ([], True),
        (["http://127.0.0.1:8000"], True),
        (["HTTP://LOCALHOST:8000"], True),
        (["null"], False),
        ([""], False),
        (["https://127.0.0.1:8000"], False),
        (["http://127.0.0.1"], False),
        (["http://127.0.0.1:80001"], False),
        (["http://127.0.0.1:8000.evil.example"], False),
        (["http://evil.example/http://127.0.0.1:8000"], False),
        (["http://127.0.0.1:8000/"], False),
        (["http://127.0.0.1:8000", "http://127.0.0.1:8000"], False),
    ],
)
def test_origins_match_exactly(given: list[str], allowed: bool) -> None:
    assert (
        client_address.allowed(given, client_address.default_origins("127.0.0.1", 8000)) is allowed
    )


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_a_frame_carries_its_length_in_the_shortest_form(size: int) -> None:
    frame = frames.frame(frames.TEXT, b"x" * size)
    if size < 126:
        assert frame[:2] == bytes((0x81, size))
    elif size < 65_536:
        assert frame[:4] == struct.pack("!BBH", 0x81, 126, size)
    else:
        assert frame[:10] == struct.pack("!BBQ", 0x81, 127, size)
    assert frame.endswith(b"x" * size)


def test_a_close_frame_is_a_control_frame() -> None:
    assert frames.close(3001, "shutdown") == b"\x88\x0a\x0b\xb9shutdown"
    assert len(frames.close(3001, "ü" * 100)) <= 2 + 125


@given(
    st.lists(st.floats(0, 100), max_size=50), st.lists(st.floats(0, 30), min_size=1, max_size=20)
)
def test_the_wheel_hands_everything_out_once_and_not_too_early(
    deadlines: list[float], steps: list[float]
) -> None:
    wheel: Wheel[float] = Wheel(0.0)
    for deadline in deadlines:
        wheel.add(deadline, deadline)
    wheel.add(float("inf"), -1.0)
    now, seen = 0.0, []
    for step in [*steps, 200.0]:
        now += step
        due = wheel.advance(now)
        assert all(deadline <= now for deadline in due)
        seen += due
    assert sorted(seen) == sorted(deadlines)


def test_what_a_deployment_switches_off_is_off() -> None:
    found = channels.parser(
        ChannelsSettings(
            closed=["fleet", "events:site"],
            without_history=["events:camera"],
            without_recovery=["camera"],
        )
    )
    for closed in ("fleet", "events:site:north"):
        with pytest.raises(NotFound):
            found(closed)
    assert not found("events:camera:cam-1").namespace.history
    assert found("events:camera:cam-1").namespace.recover
    assert not found("camera:cam-1").namespace.recover
    assert found("site:north") == channels.parse("site:north")
    assert channels.parser(ChannelsSettings()) is channels.parse
