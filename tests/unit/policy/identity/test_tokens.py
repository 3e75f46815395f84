"""Tokens: genuine ones become principals; the bad ones of the bad-input list (85-102) and the
library's traps (J1-J9) are refused."""

import ast
import json
import socket
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import BadInput, ConfigError, Expired, Unauthorized
from actors.core.settings import AuthSettings
from policy.identity import tokens
from policy.identity.principal import Principal, TokenType
from policy.identity.tokens import JwtVerifier, issue
from tests.support.tokens import NOW, auth_settings, b64, claims, forge, secret_of

_FOLDER = tempfile.TemporaryDirectory()
_SHARED_AUTH = auth_settings(Path(_FOLDER.name))
SHARED, SHARED_SECRET = JwtVerifier(_SHARED_AUTH), secret_of(_SHARED_AUTH)
_FOLDER.cleanup()


@pytest.fixture
def auth(tmp_path: Path) -> AuthSettings:
    return auth_settings(tmp_path)


@pytest.fixture
def verifier(auth: AuthSettings) -> JwtVerifier:
    return JwtVerifier(auth)


@pytest.fixture
def secret(auth: AuthSettings) -> bytes:
    return secret_of(auth)


def refused(verifier: JwtVerifier, text: object, *, typ: TokenType = "user") -> Unauthorized:
    with pytest.raises(Unauthorized) as caught:
        verifier.verify(text, typ=typ, now_s=NOW)
    assert len(caught.value.detail) < 300
    return caught.value


def test_what_was_issued_is_verified(auth: AuthSettings, verifier: JwtVerifier) -> None:
    text = issue(
        auth,
        sub="ada",
        typ="user",
        jti="t-1",
        now_s=NOW,
        roles=["viewer"],
        sites=["a", "b"],
        cameras=["c"],
        scopes=["pii:read"],
    )
    assert verifier.verify(text, typ="user", now_s=NOW + 1) == Principal(
        "ada", "t-1", "user", NOW, NOW + 3600, ("viewer",), ("a", "b"), ("c",), ("pii:read",)
    )


@pytest.mark.parametrize(
    "change",
    [
        {"lifetime": 3601.0},
        {"lifetime": 0.0},
        {"sub": ""},
        {"sub": "a\nb"},
        {"jti": "\x00"},
        {"sites": ["A"]},
        {"sites": ["**"]},
        {"cameras": ["c/d"]},
        {"roles": ["r"] * 17},
        {"cameras": [f"camera-with-a-long-name-{n}" for n in range(500)]},
    ],
)
def test_what_would_not_verify_is_not_issued(auth: AuthSettings, change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        issue(auth, **{"sub": "ada", "typ": "user", "jti": "t", "now_s": NOW, **change})


def test_missing_tokens_say_so(verifier: JwtVerifier) -> None:
    for text in (None, ""):
        assert "missing" in refused(verifier, text).detail


def test_an_expired_token_is_told_apart_so_that_clients_renew_it(
    verifier: JwtVerifier, secret: bytes
) -> None:
    text = forge(claims(iat=NOW - 100, exp=NOW - 5), secret)
    with pytest.raises(Expired) as caught:
        verifier.verify(text, typ="user", now_s=NOW)
    assert "5 s ago" in caught.value.detail
    with pytest.raises(Expired):
        verifier.verify(forge(claims(exp=NOW), secret), typ="user", now_s=NOW)
    assert not isinstance(refused(verifier, forge(claims(exp=NOW - 5), b"x" * 32)), Expired)


@pytest.mark.parametrize("typ", ["user", "edge", "service"])
@pytest.mark.parametrize("wanted", ["user", "edge", "service"])
def test_check_03_types_are_not_interchangeable(
    verifier: JwtVerifier, secret: bytes, typ: str, wanted: TokenType
) -> None:
    text = forge(claims(typ=typ), secret)
    if typ == wanted:
        assert verifier.verify(text, typ=wanted, now_s=NOW).typ == typ
    else:
        assert "needed here" in refused(verifier, text, typ=wanted).detail


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "jti", "iat", "exp", "typ"])
def test_check_02_every_claim_is_required(verifier: JwtVerifier, secret: bytes, name: str) -> None:
    refused(verifier, forge(claims(**{name: ...}), secret))


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "other"},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": []},
        {"aud": ["eyrie"] * 10_000},
        {"sub": 7},
        {"jti": None},
        {"typ": "admin"},
        {"roles": "viewer"},
        {"sites": {"a": 1}},
        {"sites": ["*\n"]},
        {"sites": ["a\x00"]},
        {"cameras": [["a"]]},
        {"sub": "ada\n"},
        {"nbf": NOW + 100},
        {"iat": NOW + 100, "exp": NOW + 200},
    ],
)
def test_claims_out_of_place_are_refused(
    verifier: JwtVerifier, secret: bytes, change: dict[str, Any]
) -> None:
    refused(verifier, forge(claims(**change), secret))


def test_check_07_lifetimes_are_capped_by_type(verifier: JwtVerifier, secret: bytes) -> None:
    long = {"iat": NOW, "exp": NOW + 3601}
    assert "longer" in refused(verifier, forge(claims(**long), secret)).detail
    verifier.verify(forge(claims(**long, typ="edge"), secret), typ="edge", now_s=NOW)
    refused(verifier, forge(claims(iat=NOW, exp=NOW + 86_401, typ="edge"), secret), typ="edge")
    refused(verifier, forge(claims(iat=NOW + 5, exp=NOW + 5), secret))


def test_a_clock_slightly_ahead_is_forgiven(verifier: JwtVerifier, secret: bytes) -> None:
    verifier.verify(forge(claims(iat=NOW + 29, nbf=NOW + 29), secret), typ="user", now_s=NOW)


def test_an_audience_list_may_hold_us(verifier: JwtVerifier, secret: bytes) -> None:
    verifier.verify(forge(claims(aud=["other", "eyrie"]), secret), typ="user", now_s=NOW)


@pytest.mark.parametrize(
    "exp",
    [
        "null",
        "[]",
        "Infinity",
        "1e400",
        '"9999999999"',
        "9" * 4301,
        "true",
        "1.8e9",
        "-1",
        "NaN",
        "{}",
    ],
)
def test_89_expiry_of_any_other_type_is_refused(
    verifier: JwtVerifier, secret: bytes, exp: str
) -> None:
    payload = json.dumps(claims()).replace(f'"exp": {NOW + 600}', f'"exp": {exp}').encode()
    refused(verifier, forge(payload, secret))


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b"1",
        b'"text"',
        b"null",
        b"",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b"[" * 3000,
        b'{"a":' * 1000,
    ],
)
def test_88_payloads_that_are_no_claims_are_refused(
    verifier: JwtVerifier, secret: bytes, payload: bytes
) -> None:
    refused(verifier, forge(payload, secret))


def test_check_05_a_claim_twice_is_refused(verifier: JwtVerifier, secret: bytes) -> None:
    payload = json.dumps(claims()).replace('"typ": "user"', '"typ": "edge", "typ": "user"').encode()
    refused(verifier, forge(payload, secret))


@pytest.mark.parametrize(
    "alg",
    ["none", "None", "NONE", "nOnE", [], {}, None, "", "HS384", "RS256", "ES256", "A128KW", 1],
)
def test_check_01_other_algorithms_are_refused(
    verifier: JwtVerifier, secret: bytes, alg: Any
) -> None:
    text = forge(claims(), secret, {"alg": alg, "typ": "JWT"})
    refused(verifier, text)
    refused(verifier, text.rpartition(".")[0] + ".")


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256", "crit": ["exp"]},
        {"alg": "HS256", "crit": []},
        {"alg": "HS256", "typ": "other"},
        {"alg": "HS256", "typ": None},
        {"alg": "HS256", "kid": "../../etc/passwd"},
        {"alg": "HS256", "kid": "x' OR 1=1 --"},
        {"alg": "HS256", "kid": "a\nb"},
        {"alg": "HS256", "kid": None},
        {"alg": "HS256", "kid": ["local"]},
        {"alg": "HS256", "kid": {"a": 1}},
        {"alg": "HS256", "kid": 1},
        b'{"alg":"none","alg":"HS256"}',
        b"[]",
        b"null",
        b'"HS256"',
        b"{",
        b"[" * 500,
        {"alg": "HS256", "pad": "x" * 600},
    ],
)
def test_check_05_headers_out_of_place_are_refused(
    verifier: JwtVerifier, secret: bytes, header: Any
) -> None:
    refused(verifier, forge(claims(), secret, header))


def test_check_06_size_is_checked_before_any_parsing(verifier: JwtVerifier, secret: bytes) -> None:
    deep = b64(b'{"alg":"HS256","a":' + b"[" * 200_000 + b"]" * 200_000 + b"}")
    started = time.process_time()  # other programs may have the machine meanwhile
    refused(verifier, f"{deep}.e30.AAAA")
    refused(verifier, "a" * 6_000_000)
    refused(verifier, "." * 6_000_000)
    refused(verifier, forge(claims(pad="x" * 8192), secret))
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a.b",
        "a.b.c.d",
        "a.b.c.d.e",
        "..",
        "a..c",
        ".b.c",
        "a.b.",
        "é.b.c",
        "\ud800.b.c",
        "a.b.c\n",
        " a.b.c",
        "a.b.c=",
        "a\x00.b.c",
        7,
        b"a.b.c",
        [],
        {},
        object(),
    ],
)
def test_check_06_form_is_checked_before_any_parsing(verifier: JwtVerifier, text: object) -> None:
    refused(verifier, text)


def test_j5_92_junk_in_the_base64_is_refused(verifier: JwtVerifier, secret: bytes) -> None:
    text = forge(claims(), secret)
    verifier.verify(text, typ="user", now_s=NOW)
    for junk in ("=", "==", "\n", "!", " ", "*"):
        refused(verifier, text + junk)
        refused(verifier, text[:-5] + junk + text[-5:])


def test_100_a_nested_token_is_refused(verifier: JwtVerifier, secret: bytes) -> None:
    inner = forge(claims(), secret)
    refused(verifier, forge(inner.encode(), secret, {"alg": "HS256", "cty": "JWT"}))


def test_check_13_unknown_key_and_bad_signature_look_the_same(
    verifier: JwtVerifier, secret: bytes
) -> None:
    unknown = refused(verifier, forge(claims(), secret, {"alg": "HS256", "kid": "nobody"}))
    bad = refused(verifier, forge(claims(), b"y" * 32))
    malformed = refused(verifier, "no token at all")
    assert unknown.detail == bad.detail == malformed.detail


@given(st.text(max_size=200) | st.binary(max_size=200) | st.none() | st.integers())
def test_nothing_but_unauthorized_comes_out_whatever_goes_in(text: object) -> None:
    refused(SHARED, text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        st.lists,
        max_leaves=10,
    ),
    st.sampled_from(sorted(claims())),
)
def test_nothing_but_unauthorized_comes_out_whatever_a_claim_holds(
    value: object, name: str
) -> None:
    text = forge(claims(**{name: value}), SHARED_SECRET)
    try:
        SHARED.verify(text, typ="user", now_s=NOW)
    except Unauthorized:
        return
    assert name not in ("iss", "aud", "typ") or value in ("eyrie", "user", ["eyrie"])


# ---- an identity provider's keys


def public_jwk(kid: str, key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {
        "kty": "EC",
        "kid": kid,
        "crv": "P-256",
        "x": b64(numbers.x.to_bytes(32, "big")),
        "y": b64(numbers.y.to_bytes(32, "big")),
    }


def es256(payload: dict[str, Any], key: ec.EllipticCurvePrivateKey, **header: Any) -> str:
    # signs as a provider would; only tests may
    from jose import jwt  # type: ignore[import-untyped]

    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return str(jwt.encode(payload, pem.decode(), algorithm="ES256", headers=header))


def with_keys(folder: Path, *keys: dict[str, str]) -> AuthSettings:
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": keys}))
    path.chmod(0o644)
    return AuthSettings(jwks_file=str(path))


def test_check_12_keys_overlap_and_a_retired_one_is_refused(tmp_path: Path) -> None:
    old, new = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    both = JwtVerifier(with_keys(tmp_path, public_jwk("old", old), public_jwk("new", new)))
    for kid, key in (("old", old), ("new", new)):
        assert both.verify(es256(claims(), key, kid=kid), typ="user", now_s=NOW).sub == "ada"
    refused(both, es256(claims(), old, kid="new"))
    refused(both, es256(claims(), old))
    after = JwtVerifier(with_keys(tmp_path, public_jwk("new", new)))
    refused(after, es256(claims(), old, kid="old"))


def test_check_04_keys_and_addresses_in_a_header_are_not_followed(tmp_path: Path) -> None:
    key, thief = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    verifier = JwtVerifier(with_keys(tmp_path, public_jwk("a", key)))
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
        for header in (
            {"jwk": public_jwk("a", thief)},
            {"jku": url},
            {"x5u": url},
            {"x5c": ["AAAA"]},
        ):
            refused(verifier, es256(claims(), thief, kid="a", **header))
            refused(verifier, es256(claims(), thief, kid="unknown", **header))
            refused(verifier, es256(claims(), thief, **header))
            assert (
                verifier.verify(es256(claims(), key, kid="a", **header), typ="user", now_s=NOW).sub
                == "ada"
            )
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_check_01_a_public_key_is_no_hmac_secret(tmp_path: Path) -> None:
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    public = private.public_key()
    numbers = public.public_numbers()
    key = {
        "kty": "RSA",
        "kid": "r",
        "n": b64(numbers.n.to_bytes(256, "big")),
        "e": b64(numbers.e.to_bytes(3, "big")),
    }
    verifier = JwtVerifier(with_keys(tmp_path, key))
    spki, pkcs1 = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1
    secrets = [
        public.public_bytes(serialization.Encoding.DER, spki),
        public.public_bytes(serialization.Encoding.DER, pkcs1),
        public.public_bytes(serialization.Encoding.PEM, spki),
        public.public_bytes(serialization.Encoding.PEM, pkcs1),
        public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
        json.dumps(key).encode(),
        b"",
    ]
    for secret in secrets:
        for alg in ("HS256", "RS256"):
            refused(verifier, forge(claims(), secret, {"alg": alg, "kid": "r"}))


def test_a_key_that_is_no_key_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        JwtVerifier(
            with_keys(tmp_path, {"kty": "EC", "kid": "a", "crv": "P-256", "x": "AAAA", "y": "AAAA"})
        )
    with pytest.raises(ConfigError, match="no key"):
        JwtVerifier(AuthSettings())


def test_with_an_identity_provider_nothing_is_issued_here(tmp_path: Path) -> None:
    auth = with_keys(tmp_path, public_jwk("a", ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(ConfigError, match="identity provider"):
        issue(auth, sub="ada", typ="user", jti="t", now_s=NOW)


def test_j8_the_cryptography_backend_does_the_work() -> None:
    from jose import backends

    assert "cryptography" in backends.ECKey.__module__
    assert "cryptography" in backends.HMACKey.__module__


def test_j7_j9_the_library_stays_in_one_module() -> None:
    root = Path(tokens.__file__).parents[2]
    users = set()
    for folder in ("actors", "storage", "policy", "hub", "cluster", "edge", "load_tests"):
        for path in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += (
                    [f"{node.module}.{a.name}" for a in node.names]
                    if isinstance(node, ast.ImportFrom) and node.module
                    else []
                )
                if any(name.split(".")[0] == "jose" for name in names):
                    users.add(path.name)
                    assert not any("jwe" in name for name in names)
    assert users == {"tokens.py"}
