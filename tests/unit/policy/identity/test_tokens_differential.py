"""Two implementations of the token port judge the same tokens: python-jose with our checks, and
joserfc with a JSON schema.

The verdict (accepted, over, refused) and the claims are the same but for DIFFERENCES, which
docs/security.md lists too. `SEED` names another run of generated tokens, `EXAMPLES` how many there
are of each algorithm.
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, note, seed, settings
from hypothesis import strategies as st
from joserfc import jwk

from actors.core.errors import Expired, Unauthorized
from policy.decision.model import TokenSigner, TokenVerifier
from policy.identity.keys import ALGORITHMS, read_jwks
from policy.identity.principal import Principal
from policy.identity.tokens import LOCAL_KID, sign
from tests.support.second_tokens import second_sign, token_text
from tests.support.token_issuer import Issuer, Signature, mac
from tests.support.tokens import NOW, b64, claims

SEED = int(os.environ.get("SEED", "20261130"))
FAMILIES = ("HS256", "ES256", "RS256")


class Difference(NamedTuple):
    """Where one refuses what the other takes, and why that is right. `shows`: a token's header and
    payload, decoded, are of this kind."""

    name: str
    why: str
    stricter: str  # whose answer is "refused": "first" or "second"
    shows: Callable[[bytes, bytes], bool]


def _names_twice(data: bytes) -> bool:
    found = []

    def seen(pairs: list[tuple[str, Any]]) -> None:
        found.append(len(dict(pairs)) != len(pairs))

    try:
        json.loads(data, object_pairs_hook=seen)
    except (ValueError, RecursionError):
        return False
    return any(found)


def _not_utf8(data: bytes) -> bool:
    return data.startswith(b"\xef\xbb\xbf") or json.detect_encoding(data) != "utf-8"


def _whole_but_not_written_so(payload: bytes) -> bool:
    try:
        times = [json.loads(payload).get(name) for name in ("iat", "exp", "nbf")]
    except (ValueError, AttributeError, RecursionError):
        return False
    return any(isinstance(time, float) and time.is_integer() for time in times)


IGNORED = ("jku", "jwk", "x5u", "x5c", "cty")


def _ignored_parameter(header: bytes) -> bool:
    try:
        return any(name in json.loads(header) for name in IGNORED)
    except (ValueError, TypeError, RecursionError):
        return False


DIFFERENCES = (
    Difference(
        "A name that stands twice in the header or the claims",
        "readers disagree about which one counts, and RFC 7519, section 4, allows to refuse it; "
        "joserfc takes the last",
        "first",
        lambda header, payload: _names_twice(header) or _names_twice(payload),
    ),
    Difference(
        "JSON that is not UTF-8, or begins with a byte order mark",
        "RFC 7519 says UTF-8; joserfc guesses the encoding",
        "first",
        lambda header, payload: _not_utf8(header) or _not_utf8(payload),
    ),
    Difference(
        "A whole second that is written with a point or an exponent",
        "we take whole numbers as such; a JSON schema takes 1.0 for one",
        "first",
        lambda header, payload: _whole_but_not_written_so(payload),
    ),
    Difference(
        "A malformed `jku`, `jwk`, `x5u`, `x5c` or `cty`",
        "we never look at them, so there is nothing to be wrong; joserfc checks their form",
        "second",
        lambda header, payload: _ignored_parameter(header),
    ),
)


@pytest.fixture(scope="module", params=FAMILIES)
def issuer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(request.param, tmp_path_factory.mktemp("tokens") / request.param)


def verdict(verifier: TokenVerifier, text: str, typ: Any = "user") -> Principal | str:
    """The principal, or how it was refused."""
    try:
        return verifier.verify(text, typ=typ, now_s=NOW)
    except Expired:
        return "over"
    except Unauthorized:
        return "refused"


def compare(issuer: Issuer, text: str) -> Principal | str:
    """The verdict of both. Fails where they differ without a row in DIFFERENCES."""
    ours, theirs = verdict(issuer.first, text), verdict(issuer.second, text)
    if ours != theirs:
        allowed = {"first": ours, "second": theirs}
        rows = [row for row in listed(text) if allowed[row.stricter] == "refused"]
        assert rows, f"SEED={SEED}: python-jose says {ours}, joserfc says {theirs}, of {text!r}"
    return ours


def listed(text: str) -> list[Difference]:
    """The rows of DIFFERENCES that a token shows."""
    parts = text.split(".")
    header, payload = (_decoded(parts[0]), _decoded(parts[1])) if len(parts) > 1 else (b"", b"")
    return [row for row in DIFFERENCES if row.shows(header, payload)]


def _decoded(segment: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        return b""


# ---- tokens of which is known what they must be

GOOD: dict[str, dict[str, Any]] = {
    "plain": {},
    "all claims": {
        "roles": ["viewer", "Prüfer"],
        "sites": ["a", "b"],
        "cameras": ["c"],
        "scopes": ["pii:read"],
        "nbf": NOW - 1,
    },
    "no camera": {"cameras": []},
    "any camera": {"cameras": None},
    "a subject of any script": {"sub": "auth0|5f7c Žofie 東京 🦅", "jti": "jane+ops@example.org"},
    "the longest subject": {"sub": "é" * 255},
    "a list of audiences": {"aud": ["other", "eyrie"]},
    "a clock ahead": {"iat": NOW + 20, "nbf": NOW + 20},
    "unknown claims": {"email": "a@example.org", "x": {"y": [1, None]}},
}
BAD: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "other"},
    "another audience": {"aud": "other"},
    "no audience": {"aud": []},
    "another type": {"typ": "edge"},
    "no subject": {"sub": ...},
    "an empty subject": {"sub": ""},
    "a number for a subject": {"sub": 7},
    "two lines": {"sub": "a\nb"},
    "too long a subject": {"sub": "é" * 256},
    "not yet": {"nbf": NOW + 100},
    "from the future": {"iat": NOW + 100, "exp": NOW + 200},
    "too long a life": {"iat": NOW, "exp": NOW + 3601},
    "over before it began": {"iat": NOW + 5, "exp": NOW + 4},
    "no end": {"exp": ...},
    "an end of text": {"exp": str(NOW + 5)},
    "true for an end": {"exp": True},
    "half a second": {"exp": NOW + 0.5},
    "roles as text": {"roles": "admin"},
    "a site that is none": {"sites": ["A"]},
    "a line after a site": {"sites": ["a\n"]},
    "too many sites": {"sites": ["a"] * 257},
    "null for roles": {"roles": None},
}
HEADERS: dict[str, tuple[dict[str, Any] | bytes, bool]] = {
    "crit": ({"crit": ["exp"], "exp": 1}, False),
    "b64 of text": ({"b64": "JWT"}, False),
    "b64 true": ({"b64": True}, True),
    "b64 false": ({"b64": False}, False),
    "crit of b64": ({"crit": ["b64"], "b64": True}, False),
    "empty crit": ({"crit": []}, False),
    "b64 false and crit": ({"crit": ["b64"], "b64": False}, False),
    "an unknown kid": ({"kid": "nobody"}, False),
    "a kid of a path": ({"kid": "../../etc/passwd"}, False),
    "a number for a kid": ({"kid": 1}, False),
    "no kid": ({"kid": None}, False),
    "another typ": ({"typ": "at+jwt"}, False),
    "a small typ": ({"typ": "jwt"}, False),
    "a private parameter": ({"x-trace": "1"}, True),
    "an address of keys": ({"jku": "http://127.0.0.1:9/keys"}, True),
    "no typ": ({"typ": ...}, True),
    "too long": ({"x": "y" * 600}, False),
    "a key in the header": ({"jwk": {"kty": "oct", "k": "AAAA"}}, True),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_tokens_are_taken_by_both_with_the_same_claims(issuer: Issuer, name: str) -> None:
    made = claims(**GOOD[name])
    taken = compare(issuer, token_text(made, issuer.header, issuer.signature))
    assert isinstance(taken, Principal)
    assert taken.sub == made["sub"]


@pytest.mark.parametrize("name", BAD)
def test_bad_claims_are_refused_by_both(issuer: Issuer, name: str) -> None:
    assert (
        compare(issuer, token_text(claims(**BAD[name]), issuer.header, issuer.signature))
        == "refused"
    )


@pytest.mark.parametrize("name", HEADERS)
def test_headers_are_judged_alike(issuer: Issuer, name: str) -> None:
    change, good = HEADERS[name]
    assert isinstance(change, dict)
    header = {key: value for key, value in {**issuer.header, **change}.items() if value is not ...}
    assert (
        isinstance(compare(issuer, token_text(claims(), header, issuer.signature)), Principal)
        == good
    )


def test_over_is_over_for_both(issuer: Issuer) -> None:
    for end in (NOW, NOW - 1):
        assert (
            compare(
                issuer, token_text(claims(iat=NOW - 100, exp=end), issuer.header, issuer.signature)
            )
            == "over"
        )


def test_no_other_algorithm_and_no_public_key_as_a_secret(issuer: Issuer) -> None:
    signatures: list[Signature] = [
        issuer.signature,
        lambda _: b"",
        *map(mac, issuer.public_forms()),
    ]
    algs: list[Any] = [
        "none",
        "None",
        "",
        None,
        [],
        1,
        "HS384",
        "HS512",
        "PS256",
        "ES512",
        "EdDSA",
        "A128KW",
        *FAMILIES,
    ]
    for alg in algs:
        for signature in signatures:
            text = token_text(claims(), {**issuer.header, "alg": alg}, signature)
            genuine = alg == issuer.algorithm and signature == issuer.signature
            assert isinstance(compare(issuer, text), Principal) == genuine


def test_a_key_goes_by_the_name_it_was_published_under(issuer: Issuer) -> None:
    if issuer.algorithm == "HS256":
        secret = issuer.signing.by_kid[LOCAL_KID]
        thumbprint = jwk.import_key(secret, "oct").thumbprint()
        assert (
            compare(
                issuer, token_text(claims(), {**issuer.header, "kid": thumbprint}, issuer.signature)
            )
            == "refused"
        )
        return
    public = read_jwks(Path(issuer.auth.jwks_file)).by_kid["k1"]
    required = {
        name: public[name] for name in sorted({"kty", "crv", "x", "y", "n", "e"} & public.keys())
    }
    thumbprint = b64(
        hashlib.sha256(json.dumps(required, separators=(",", ":")).encode()).digest()
    )  # RFC 7638, section 3
    assert thumbprint == issuer.thumbprint
    assert isinstance(
        compare(
            issuer, token_text(claims(), {**issuer.header, "kid": thumbprint}, issuer.signature)
        ),
        Principal,
    )
    assert (
        compare(
            issuer,
            token_text(claims(), {**issuer.header, "kid": thumbprint[:-1]}, issuer.signature),
        )
        == "refused"
    )


@pytest.mark.parametrize("signer", [sign, second_sign])
def test_what_either_signs_both_take(issuer: Issuer, signer: TokenSigner) -> None:
    assert isinstance(
        compare(issuer, signer(issuer.signing, claims(sub="Žofie"), kid=issuer.kid)), Principal
    )


def odd_texts(issuer: Issuer) -> Iterator[tuple[str, str]]:
    """Tokens out of form, by name."""
    good = token_text(claims(), issuer.header, issuer.signature)
    head, body, mark = good.split(".")
    whole = json.dumps(claims())
    yield from {
        "nested": token_text(good.encode(), {**issuer.header, "cty": "JWT"}, issuer.signature),
        "five segments": f"{good}.{head}.{mark}",
        "two segments": f"{head}.{body}",
        "no signature": f"{head}.{body}.",
        "an end beside it": good + "AAAA",
        "padding": good + "=",
        "a line after it": good + "\n",
        "a space before it": " " + good,
        "half a signature": good[: -len(mark) // 2],
        "no body": f"{head}..{mark}",
        "a body unencoded": f"{head}.{whole}.{mark}",
        "huge": token_text(claims(pad="x" * 9000), issuer.header, issuer.signature),
        "nothing": "",
        "not ASCII": good.replace("e", "é", 1),
        "no object": token_text(b"[]", issuer.header, issuer.signature),
        "two objects": token_text(b"{}{}", issuer.header, issuer.signature),
        "no JSON": token_text(b"\xff\xfe", issuer.header, issuer.signature),
        "deep": token_text(b"[" * 5000, issuer.header, issuer.signature),
        "a deep header": token_text(claims(), b"[" * 400, issuer.signature),
        "signed unencoded": f"{(b64_head := b64(json.dumps({**issuer.header, 'b64': False}).encode()))}.{body}."  # noqa: E501
        + b64(issuer.signature(f"{b64_head}.{whole}".encode())),
        "a mark before it": token_text(
            b"\xef\xbb\xbf" + whole.encode(), issuer.header, issuer.signature
        ),
        "an end beyond numbers": token_text(
            whole.replace(str(NOW + 600), "1e400").encode(), issuer.header, issuer.signature
        ),
        "an end that is none": token_text(
            whole.replace(str(NOW + 600), "NaN").encode(), issuer.header, issuer.signature
        ),
    }.items()
    for place in (0, len(head), len(head) + 1, len(good) - 1):
        yield (
            f"another letter at {place}",
            good[:place] + ("B" if good[place] != "B" else "C") + good[place + 1 :],
        )


def test_tokens_out_of_form_are_refused_by_both(issuer: Issuer) -> None:
    assert [name for name, text in odd_texts(issuer) if compare(issuer, text) != "refused"] == []


def test_unused_bits_are_no_second_way_to_write_a_token(issuer: Issuer) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    good = token_text(claims(), issuer.header, issuer.signature)
    for end in [
        at
        for at in (good.index("."), good.rindex("."), len(good))
        if len(good[:at].rpartition(".")[2]) % 4
    ]:
        other = alphabet[alphabet.index(good[end - 1]) ^ 1]
        assert compare(issuer, good[: end - 1] + other + good[end:]) == "refused"


# ---- the differences that are known


def samples(issuer: Issuer) -> dict[str, str]:
    """For each row of DIFFERENCES a token that shows it."""
    good = json.dumps(claims())
    twice, mark, point = (
        good.replace("{", '{"sub":"eve",', 1),
        "\ufeff" + good,
        json.dumps(claims(exp=float(NOW + 60))),
    )
    texts = [
        token_text(payload.encode(), issuer.header, issuer.signature)
        for payload in (twice, mark, point)
    ]
    texts.append(token_text(good.encode(), {**issuer.header, "jku": 1}, issuer.signature))
    return dict(zip((row.name for row in DIFFERENCES), texts, strict=True))


def test_every_listed_difference_is_one(issuer: Issuer) -> None:
    made = samples(issuer)
    for row in DIFFERENCES:
        text = made[row.name]
        ours, theirs = verdict(issuer.first, text), verdict(issuer.second, text)
        assert row in listed(text)
        assert ("refused" if row.stricter == "first" else "taken") == (
            ours if isinstance(ours, str) else "taken"
        ), row.name
        assert ("refused" if row.stricter == "second" else "taken") == (
            theirs if isinstance(theirs, str) else "taken"
        ), row.name


def test_the_page_lists_the_same_differences() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "security.md").read_text(
        encoding="utf-8"
    )
    table = page.partition("## Two implementations of tokens")[2].partition("\n## ")[0]
    assert re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", table, re.MULTILINE)[1:] == [
        (row.name, row.why) for row in DIFFERENCES
    ]


# ---- generated tokens

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda some: st.lists(some, max_size=3),
    max_leaves=5,
)
NUMBERS = st.integers(NOW - 4000, NOW + 4000) | st.sampled_from(
    [float(NOW + 5), NOW + 0.5, -1, 2**40, 2**40 + 1, 2**63, 1e300]
)
NAMES = st.text(max_size=6) | st.sampled_from(
    ["a", "*", "eyrie", "user", "edge", "viewer", "A", "a\n", "é" * 129, "x" * 255, "x" * 256]
)
CHANGES = st.dictionaries(
    st.sampled_from(
        [
            "iss",
            "aud",
            "sub",
            "jti",
            "iat",
            "exp",
            "nbf",
            "typ",
            "roles",
            "sites",
            "cameras",
            "scopes",
            "more",
        ]
    ),
    NUMBERS | NAMES | st.lists(NAMES, max_size=3) | JUNK | st.just(...),
    max_size=3,
)
HEADER_CHANGES = st.dictionaries(
    st.sampled_from(
        ["alg", "typ", "kid", "crit", "b64", "cty", "jku", "jwk", "x5c", "zip", "enc", "more"]
    ),
    st.sampled_from(
        ["JWT", "none", *FAMILIES, "local", "k1", ["b64"], True, False, "http://127.0.0.1:9/", ...]
    )
    | JUNK,
    max_size=2,
)
TWICE = st.sampled_from([b"", b'"sub":"eve",', b'"more":1,"more":2,', b'"typ":"edge",'])
EDITS = st.lists(
    st.tuples(
        st.integers(0, 2000),
        st.sampled_from(["A", "b", "_", ".", "=", "+", "/", "\n", "é", "", "AAAA", "..", "e30"]),
    ),
    max_size=1,
)


@seed(SEED)
@settings(
    max_examples=int(os.environ.get("EXAMPLES", "120")),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=CHANGES, header=HEADER_CHANGES, twice=TWICE, genuine=st.integers(0, 9), edits=EDITS)
def test_generated_tokens_are_judged_alike(
    issuer: Issuer,
    changes: dict[str, Any],
    header: dict[str, Any],
    twice: bytes,
    genuine: int,
    edits: list[tuple[int, str]],
) -> None:
    payload = json.dumps(claims(**changes)).encode()
    payload = b"{" + twice + payload[1:] if twice else payload
    head = {key: value for key, value in {**issuer.header, **header}.items() if value is not ...}
    text = token_text(
        payload, head, issuer.signature if genuine else mac(issuer.public_forms()[0] or b"x")
    )
    for place, new in edits:
        at = place % len(text)
        text = text[:at] + new + text[at + 1 :]
    note(f"SEED={SEED}, header {head}, payload {payload!r}")
    compare(issuer, text)


def test_every_algorithm_that_keys_may_have_is_compared() -> None:
    assert {"HS256", *ALGORITHMS} == set(FAMILIES)
