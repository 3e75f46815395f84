"""The mutual challenge: who has not the token of this cluster gets nowhere, on either end."""

import msgspec
import pytest

from actors.core.errors import BadInput, Conflict, EyrieError, Forbidden
from actors.links.frames import FrameReader, Kind
from actors.links.greeting import (
    NONCE_BYTES,
    UNIX,
    VERSION,
    ActorGreeting,
    Challenge,
    HubGreeting,
    LinkHello,
    derive_key,
    refusal,
)

TOKEN = b"t" * 64
KEY = derive_key(TOKEN, "eyrie")
OTHER = derive_key(b"o" * 64, "eyrie")


def hello(**changes: object) -> LinkHello:
    made = LinkHello(VERSION, "eyrie", "cam.1", "hub-0.ab", 1, b"c" * NONCE_BYTES)
    return msgspec.structs.replace(made, **changes)


def actor(key: bytes = KEY, channel: bytes = UNIX, nonce: bytes = b"s") -> ActorGreeting:
    return ActorGreeting(
        key, cluster="eyrie", actor="cam.1", nonce=nonce * NONCE_BYTES, channel=channel
    )


def one(data: bytes) -> tuple[Kind, bytes]:
    [found] = FrameReader().feed(data)
    return found


def meet(hub: HubGreeting, at: ActorGreeting) -> None:
    """Carry the frames of a greeting."""
    challenge = at.receive(*one(hub.begin()))
    accepted = at.receive(*one(hub.receive(*one(challenge))))
    hub.receive(*one(accepted))


def test_both_prove_that_they_know_the_token_and_never_send_it() -> None:
    hub, at = HubGreeting(KEY, hello()), actor()
    first = hub.begin()
    challenge = at.receive(*one(first))
    assert not at.done
    proof = hub.receive(*one(challenge))
    assert not hub.done
    accepted = at.receive(*one(proof))
    hub.receive(*one(accepted))
    assert (hub.done, at.done) == (True, True)
    assert at.hello is not None
    assert (at.hello.hub, at.hello.number) == ("hub-0.ab", 1)
    said = first + challenge + proof + accepted
    for secret in (TOKEN, KEY):
        assert secret not in said


def test_an_actor_of_another_token_is_refused_before_the_hub_proves_anything() -> None:
    hub = HubGreeting(KEY, hello())
    with pytest.raises(Forbidden, match="the actor has no proof"):
        hub.receive(*one(actor(OTHER).receive(*one(hub.begin()))))


def test_a_hub_of_another_token_is_refused() -> None:
    at = actor()
    at.receive(*one(HubGreeting(OTHER, hello()).begin()))
    wrong = HubGreeting(OTHER, hello())
    forged = one(wrong.receive(*one(actor(OTHER).receive(*one(wrong.begin())))))
    with pytest.raises(Forbidden):
        at.receive(*forged)
    assert not at.done


def test_a_proof_is_worth_nothing_on_another_channel_or_for_another_challenge() -> None:
    with pytest.raises(Forbidden):  # somebody between the two shows a certificate of their own
        meet(HubGreeting(KEY, hello(), channel=b"theirs"), actor(channel=b"ours"))
    recorded = HubGreeting(KEY, hello())
    proof = one(recorded.receive(*one(actor().receive(*one(recorded.begin())))))
    fresh = actor(nonce=b"n")
    fresh.receive(*one(recorded.begin()))
    with pytest.raises(Forbidden):
        fresh.receive(*proof)


def test_the_actor_s_own_proof_does_not_open_its_link() -> None:
    at = actor()
    _kind, payload = one(at.receive(*one(HubGreeting(KEY, hello()).begin())))
    with pytest.raises(Forbidden):
        at.receive(Kind.PROOF, msgspec.msgpack.decode(payload, type=Challenge).proof)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"version": VERSION + 1}, Conflict, "version"),
        ({"cluster": "another"}, Conflict, "this is cluster eyrie"),
        ({"actor": "cam.0"}, Conflict, "this is cam.1"),
        ({"nonce": b"short"}, BadInput, "nonce"),
        ({"hub": ""}, BadInput, "hub"),
        ({"number": 0}, BadInput, "number"),
    ],
)
def test_a_hello_that_is_not_for_this_actor_is_refused(
    changes: dict[str, object], error: type[EyrieError], says: str
) -> None:
    with pytest.raises(error, match=says):
        actor().receive(*one(HubGreeting(KEY, hello(**changes)).begin()))


@pytest.mark.parametrize("payload", [b"", b"\x90", b"\xc1", b"\x93\x01\x02\x03", b"\xff" * 100])
def test_a_hello_that_does_not_decode_is_bad_input(payload: bytes) -> None:
    with pytest.raises(BadInput):
        actor().receive(Kind.HELLO, payload)


def test_nothing_is_taken_out_of_turn() -> None:
    begun = one(HubGreeting(KEY, hello()).begin())
    for kind in set(Kind) - {Kind.HELLO}:
        with pytest.raises(BadInput, match="out of turn"):
            actor().receive(kind, b"")
    at = actor()
    at.receive(*begun)
    with pytest.raises(BadInput, match="out of turn"):
        at.receive(*begun)
    for kind in set(Kind) - {Kind.CHALLENGE, Kind.REFUSED}:
        with pytest.raises(BadInput, match="out of turn"):
            HubGreeting(KEY, hello()).receive(kind, b"")


def test_a_refusal_tells_its_reason() -> None:
    with pytest.raises(Conflict, match="this is cluster"):
        HubGreeting(KEY, hello()).receive(*one(refusal(Conflict("this is cluster x, not y"))))


def test_the_key_is_another_for_another_cluster() -> None:
    assert len({derive_key(TOKEN, "a"), derive_key(TOKEN, "b"), derive_key(b"u" * 64, "a")}) == 3
