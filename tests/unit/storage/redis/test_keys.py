"""Keys, channels and the framing of payloads."""

import struct

import msgspec
import pytest

from actors.core.errors import BadInput, InvalidId
from storage.ports.live import BrokerMessage, LiveEvent, LiveState, LiveSummary
from storage.redis import keys


def test_all_keys_of_a_site_share_its_hash_tag() -> None:
    made = [
        keys.fences("s"),
        keys.versions("s"),
        keys.states("s"),
        keys.summaries("s"),
        keys.position("s"),
        keys.stream("s"),
    ]
    made += [
        keys.stream("s", "c"),
        keys.wall_channel("s"),
        keys.live_channel("s", "c"),
        keys.live_prefix("s"),
    ]
    assert all(key.startswith("eyrie:{s}:") for key in made)
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("name", ["", "a}b", "A", "a b", "a\n", "*"])
def test_check_24_no_key_is_made_of_an_invalid_id(name: str) -> None:
    with pytest.raises(InvalidId):
        keys.fences(name)
    with pytest.raises(InvalidId):
        keys.live_channel("site", name)
    with pytest.raises(InvalidId):
        keys.stream("site", name)


def test_a_state_is_a_publication() -> None:
    state = LiveState("s", "c", 2, 7, 9, b"{}")
    assert keys.decode(keys.encode_state(state)) == BrokerMessage(
        "state", "s", "c", 2, 7, offset=9, body=b"{}"
    )


@pytest.mark.parametrize("offset", [1, 255, 2**31, 2**53])
def test_an_event_in_parts_is_a_publication(offset: int) -> None:
    """What the script does: head, its epoch, its offset as an unsigned 64-bit number, tail."""
    head, tail = keys.event_parts(LiveEvent("s", "c", 2, "e1", offset, b'{"a":1}'))
    payload = (
        head
        + msgspec.msgpack.encode("0123456789ab")
        + b"\xcf"
        + struct.pack(">Q", offset + 1)
        + tail
    )
    assert keys.decode(payload) == BrokerMessage(
        "event", "s", "c", 2, 0, "e1", offset, "0123456789ab", offset + 1, b'{"a":1}'
    )


@pytest.mark.parametrize("count", [1, 15, 16, 64])
def test_entries_in_parts_are_a_publication(count: int) -> None:
    entries = [LiveSummary(f"c{n}", 1, n, 2, b"{}") for n in range(count)]
    payload = (
        keys.entries_head("summaries", "s")
        + b"\xdc"
        + struct.pack(">H", count)
        + b"".join(map(keys.encode_entry, entries))
    )
    assert keys.decode(payload) == BrokerMessage("summaries", "s", entries=entries)
    assert [keys.decode_entry(keys.encode_entry(entry)) for entry in entries] == entries


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xc1", b"\x91" * 5000, b"\xd9\x02\xff\xfe", b"{}", msgspec.msgpack.encode([1, 2])],
)
def test_anything_else_is_bad_input(payload: bytes) -> None:
    with pytest.raises(BadInput):
        keys.decode(payload)
    with pytest.raises(BadInput):
        keys.decode_entry(payload)
