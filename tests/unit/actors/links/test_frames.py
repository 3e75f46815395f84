"""Frames: whole at every cut, and nothing of one that is too long is kept."""

import random

import pytest

from actors.core.errors import BadInput
from actors.links.frames import MAX_FRAME_BYTES, MAX_GREETING_BYTES, FrameReader, Kind, frame

SENT = [
    (Kind.ITEMS, b"first"),
    (Kind.PING, b""),
    (Kind.ANSWERS, b"x" * 3_000),
    (Kind.PONG, b""),
    (Kind.ITEMS, b"last"),
]
STREAM = b"".join(frame(kind, payload) for kind, payload in SENT)


def test_frames_are_whole_wherever_the_stream_is_cut_in_two() -> None:
    for cut in range(len(STREAM) + 1):
        reader = FrameReader(MAX_FRAME_BYTES)
        assert [*reader.feed(STREAM[:cut]), *reader.feed(STREAM[cut:])] == SENT


def test_frames_are_whole_byte_by_byte_and_in_random_pieces() -> None:
    reader = FrameReader(MAX_FRAME_BYTES)
    assert [found for byte in STREAM for found in reader.feed(bytes((byte,)))] == SENT
    for seed in range(50):
        chance = random.Random(seed)
        reader, found, at = FrameReader(MAX_FRAME_BYTES), [], 0
        while at < len(STREAM):
            size = chance.choice((0, 1, 3, 4, 5, 6, 700, 4_000))
            found += reader.feed(STREAM[at : at + size])
            at += size
        assert found == SENT, f"seed {seed}"


@pytest.mark.parametrize("length", [0, MAX_GREETING_BYTES + 1, 2**31, 2**32 - 1])
def test_a_length_out_of_bounds_is_refused_with_its_first_bytes(length: int) -> None:
    with pytest.raises(BadInput, match=f"of {length} bytes"):
        FrameReader().feed(length.to_bytes(4, "big") + b"\x06")


@pytest.mark.parametrize("kind", [0, 10, 255])
def test_a_kind_that_there_is_not_is_refused(kind: int) -> None:
    with pytest.raises(BadInput, match=f"of kind {kind}"):
        FrameReader().feed(b"\x00\x00\x00\x01" + bytes((kind,)))


def test_the_longest_frame_of_a_greeting_is_taken_and_the_limit_grows_after_it() -> None:
    reader = FrameReader()
    longest = b"x" * (MAX_GREETING_BYTES - 1)
    assert reader.feed(frame(Kind.HELLO, longest)) == [(Kind.HELLO, longest)]
    with pytest.raises(BadInput):
        FrameReader().feed(frame(Kind.HELLO, longest + b"x"))
    reader.limit = MAX_FRAME_BYTES
    assert reader.feed(frame(Kind.ITEMS, longest + b"x")) == [(Kind.ITEMS, longest + b"x")]
