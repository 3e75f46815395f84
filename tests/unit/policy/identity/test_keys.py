"""Key files: who may read them, and what may stand in them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from actors.core.errors import ConfigError
from policy.identity.keys import ensure_secret, parse_jwks, read_jwks, read_secret

EC_KEY = {
    "kty": "EC",
    "kid": "a",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}


def test_a_secret_is_made_once_and_only_for_us(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    first = ensure_secret(path)
    assert ensure_secret(path) == first == read_secret(path)
    assert len(first) >= 32
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_newline_at_its_end_is_no_part_of_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"x" * 40 + b"\r\n")
    path.chmod(0o600)
    assert read_secret(path) == b"x" * 40


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 31 + b"\n", b"x" * 5000])
def test_j6_a_short_or_endless_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="bytes"):
        read_secret(path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    ensure_secret(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_secret(path)


def test_a_missing_secret_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read_secret(tmp_path / "absent")
    with pytest.raises(ConfigError):
        read_secret(tmp_path)
    with pytest.raises(ConfigError):
        ensure_secret(tmp_path / "no" / "folder")


def test_a_secret_is_never_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError):
        ensure_secret(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


def test_public_keys_are_read_by_their_kid(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [EC_KEY, {**EC_KEY, "kid": "b"}]}))
    path.chmod(0o644)
    keys = read_jwks(path)
    assert keys.algorithm == "ES256"
    assert set(keys.by_kid) == {"a", "b"}


def test_a_key_file_that_others_may_change_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [EC_KEY]}))
    os.chmod(path, 0o666)
    with pytest.raises(ConfigError, match="changed by others"):
        read_jwks(path)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ([], "1 to 16"),
        ([EC_KEY] * 17, "1 to 16"),
        ([EC_KEY, EC_KEY], "twice"),
        ([{**EC_KEY, "kid": ""}], "kid"),
        ([{k: v for k, v in EC_KEY.items() if k != "kid"}], "kid"),
        (["text"], "kid"),
        ([{**EC_KEY, "d": "private"}], "private"),
        ([{"kty": "oct", "kid": "s", "alg": "HS256", "k": "AAAA"}], "ES256"),
        ([{**EC_KEY, "alg": "none"}], "ES256"),
        ([{**EC_KEY, "alg": "RS256"}], "ES256"),
        ([{**EC_KEY, "crv": "P-384"}], "P-256"),
        ([{**EC_KEY, "use": "enc"}], "signatures"),
        ([{"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"}], "2048"),
        ([EC_KEY, {"kty": "RSA", "kid": "r", "n": "A" * 342, "e": "AQAB"}], "one algorithm"),
    ],
)
def test_a_key_file_out_of_shape_is_refused_with_what_to_mend(keys: list[Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_jwks(json.dumps({"keys": keys}).encode(), "jwks")


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"keys": 1}'])
def test_a_key_file_that_is_no_key_file_is_refused(text: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_jwks(text, "jwks")


def test_a_huge_key_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(b" " * 300_000)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="longer"):
        read_jwks(path)
