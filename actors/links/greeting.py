"""Who is at the other end: a mutual challenge with a key derived from the cluster's token (pure).

    hub → actor  HELLO      version, cluster, actor, hub, number, nonce
    actor → hub  CHALLENGE  nonce, proof of the actor
    hub → actor  PROOF      proof of the hub
    actor → hub  ACCEPTED   or REFUSED at any point, with code and detail

The token is never sent, nor anything from which it could be computed but by trying all of its 256
random bits. A proof is an HMAC-SHA256 under the derived key (HKDF, RFC 5869) over the role, the
whole HELLO, both nonces and the channel: for TLS the server's certificate, so that nobody between
the two can pass the proofs on.
"""

import hmac
from hashlib import sha256

import msgspec

from actors.core.errors import BadInput, Conflict, EyrieError, Forbidden
from actors.links.frames import Kind, frame

VERSION = 1
NONCE_BYTES = 32
UNIX = b"unix"  # the channel of a Unix socket, which no other machine is on
_SALT = b"eyrie link"
_encode = msgspec.msgpack.Encoder().encode


class LinkHello(msgspec.Struct, array_like=True, frozen=True):
    """`number` counts the links of this hub process to this actor process: 1, 2, 3, … An older
    one that comes late is refused."""

    version: int
    cluster: str
    actor: str
    hub: str
    number: int
    nonce: bytes


class Challenge(msgspec.Struct, array_like=True, frozen=True):
    """The actor's answer."""

    nonce: bytes
    proof: bytes


class LinkRefusal(msgspec.Struct, array_like=True, frozen=True):
    """Why there is no link."""

    code: str
    detail: str


_hello = msgspec.msgpack.Decoder(LinkHello)
_challenge = msgspec.msgpack.Decoder(Challenge)
_refusal = msgspec.msgpack.Decoder(LinkRefusal)


def derive_key(token: bytes, cluster: str) -> bytes:
    """The key of the links of the cluster `cluster` (its Ray namespace): HKDF-SHA256, one block."""
    extracted = hmac.digest(_SALT, token, "sha256")
    return hmac.digest(extracted, b"link proof " + cluster.encode() + b"\x01", "sha256")


def _proof(key: bytes, role: bytes, hello: bytes, nonce: bytes, channel: bytes) -> bytes:
    """Every part has a fixed length or is hashed first: no two transcripts are the same bytes."""
    parts = (role.ljust(8, b"\0"), sha256(hello).digest(), nonce, sha256(channel).digest())
    return hmac.digest(key, b"".join(parts), "sha256")


def refusal(error: EyrieError) -> bytes:
    """The frame that refuses a peer for `error`."""
    return frame(Kind.REFUSED, _encode(LinkRefusal(error.code, error.detail[:200])))


class ActorGreeting:
    """The actor's side. `nonce`: `NONCE_BYTES` random bytes."""

    def __init__(
        self, key: bytes, *, cluster: str, actor: str, nonce: bytes, channel: bytes = UNIX
    ) -> None:
        self._key = key
        self._cluster = cluster
        self._actor = actor
        self._nonce = nonce
        self._channel = channel
        self._raw = b""
        self.hello: LinkHello | None = None
        self.done = False

    def receive(self, kind: Kind, payload: bytes) -> bytes:
        """What to answer. `done` afterwards: the peer is the hub that `hello` names. Raises
        BadInput, Conflict (another version or actor), Forbidden (no proof)."""
        if kind is Kind.HELLO and self.hello is None:
            self.hello, self._raw = self._read(payload), payload
            proof = _proof(self._key, b"actor", payload, self._nonce, self._channel)
            return frame(Kind.CHALLENGE, _encode(Challenge(self._nonce, proof)))
        if kind is Kind.PROOF and self.hello is not None and not self.done:
            wanted = _proof(self._key, b"hub", self._raw, self._nonce, self._channel)
            if not hmac.compare_digest(wanted, payload):
                raise Forbidden("the proof is not one of this cluster's token")
            self.done = True
            return frame(Kind.ACCEPTED)
        raise BadInput(f"a frame of kind {kind.name} is out of turn in a greeting")

    def _read(self, payload: bytes) -> LinkHello:
        try:
            version = msgspec.msgpack.decode(payload, type=list)[0]
            if version != VERSION:
                raise Conflict(f"links of version {VERSION} are spoken here, not {version!r:.20}")
            hello = _hello.decode(payload)
        except (msgspec.MsgspecError, IndexError) as error:
            raise BadInput(f"a hello of a link does not decode: {error}") from error
        if len(hello.nonce) != NONCE_BYTES or not hello.hub or hello.number < 1:
            raise BadInput("a hello of a link lacks its nonce, hub or number")
        if hello.cluster != self._cluster:
            raise Conflict(f"this is cluster {self._cluster}, not {hello.cluster!r:.40}")
        if hello.actor != self._actor:
            raise Conflict(f"this is {self._actor}, not {hello.actor!r:.80}")
        return hello


class HubGreeting:
    """The hub's side."""

    def __init__(self, key: bytes, hello: LinkHello, *, channel: bytes = UNIX) -> None:
        self._key = key
        self._nonce = hello.nonce
        self._raw = _encode(hello)
        self._channel = channel
        self._proven = False
        self.done = False

    def begin(self) -> bytes:
        """The first frame."""
        return frame(Kind.HELLO, self._raw)

    def receive(self, kind: Kind, payload: bytes) -> bytes:
        """What to answer. `done` afterwards: the link is open. Raises Conflict when refused,
        Forbidden when the actor has no proof, BadInput."""
        try:
            if kind is Kind.REFUSED:
                refused = _refusal.decode(payload)
                raise Conflict(f"refused ({refused.code!r:.40}): {refused.detail!r:.200}")
            if kind is Kind.CHALLENGE and not self._proven:
                return self._prove(_challenge.decode(payload))
        except msgspec.MsgspecError as error:
            raise BadInput(f"a greeting of a link does not decode: {error}") from error
        if kind is Kind.ACCEPTED and self._proven and not self.done:
            self.done = True
            return b""
        raise BadInput(f"a frame of kind {kind.name} is out of turn in a greeting")

    def _prove(self, challenge: Challenge) -> bytes:
        nonce = challenge.nonce
        wanted = _proof(self._key, b"actor", self._raw, nonce, self._channel)
        if len(nonce) != NONCE_BYTES or not hmac.compare_digest(wanted, challenge.proof):
            raise Forbidden("the actor has no proof of this cluster's token")
        self._proven = True
        return frame(Kind.PROOF, _proof(self._key, b"hub", self._raw, nonce, self._channel))
