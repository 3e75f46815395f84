"""Tokens: the claims of a JWT become a :class:`~policy.identity.principal.Principal`, or the
request is refused. The only user of python-jose.

What the library checks too kindly is checked here (traps J1-J9: python-jose 3.5.0, `jose/jws.py`
and `jose/jwt.py` read): it is asked for the signature alone, with one key *object* and one
algorithm; size and alphabet come before any parsing and every claim after it, by us. Revocation
goes by `jti` and subject, never by the text of a token, which is not unique.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from jose import backends, jwk, jws  # type: ignore[import-untyped]
from jose.exceptions import JOSEError  # type: ignore[import-untyped]

from actors.core.errors import BadInput, ConfigError, Expired, Unauthorized
from actors.core.identifiers import ID_PATTERN
from actors.core.settings import AuthSettings
from policy.identity.jwks_fetch import fetch_jwks
from policy.identity.key_pairs import read_signing_key
from policy.identity.keys import VerificationKeys, read_jwks, read_secret
from policy.identity.principal import Principal, TokenType

MAX_TOKEN_BYTES = 8192
MAX_HEADER_BYTES = 512
LOCAL_KID = "local"  # the embedded default's one HS256 secret

Name = Annotated[
    str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._:@/-]{1,128}\Z")
]  # what we name ourselves: devices and their keys
# What identity providers name: `auth0|5f7c`, `jane+ops@example.org`, names with spaces and in any
# script. OpenID Connect Core 2: a `sub` has at most 255 characters. Control characters, line
# separators and halves of surrogate pairs could end a line or a string; nothing else.
_TEXT = r"\A[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
Subject = Annotated[str, msgspec.Meta(pattern=_TEXT + r"{1,255}\Z")]
Word = Annotated[str, msgspec.Meta(pattern=_TEXT + r"{1,128}\Z")]
Site = Annotated[str, msgspec.Meta(pattern=ID_PATTERN.removesuffix(r"\Z") + r"\Z|\A\*\Z")]
Camera = Annotated[str, msgspec.Meta(pattern=ID_PATTERN)]
Second = Annotated[int, msgspec.Meta(ge=0, le=2**40)]

# Three segments of base64url, none empty, each written in the one canonical way: the unused bits of
# a last character are zero.
_SEGMENT = r"(?=[A-Za-z0-9_-])(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?"  # noqa: E501
_TOKEN = re.compile(rf"\A{_SEGMENT}\.{_SEGMENT}\.{_SEGMENT}\Z")
_NOT_GENUINE = (
    "the token is not genuine"  # one answer for bad form, unknown key and bad signature alike
)


class Claims(msgspec.Struct, frozen=True):
    """The claims of design section 7, `token`. All the registered ones are required; times are
    whole seconds since 1970."""

    iss: str
    aud: str | Annotated[list[str], msgspec.Meta(max_length=8)]
    sub: Subject
    jti: Subject
    iat: Second
    exp: Second
    typ: TokenType
    nbf: Second = 0
    roles: Annotated[tuple[Word, ...], msgspec.Meta(max_length=16)] = ()
    sites: Annotated[tuple[Site, ...], msgspec.Meta(max_length=256)] = ()
    cameras: Annotated[tuple[Camera, ...], msgspec.Meta(max_length=512)] | None = None
    scopes: Annotated[tuple[Word, ...], msgspec.Meta(max_length=32)] = ()


class JwtVerifier:
    """Verifies the tokens of the one issuer. Reads its keys when it is made;
    `policy.identity.key_refresh` brings later ones.

    Raises ConfigError when the keys cannot be used.
    """

    def __init__(self, auth: AuthSettings) -> None:
        if "cryptography" not in backends.ECKey.__module__:
            raise ConfigError(
                "python-jose runs without the package cryptography",
                hint='Install "python-jose[cryptography]".',
            )
        keys = load_keys(auth)
        self._auth = auth
        self.algorithm = keys.algorithm
        self._keys: dict[str, Any] = {}
        self.on_unknown_kid: Callable[[], None] = _nothing
        self.use(keys)

    def use(self, keys: VerificationKeys | None) -> None:
        """Verify with `keys` from now on; with none every token is refused.

        Raises ConfigError for a key that is none, or another algorithm than before: one issuer has
        one; then the old keys stay.
        """
        if keys is None:
            self._keys = {}
            return
        where = self._auth.jwks_file or self._auth.jwks_url or self._auth.hs256_secret_file
        if keys.algorithm != self.algorithm:
            raise ConfigError(
                f"the keys of {where} changed from {self.algorithm} to {keys.algorithm}",
                hint="Start the hubs again.",
            )
        try:
            self._keys = {
                kid: jwk.construct(key, keys.algorithm) for kid, key in keys.by_kid.items()
            }
        except (JOSEError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"a key of {where} cannot be used: {type(error).__name__}") from error

    def verify(
        self, text: object, *, typ: TokenType | tuple[TokenType, ...], now_s: float
    ) -> Principal:
        """The principal of the token `text` when it is genuine, in time and of type `typ` (one of
        them).

        Raises Unauthorized, or Expired for a genuine token whose time is over; nothing else,
        whatever `text` is. Expiry is exact; `auth.leeway_s` only forgives an issuer whose clock is
        ahead of ours.
        """
        payload = self._payload(text)
        claims = _claims(payload)
        auth = self._auth
        if claims.iss != auth.issuer:
            raise Unauthorized("the token is from another issuer")
        if auth.audience not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
            raise Unauthorized("the token is for another audience")
        wanted = (typ,) if isinstance(typ, str) else typ
        if claims.typ not in wanted:
            raise Unauthorized(
                f"this is {_a(claims.typ)} token; {' or '.join(map(_a, wanted))} token is needed "
                "here"
            )
        if max(claims.iat, claims.nbf) > now_s + auth.leeway_s:
            raise Unauthorized("the token is not valid yet; compare the clocks")
        if not 0 < claims.exp - claims.iat <= lifetime_s(auth, claims.typ):
            raise Unauthorized(
                f"the token lives longer than {_a(claims.typ)} token may "
                f"({lifetime_s(auth, claims.typ):.0f} s)"
            )
        if now_s >= claims.exp:
            raise Expired(f"the token expired {now_s - claims.exp:.0f} s ago")
        return Principal(
            claims.sub,
            claims.jti,
            claims.typ,
            claims.iat,
            claims.exp,
            claims.roles,
            claims.sites,
            claims.cameras,
            claims.scopes,
        )

    def _payload(self, text: object) -> bytes:
        """The signed bytes, after the signature held."""
        if not isinstance(text, str) or not text:
            raise Unauthorized("a token is missing")
        if len(text) > MAX_TOKEN_BYTES or not _TOKEN.match(text):
            raise Unauthorized(_NOT_GENUINE)
        header = _object(_segment(text.partition(".")[0], MAX_HEADER_BYTES))
        if (
            header.get("alg") != self.algorithm
            or header.get("typ", "JWT") != "JWT"
            or "crit" in header
        ):
            raise Unauthorized(_NOT_GENUINE)
        if header.get("b64", True) is not True:  # RFC 7797, section 7: never in a token
            raise Unauthorized(_NOT_GENUINE)
        kid = header.get("kid", LOCAL_KID)
        if isinstance(kid, str) and kid not in self._keys:
            self.on_unknown_kid()
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise Unauthorized(_NOT_GENUINE)
        try:
            payload = jws.verify(text, key, [self.algorithm])
        except (
            JOSEError,
            ValueError,
            TypeError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ) as error:
            raise Unauthorized(_NOT_GENUINE) from error
        if not isinstance(payload, bytes):
            raise Unauthorized(_NOT_GENUINE)
        return payload


def claimed_subject(text: object) -> str:
    """Who a token says it is for, genuine or not; empty where that cannot be read. For counting
    failures, never for access."""
    if not isinstance(text, str) or len(text) > MAX_TOKEN_BYTES or not _TOKEN.match(text):
        return ""
    try:
        subject = _object(_segment(text.split(".")[1], MAX_TOKEN_BYTES)).get("sub")
        return msgspec.convert(subject, Subject)
    except (Unauthorized, msgspec.ValidationError):
        return ""


def load_keys(auth: AuthSettings) -> VerificationKeys:
    """The keys the settings name: a JWKS file or URL where there is one, else the HS256 secret.
    Blocks. Raises ConfigError."""
    if auth.jwks_file and auth.jwks_url:
        raise ConfigError(
            "auth.jwks_file and auth.jwks_url are both set", hint="Leave one of them empty."
        )
    if auth.jwks_file:
        return read_jwks(Path(auth.jwks_file))
    if auth.jwks_url:
        return fetch_jwks(auth.jwks_url, auth.jwks_timeout_s)
    if not auth.hs256_secret_file:
        raise ConfigError(
            "no key for tokens",
            hint="Set auth.jwks_file or auth.jwks_url, or auth.hs256_secret_file (`eyrie up` "
            "makes one by itself).",
        )
    return VerificationKeys("HS256", {LOCAL_KID: read_secret(Path(auth.hs256_secret_file))})


def lifetime_s(auth: AuthSettings, typ: str) -> float:
    """The longest life of a token of this type, seconds."""
    return auth.edge_lifetime_s if typ == "edge" else auth.user_lifetime_s


def issue(
    auth: AuthSettings,
    *,
    sub: str,
    typ: TokenType,
    jti: str,
    now_s: float,
    roles: Sequence[str] = (),
    sites: Sequence[str] = (),
    cameras: Sequence[str] | None = None,
    scopes: Sequence[str] = (),
    lifetime: float | None = None,
) -> str:
    """A development token signed with the HS256 secret, or with `auth.signing_key_file`.

    It lives `lifetime` seconds, by default as long as its type may.

    Raises BadInput for claims that the verifier would refuse, ConfigError where tokens come from an
    identity provider.
    """
    provider = auth.jwks_file or auth.jwks_url
    if provider and not auth.signing_key_file:
        raise ConfigError(
            "tokens are signed by the identity provider of auth.jwks_file or auth.jwks_url",
            hint="Get the token there, or set auth.signing_key_file to a key of `eyrie keys`.",
        )
    lives = lifetime_s(auth, typ) if lifetime is None else lifetime
    if not 1 <= lives <= lifetime_s(auth, typ):
        raise BadInput(
            f"{_a(typ)} token may live 1 to {lifetime_s(auth, typ):.0f} seconds, not {lives:.0f}"
        )
    start = int(now_s)
    claims: dict[str, Any] = {
        "iss": auth.issuer,
        "aud": auth.audience,
        "sub": sub,
        "jti": jti,
        "iat": start,
        "exp": start + int(lives),
        "typ": typ,
        "roles": list(roles),
        "sites": list(sites),
        "scopes": list(scopes),
    }
    if cameras is not None:
        claims["cameras"] = list(cameras)
    if provider:
        key = read_signing_key(Path(auth.signing_key_file))
        return sign(VerificationKeys(key.algorithm, {key.kid: key.pem}), claims, kid=key.kid)
    return sign(load_keys(auth), claims)


def sign(keys: VerificationKeys, claims: dict[str, Any], *, kid: str = LOCAL_KID) -> str:
    """`claims` signed with the HS256 secret or private key `kid` of `keys`.

    Raises BadInput for claims out of shape or a token too long to be accepted, ConfigError for a
    key that cannot sign.
    """
    try:
        msgspec.convert(claims, Claims)
    except msgspec.ValidationError as error:
        raise BadInput(f"these claims make no token: {_out_of_shape(error)}") from error
    try:
        text = jws.sign(
            claims, jwk.construct(keys.by_kid[kid], keys.algorithm), {"kid": kid}, keys.algorithm
        )
    except (JOSEError, ValueError, TypeError) as error:
        raise ConfigError(
            f"the signing key {kid} cannot be used: {type(error).__name__}"
        ) from error
    if len(text) > MAX_TOKEN_BYTES:
        raise BadInput(
            f"the token would have {len(text)} bytes, more than {MAX_TOKEN_BYTES}",
            hint="Name fewer sites or cameras.",
        )
    return str(text)


def _nothing() -> None:
    """Nobody fetches keys."""


def _segment(text: str, limit: int) -> bytes:
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise Unauthorized(_NOT_GENUINE) from error
    if len(data) > limit:
        raise Unauthorized(_NOT_GENUINE)
    return data


def _claims(payload: bytes) -> Claims:
    try:
        return msgspec.convert(_object(payload), Claims)
    except msgspec.ValidationError as error:
        raise Unauthorized(
            f"a claim of the token is missing or out of shape: {_out_of_shape(error)}"
        ) from error


def _out_of_shape(error: msgspec.ValidationError) -> str:
    """Which claim it is, and what is wrong with it. Never its value."""
    what, _, where = str(error).partition(" - at `$.")
    if not where:
        return what
    if "regex" in what:
        what = "it is empty, too long, or holds characters that are not taken"
    return f"`{where.rstrip('`')}`: {what}"


def _object(data: bytes) -> dict[str, Any]:
    """A JSON object of which no key appears twice: parsers disagree about which one counts (ASVS
    1.5.3)."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Unauthorized(_NOT_GENUINE) from error
    if not isinstance(value, dict):
        raise Unauthorized(_NOT_GENUINE)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeio" else f"a {word}"
