"""The edge socket's state machine: sessions, credits, bad input, heartbeats."""

import random
from contextlib import nullcontext
from typing import Any

import msgspec
import pytest

from actors.core.camera.decoding import Unusable, decode
from actors.core.errors import Forbidden
from actors.core.messages.deliveries import (
    Acked,
    Alive,
    AskedAgain,
    Attach,
    Data,
    DeclareGap,
    Detach,
    Dismissed,
    Refused,
    Welcomed,
)
from actors.core.messages.edge_protocol import Ack, Bye, Hello, Ping, Pong, Reject, Resync, Welcome
from actors.core.messages.observations import Backlog
from hub.ingest.link import (
    DAMAGED,
    NO_HELLO,
    OVER_CREDIT,
    REWOUND,
    SILENT,
    AuthorizeHello,
    CloseSocket,
    EdgeLink,
    Effect,
    Format,
    Forward,
    RecordUndecodable,
    Send,
)
from hub.ingest.strikes import LIMIT, Strikes

WALL = 1_700_000_000_000_000
TIME = "2026-03-01T12:00:00Z"


def make(form: Format = "json") -> EdgeLink:
    return EdgeLink("hub-0/1", form, now=0.0, first_message_s=5.0)


def frame(link: EdgeLink, **fields: Any) -> bytes:
    return msgspec.json.encode(fields) if link.format == "json" else msgspec.msgpack.encode(fields)


def greet(
    link: EdgeLink,
    camera: str = "cam",
    session: str = "s1",
    resume_from: int = 1,
    credits: int = 10,
) -> list[Effect]:
    asked = link.received(frame(link, type="hello", camera=camera, session=session), 0.0, WALL)
    assert isinstance(asked[0], AuthorizeHello)
    attached = link.admitted(asked[0].hello, 0.0, WALL)
    assert isinstance(attached[0], Forward)
    assert isinstance(attached[0].item, Attach)
    return link.answered(Welcomed(camera, link.name, session, resume_from, credits), WALL)


def observe(
    link: EdgeLink, first_seq: int, *observations: Any, camera: str = "cam", now: float = 0.0
) -> list[Effect]:
    return link.received(
        frame(
            link,
            type="observe",
            camera=camera,
            first_seq=first_seq,
            observations=list(observations),
        ),
        now,
        WALL,
    )


def sent(effects: list[Effect]) -> list[Any]:
    return [effect.message for effect in effects if isinstance(effect, Send)]


def forwarded(effects: list[Effect]) -> list[Any]:
    return [effect.item for effect in effects if isinstance(effect, Forward)]


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_a_hello_leads_to_a_welcome_and_data_flows(form: Format) -> None:
    link = make(form)
    (welcome,) = sent(greet(link, resume_from=4, credits=6))
    assert isinstance(welcome, Welcome)
    assert (welcome.resume_from, welcome.credits, welcome.session) == (4, 6, "s1")
    (data,) = forwarded(observe(link, 4, {"time": TIME, "objects": []}, {"time": TIME}))
    assert isinstance(data, Data)
    assert (data.first_seq, len(data.items), data.format) == (4, 2, form)
    assert sent(link.answered(Acked("cam", link.name, 5, 8), WALL)) == [Ack("cam", 5, 8)]


def test_the_credit_edge_never_moves_back_and_going_beyond_it_closes_the_socket() -> None:
    link = make()
    greet(link, credits=3)
    assert sent(link.answered(Acked("cam", link.name, 1, 1), WALL)) == [Ack("cam", 1, 2)]
    assert forwarded(observe(link, 2, {"time": TIME}, {"time": TIME}))
    effects = observe(link, 4, {"time": TIME})
    assert [type(e.item) for e in effects if isinstance(e, Forward)] == [Detach]
    assert effects[-1] == CloseSocket(
        OVER_CREDIT, "seq 4 of camera cam is beyond the credits given (up to 3)"
    )
    assert link.received(b"{}", 1.0, WALL) == []


def test_resends_are_free_and_data_before_the_welcome_is_not() -> None:
    link = make()
    greet(link, credits=2)
    for _ in range(3):
        assert forwarded(observe(link, 1, {"time": TIME}, {"time": TIME}))
    early = make()
    early.received(frame(early, type="hello", camera="cam", session="s1"), 0.0, WALL)
    closing = observe(early, 1, {"time": TIME})[-1]
    assert isinstance(closing, CloseSocket)
    assert closing.code == OVER_CREDIT


def test_a_bad_item_is_passed_on_for_the_actor_to_find_and_its_neighbours_are_unharmed() -> None:
    link = make()
    greet(link)
    (data,) = forwarded(
        observe(
            link,
            1,
            {"time": TIME},
            {"time": "yesterday"},
            {"time": TIME, "objects": "none"},
            {"time": TIME},
        )
    )
    assert len(data.items) == 4
    for item, good in zip(data.items, (True, False, False, True), strict=True):
        with nullcontext() if good else pytest.raises(Unusable):
            decode(item, data.format)
    assert sent(link.answered(Refused("cam", link.name, 2, "bad_input", "no"), WALL)) == [
        Reject("cam", 2, "bad_input", "no")
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"type":"nothing"}',
        b'{"type":"hello","camera":"No Such","session":"s"}',
        b"[" * 5000,
        b'{"type":"observe"}',
    ],
)
def test_an_undecodable_frame_is_recorded_and_closes_the_socket_for_good(raw: bytes) -> None:
    link = make()
    effects = link.received(raw, 0.0, WALL)
    assert isinstance(effects[0], RecordUndecodable)
    assert effects[0].raw == raw
    assert isinstance(effects[-1], CloseSocket)
    assert effects[-1].code == 4500


def test_a_damaged_frame_among_good_ones_sends_the_device_back_to_send_it_again() -> None:
    link = make()
    link.received(b'{"type":"ping"}', 0.0, WALL)
    effects = link.received(b';"type":"ping"}', 0.0, WALL)
    assert isinstance(effects[0], RecordUndecodable)
    assert isinstance(effects[-1], CloseSocket)
    assert effects[-1].code == DAMAGED < 4500


def test_an_alarm_is_urgent_and_an_observation_lingers() -> None:
    link = make()
    greet(link)
    (calm,) = observe(link, 1, {"time": TIME})
    (alarm,) = observe(link, 2, {"time": TIME}, {"time": TIME, "alarm": {"type": "intrusion"}})
    assert isinstance(calm, Forward)
    assert isinstance(alarm, Forward)
    assert (calm.urgent, alarm.urgent) == (False, True)


def test_a_declared_gap_is_within_the_credits_like_everything_else() -> None:
    link = make()
    greet(link, credits=5000)
    greet(link, "other")
    gap = frame(link, type="gap", camera="cam", first_seq=1, last_seq=5000, reason="spool full")
    assert forwarded(link.received(gap, 0.0, WALL)) == [
        DeclareGap("cam", link.name, "s1", 1, 5000, "spool full", WALL)
    ]
    beyond = link.received(
        frame(link, type="gap", camera="cam", first_seq=1, last_seq=2**53 - 1, reason="x"),
        0.0,
        WALL,
    )
    assert [(bye.code, bye.camera) for bye in sent(beyond)] == [(OVER_CREDIT, "cam")]
    assert forwarded(beyond) == [Detach("cam", link.name, WALL, False, "over_credit")]
    assert link.cameras == ["other"]


def test_a_gap_that_ends_before_it_begins_is_kept_and_the_camera_is_asked_where_to_go_on() -> None:
    link = make()
    greet(link)
    effects = link.received(
        frame(link, type="gap", camera="cam", first_seq=3, last_seq=2, reason="x"), 0.0, WALL
    )
    assert isinstance(effects[0], RecordUndecodable)
    assert [type(item) for item in forwarded(effects)] == [Attach]


def test_a_new_welcome_on_an_open_stream_is_an_ack_and_a_resync() -> None:
    link = make()
    greet(link, credits=10)
    assert sent(link.answered(Welcomed("cam", link.name, "s1", 4, 2), WALL)) == [
        Ack("cam", 3, 7),
        Resync("cam", 4),
    ]
    assert sent(link.answered(AskedAgain("cam", link.name, 4), WALL)) == [Resync("cam", 4)]


def test_a_superseded_camera_gets_bye_and_the_socket_closes_only_when_it_carries_no_other() -> None:
    link = make()
    greet(link, "a")
    greet(link, "b")
    assert link.answered(Dismissed("a", link.name, 4509, "superseded"), WALL) == [
        Send(Bye(4509, "superseded", "a"))
    ]
    assert observe(link, 1, {"time": TIME}, camera="a") == []
    last = link.answered(Dismissed("b", link.name, 4509, "superseded"), WALL)
    assert last[-1] == CloseSocket(4509, "superseded")


def test_a_refused_hello_ends_that_camera_alone() -> None:
    link = make()
    greet(link, "a")
    link.received(frame(link, type="hello", camera="b", session="s1"), 0.0, WALL)
    (bye,) = sent(link.refused("b", Forbidden("no ingest for b"), WALL))
    assert (bye.code, bye.camera) == (4503, "b")
    assert not link.closed
    revoked = link.refused("a", Forbidden("revoked"), WALL)
    assert isinstance(forwarded(revoked)[0], Detach)
    assert isinstance(revoked[-1], CloseSocket)


def test_an_answer_to_an_older_hello_of_the_camera_changes_nothing() -> None:
    link = make()
    first = link.received(frame(link, type="hello", camera="cam", session="s1"), 0.0, WALL)[0]
    second = link.received(frame(link, type="hello", camera="cam", session="s2"), 0.0, WALL)[0]
    assert isinstance(first, AuthorizeHello)
    assert isinstance(second, AuthorizeHello)
    assert link.admitted(first.hello, 0.0, WALL) == []
    assert forwarded(link.admitted(second.hello, 0.0, WALL))
    assert link.answered(Welcomed("cam", link.name, "s1", 1, 5), WALL) == []
    assert sent(link.answered(Welcomed("cam", link.name, "s2", 1, 5), WALL))


def test_a_camera_that_never_said_hello_is_told_so() -> None:
    link = make()
    greet(link, "a")
    (bye,) = sent(observe(link, 1, {"time": TIME}, camera="b"))
    assert (bye.code, bye.camera) == (4500, "b")
    assert observe(link, 2, {"time": TIME}, camera="b") == []


def test_no_hello_in_time_closes_and_so_does_silence() -> None:
    link = make()
    assert link.tick(4.9, WALL) == [Send(Ping())]
    late = link.tick(5.0, WALL)
    assert isinstance(late[-1], CloseSocket)
    assert late[-1].code == NO_HELLO
    quiet = make()
    greet(quiet)
    assert sent(quiet.tick(4.0, WALL)) == [Ping()]
    silent = quiet.tick(10.0, WALL)
    assert isinstance(silent[-1], CloseSocket)
    assert silent[-1].code == SILENT
    assert [type(item) for item in forwarded(silent)] == [Detach]


@pytest.mark.parametrize("seed", range(5))
def test_liveness_goes_to_the_actor_with_every_ping_whenever_the_hub_has_its_own(seed: int) -> None:
    """A quiet device pings every four seconds, give or take; none of its pings is kept for the next
    heartbeat, or told to nobody."""
    dice = random.Random(seed)
    link = make()
    greet(link)
    now = 0.0
    for beat in range(1, 30):
        ping = 4.0 * beat + dice.uniform(-0.5, 0.5)
        while now + 1.0 < ping:
            now += 1.0
            assert forwarded(link.tick(now, WALL)) == []
        assert link.received(frame(link, type="ping"), ping, WALL) == [
            Send(Pong()),
            Forward(Alive("cam", link.name, WALL), urgent=False),
        ]
        assert (
            forwarded(link.received(frame(link, type="pong"), ping + 0.1, WALL)) == []
        )  # not more often than it is of use


def test_frames_that_cannot_be_used_are_no_sign_of_life() -> None:
    link = make()
    greet(link)
    useless = observe(link, 1, now=5.0)
    assert forwarded(useless) != []
    assert [
        item for item in forwarded([*useless, *link.tick(8.0, WALL)]) if isinstance(item, Alive)
    ] == []


BAD = {
    "NaN": b'{"time":"2026-03-01T12:00:00Z","objects":[{"label":"x","box":[NaN,0,1,1]}]}',
    "a lone surrogate": b'{"time":"2026-03-01T12:00:00Z","objects":[{"label":"\\ud800","box":[0,0,1,1]}]}',  # noqa: E501
    "nesting of 5,000": b"[" * 5000 + b"]" * 5000,
    "a string that never was one": b'{"time":"2026-03-01T12:00:00Z","objects":[{"label":"\xff","box":[0,0,1,1]}]}',  # noqa: E501
}


@pytest.mark.parametrize("bad", BAD)
def test_an_item_that_breaks_its_frame_costs_itself_alone(bad: str) -> None:
    link = make()
    greet(link)
    good = b'{"time":"2026-03-01T12:00:00Z"}'
    raw = (
        b'{"type":"observe","camera":"cam","first_seq":1,"observations":['
        + b", ".join((good, BAD[bad], good))
        + b'],"sent":"'
        + TIME.encode()
        + b'"}'
    )
    (data,) = forwarded(link.received(raw, 0.0, WALL))
    assert (data.items, data.first_seq, data.sent_us) == (
        [good, BAD[bad], good],
        1,
        1_772_366_400_000_000,
    )
    if bad == "NaN":
        assert decode(data.items[1], "json")[1] == {"box_not_finite": 1}
        return
    with pytest.raises(Unusable):
        decode(data.items[1], "json")


def test_nesting_breaks_no_frame_of_msgpack_either() -> None:
    link = make("msgpack")
    greet(link)
    good = msgspec.msgpack.encode({"time": TIME})
    deep = b"\x91" * 5000 + b"\xc0"
    fields = {
        "type": "observe",
        "camera": "cam",
        "first_seq": 1,
        "observations": [msgspec.Raw(good), msgspec.Raw(deep), msgspec.Raw(good)],
    }
    (data,) = forwarded(link.received(msgspec.msgpack.encode(fields), 0.0, WALL))
    assert data.items == [good, deep, good]
    with pytest.raises(Unusable):
        decode(deep, "msgpack")


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_too_many_in_one_message_are_taken_and_the_one_numbered_0_is_refused(form: Format) -> None:
    link = make(form)
    greet(link, credits=300)
    (data,) = forwarded(observe(link, 1, *[{"time": TIME}] * 257))
    assert len(data.items) == 257
    effects = observe(link, 0, {"time": TIME}, {"time": TIME})
    assert sent(effects) == [
        Reject("cam", 0, "bad_input", "the first observation of a session has seq 1")
    ]
    assert [(item.first_seq, len(item.items)) for item in forwarded(effects)] == [(1, 1)]


@pytest.mark.parametrize("form", ["json", "msgpack"])
@pytest.mark.parametrize(
    "fields",
    [
        {"first_seq": 1, "observations": []},
        {"first_seq": 0, "observations": [{"time": TIME}]},
        {"first_seq": "x"},
    ],
)
def test_frames_that_say_nothing_end_in_a_final_code_for_that_camera_over_reconnections(
    form: Format, fields: dict[str, Any]
) -> None:
    strikes = Strikes()
    for attempt in range(LIMIT):
        link = EdgeLink("hub-0/1", form, now=0.0, first_message_s=5.0, strikes=strikes)
        greet(link, "cam")
        greet(link, "other")
        effects = link.received(frame(link, type="observe", camera="cam", **fields), 0.0, WALL)
        assert isinstance(effects[0], RecordUndecodable)
        if attempt < LIMIT - 1:
            assert [type(item) for item in forwarded(effects)] == [Attach]
    assert forwarded(effects) == [Detach("cam", link.name, WALL, True, "unusable_input")]
    assert [(bye.code, bye.camera) for bye in sent(effects)] == [(4500, "cam")]
    assert link.cameras == ["other"]
    assert forwarded(observe(link, 1, {"time": TIME}, camera="other"))
    (bye,) = sent(link.received(frame(link, type="hello", camera="cam", session="s1"), 0.0, WALL))
    assert (bye.code, bye.camera) == (4500, "cam")
    assert isinstance(
        link.received(frame(link, type="hello", camera="cam", session="s2"), 0.0, WALL)[0],
        AuthorizeHello,
    )


def test_a_camera_whose_data_goes_on_is_forgiven() -> None:
    link = make()
    greet(link)
    for seq in range(1, 20):
        observe(link, 1)
        observe(link, seq, {"time": TIME})
        link.answered(Acked("cam", link.name, seq, 10), WALL)
    assert link.cameras == ["cam"]


def test_garbage_that_names_no_camera_is_a_damaged_link_at_first_and_then_a_broken_device() -> None:
    strikes = Strikes()
    codes = []
    for _ in range(LIMIT):
        link = EdgeLink("hub-0/1", "json", now=0.0, first_message_s=5.0, strikes=strikes)
        greet(link)
        last = link.received(b"\x00\x01garbage", 0.0, WALL)[-1]
        assert isinstance(last, CloseSocket)
        codes.append(last.code)
    assert codes == [DAMAGED] * (LIMIT - 1) + [4500]


def test_a_restored_store_is_told_by_a_bye_that_comes_back() -> None:
    link = make()
    greet(link, credits=100)
    greet(link, "other")
    link.answered(Acked("cam", link.name, 50, 100), WALL)
    effects = link.answered(Welcomed("cam", link.name, "s1", 21, 100), WALL)
    assert [(bye.code, bye.camera) for bye in sent(effects)] == [(REWOUND, "cam")]
    assert sent(greet(link, resume_from=21, credits=7))[0].credits == 7


def test_the_end_of_the_socket_detaches_what_was_attached() -> None:
    link = make()
    greet(link, "a")
    link.received(frame(link, type="hello", camera="b", session="s1"), 0.0, WALL)
    assert forwarded(link.lost("gone", WALL)) == [Detach("a", link.name, WALL, False, "gone")]
    assert link.lost("gone", WALL) == []
    bye = make()
    greet(bye, "a")
    effects = bye.received(frame(bye, type="bye", code=1000, reason="done"), 0.0, WALL)
    assert forwarded(effects) == [Detach("a", bye.name, WALL, True, "done")]
    assert isinstance(effects[-1], CloseSocket)


def test_hellos_are_decoded_with_their_token() -> None:
    link = make()
    (ask,) = link.received(
        frame(link, type="hello", camera="cam", session="s1", token="t", next_seq=7), 0.0, WALL
    )
    assert ask == AuthorizeHello(Hello("cam", "s1", 7, token="t"))


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_what_the_edge_holds_goes_on_to_the_actor(form: Format) -> None:
    link = make(form)
    greet(link)
    fields = {"type": "observe", "camera": "cam", "first_seq": 1, "observations": [{"time": TIME}]}
    (data,) = forwarded(
        link.received(
            frame(link, **fields, sent=TIME, backlog={"items": 7, "bytes": 900}), 0.0, WALL
        )
    )
    assert (data.backlog, data.sent_us) == (Backlog(7, 900), 1_772_366_400_000_000)
    (plain,) = forwarded(observe(link, 2, {"time": TIME}))
    assert (plain.backlog, plain.sent_us) == (None, None)
