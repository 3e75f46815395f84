"""Encodings of the HTTP transports, loose tokens, plain channel names: whatever comes in, nothing
but the family's errors comes out."""

import contextlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import BadInput, Expired, NotFound, Unauthorized
from hub.compat.profile import Profile, load
from hub.compat.tokens import LooseVerifier
from hub.protocol.messages import Codec, EmulationRequest, Raw
from hub.protocol.protobuf_codec import encode
from hub.protocol.stream_codecs import JSON_STREAM, PROTOBUF_STREAM, SSE, JsonStreamCodec
from tests.support.hub.compatible_hubs import settings
from tests.support.tokens import forge

NOW_S = 1_800_000_000.0
MESSAGES = st.lists(
    st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3).map(msgspec.json.encode),
    max_size=5,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    found = load(settings(Path(tmp_path_factory.mktemp("profile"))))
    assert found is not None
    return found


def takes_anything(codec: Codec, body: bytes) -> None:
    """Either an emulation request or BadInput."""
    with contextlib.suppress(BadInput):
        assert isinstance(codec.emulated(body), EmulationRequest)


@pytest.mark.parametrize("codec", [JSON_STREAM, PROTOBUF_STREAM])
@given(
    body=st.binary(max_size=200)
    | st.dictionaries(st.text(max_size=8), st.integers() | st.text()).map(msgspec.json.encode)
)
def test_any_body_is_a_request_or_bad_input(codec: Codec, body: bytes) -> None:
    takes_anything(codec, body)


def test_a_codec_that_lets_an_error_through_is_caught() -> None:
    class Careless(JsonStreamCodec):
        def emulated(self, body: bytes) -> EmulationRequest:
            return msgspec.json.decode(body, type=EmulationRequest)

    with pytest.raises(msgspec.DecodeError):
        takes_anything(Careless(), b"{")


@given(node=TEXTS, session=TEXTS, data=TEXTS)
def test_requests_come_through_both_encodings(node: str, session: str, data: str) -> None:
    asked = msgspec.json.encode({"node": node, "session": session, "data": data})
    for found in (
        JSON_STREAM.emulated(asked),
        PROTOBUF_STREAM.emulated(encode(EmulationRequest(node, session, Raw(data.encode())))),
    ):
        assert (found.node, found.session, bytes(found.data)) == (node, session, data.encode())


@given(MESSAGES)
def test_a_reader_finds_the_messages_of_a_frame_again(messages: list[bytes]) -> None:
    events = SSE.frame(messages).split(b"\n\n")
    assert events.pop() == b""
    assert [event.removeprefix(b"data: ") for event in events] == messages
    assert JSON_STREAM.frame(messages).splitlines() == messages
    delimited, found = PROTOBUF_STREAM.frame(messages), []
    while delimited:
        used = next(at for at, byte in enumerate(delimited, 1) if byte < 0x80)
        size = sum((byte & 0x7F) << (7 * at) for at, byte in enumerate(delimited[:used]))
        found.append(delimited[used : used + size])
        delimited = delimited[used + size :]
    assert found == messages


@given(
    st.text(max_size=300)
    | st.from_regex(r"\A[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,43}\Z")
)
def test_any_text_is_refused_as_a_loose_token(text: str) -> None:
    with pytest.raises(Unauthorized):
        LooseVerifier(b"secret").verify(text, NOW_S)


@given(
    st.dictionaries(
        st.sampled_from(["sub", "exp", "channel", "x"]),
        st.text(max_size=5) | st.floats() | st.none() | st.integers(),
    )
)
def test_any_signed_claims_are_claims_or_refused(claims: dict[str, object]) -> None:
    try:
        found = LooseVerifier(b"secret").verify(forge(claims, b"secret"), NOW_S)
    except (Unauthorized, Expired):
        return
    assert found.sub == claims.get("sub", "")
    assert not found.exp or found.exp > NOW_S


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        ({"alg": "none"}, b"secret"),
        ({"alg": "HS512"}, b"secret"),
        ({}, b"secret"),
        ({"alg": "HS256"}, b"other"),
    ],
)
def test_another_algorithm_or_secret_is_refused(header: dict[str, str], secret: bytes) -> None:
    with pytest.raises(Unauthorized):
        LooseVerifier(b"secret").verify(forge({"sub": "ada"}, secret, header), NOW_S)


@given(name=st.text(max_size=300))
def test_any_name_is_a_channel_or_unknown(profile: Profile, name: str) -> None:
    try:
        channel = profile.parse(name)
    except NotFound:
        return
    assert channel.name == name
    assert channel.lane != "plain" or name.isprintable()
