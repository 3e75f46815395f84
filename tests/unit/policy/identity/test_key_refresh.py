"""Keys that change: files and URLs are followed, a bad one is not, and old keys do not hold for
ever."""

import asyncio
import json
import stat
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from actors.core.errors import BadInput, ConfigError, NotFound, Unauthorized
from actors.core.settings import AuthSettings
from cluster.cli.main import main
from policy.identity import key_pairs
from policy.identity.jwks_fetch import fetch_jwks
from policy.identity.key_refresh import KeyRefresher
from policy.identity.keys import MAX_JWKS_BYTES
from policy.identity.tokens import JwtVerifier, issue
from tests.support.tokens import NOW
from tests.support.waiting import until


def auth_of(folder: Path, **changes: Any) -> AuthSettings:
    return AuthSettings(
        jwks_file=str(folder / "jwks.json"),
        signing_key_file=str(folder / "signing.json"),
        **changes,
    )


def token(auth: AuthSettings) -> str:
    return issue(auth, sub="ada", typ="user", jti="t", now_s=NOW)


def good(verifier: JwtVerifier, text: str) -> bool:
    try:
        return verifier.verify(text, typ="user", now_s=NOW).sub == "ada"
    except Unauthorized:
        return False


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_check_12_made_rotated_and_retired_keys(tmp_path: Path, algorithm: str) -> None:
    first = key_pairs.make(tmp_path, algorithm)
    assert stat.S_IMODE((tmp_path / "signing.json").stat().st_mode) == 0o600
    old_token, old = token(auth_of(tmp_path)), JwtVerifier(auth_of(tmp_path))
    assert old.algorithm == algorithm
    assert good(old, old_token)
    second = key_pairs.rotate(tmp_path, overlap_s=60, now_s=NOW)
    both, new_token = JwtVerifier(auth_of(tmp_path)), token(auth_of(tmp_path))
    assert good(both, old_token)
    assert good(both, new_token)
    assert not good(old, new_token)
    with pytest.raises(BadInput, match="signs"):
        key_pairs.retire(tmp_path, second)
    with pytest.raises(NotFound):
        key_pairs.retire(tmp_path, "nobody")
    key_pairs.retire(tmp_path, first)
    after = JwtVerifier(auth_of(tmp_path))
    assert not good(after, old_token)
    assert good(after, new_token)
    key_pairs.rotate(tmp_path, overlap_s=60, now_s=NOW)
    key_pairs.rotate(tmp_path, overlap_s=60, now_s=NOW + 61)
    assert second not in {key["kid"] for key in key_pairs.published(tmp_path)}, (
        "its overlap was over"
    )
    with pytest.raises(BadInput, match="already"):
        key_pairs.make(tmp_path, algorithm)


def test_a_private_key_is_neither_printed_nor_read_by_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "keys"
    for action in (["make"], ["rotate"], ["list", "--json"]):
        assert main(["keys", *action, "--folder", str(folder)]) == 0
    printed = capsys.readouterr()
    key = key_pairs.read_signing_key(folder / "signing.json")
    for line in key.pem.splitlines():
        assert (
            line not in printed.out + printed.err + repr(key) + (folder / "jwks.json").read_text()
        )
    (folder / "signing.json").chmod(0o640)
    assert main(["keys", "list", "--folder", str(folder)]) == 2
    with pytest.raises(ConfigError, match="chmod 600"):
        token(auth_of(folder))


async def test_a_changed_key_file_is_followed_and_a_bad_one_is_not(tmp_path: Path) -> None:
    key_pairs.make(tmp_path, "ES256")
    auth = auth_of(tmp_path, jwks_keep_s=0.3)
    verifier, old_token = JwtVerifier(auth), token(auth)
    watch = KeyRefresher(verifier, auth, file_poll_s=0.02)
    watch.start()
    try:
        key_pairs.rotate(tmp_path, overlap_s=60, now_s=NOW)
        new_token = token(auth)
        await until(lambda: good(verifier, new_token))
        assert good(verifier, old_token)
        public = (tmp_path / "jwks.json").read_bytes()
        reads = watch.reads
        (tmp_path / "jwks.json").write_bytes(b"{")
        await until(lambda: watch.reads > reads)
        await until(
            lambda: not good(verifier, new_token)
        )  # after jwks_keep_s, not before: the next test shows that
        (tmp_path / "jwks.json").write_bytes(public)
        await until(lambda: good(verifier, new_token))
    finally:
        await watch.stop()


async def test_last_good_keys_hold_while_the_file_is_bad_or_changes_its_algorithm(
    tmp_path: Path,
) -> None:
    key_pairs.make(tmp_path, "ES256")
    key_pairs.make(tmp_path / "other", "RS256")
    auth = auth_of(tmp_path)
    verifier, text = JwtVerifier(auth), token(auth)
    watch = KeyRefresher(verifier, auth, file_poll_s=0.02)
    watch.start()
    try:
        for bad in (b"{", b'{"keys": []}', (tmp_path / "other" / "jwks.json").read_bytes()):
            reads = watch.reads
            (tmp_path / "jwks.json").write_bytes(bad)
            await until(lambda before=reads: watch.reads > before + 1)  # type: ignore[misc]
            assert good(verifier, text)
            assert verifier.algorithm == "ES256"
    finally:
        await watch.stop()


class Provider:
    """An identity provider on loopback; `answer(handler)` writes the answer."""

    def __init__(self) -> None:
        self.answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: self.send(
            handler, b"{}"
        )
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                outer.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def send(
        self, handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str
    ) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def serve(self, path: Path) -> None:
        self.answer = lambda handler: self.send(handler, path.read_bytes())


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.server.shutdown()
    made.server.server_close()


async def test_an_unknown_kid_fetches_once_per_interval(tmp_path: Path, provider: Provider) -> None:
    key_pairs.make(tmp_path, "ES256")
    provider.serve(tmp_path / "jwks.json")
    signer = auth_of(tmp_path)
    auth = AuthSettings(jwks_url=provider.url, jwks_unknown_kid_s=0.3)
    verifier = await asyncio.to_thread(JwtVerifier, auth)
    watch = KeyRefresher(verifier, auth)
    watch.start()
    try:
        key_pairs.rotate(tmp_path, overlap_s=60, now_s=NOW)
        text, began = token(signer), time.monotonic()
        await until(lambda: good(verifier, text))
        key_pairs.make(tmp_path / "x", "ES256")
        stranger = auth_of(tmp_path / "x")
        forged, before = token(stranger), provider.asked

        def flooded() -> bool:
            assert not good(verifier, forged)
            return provider.asked >= before + 2

        await until(flooded)
        assert provider.asked <= 2 + (time.monotonic() - began) / 0.3, (
            "a flood of unknown kids is no flood at the provider"
        )
        assert good(verifier, text)
    finally:
        await watch.stop()


@pytest.mark.parametrize("case", ["too long", "elsewhere", "slow", "status", "not keys"])
def test_a_fetch_is_bounded_and_stays_at_its_host(
    tmp_path: Path, provider: Provider, case: str
) -> None:
    key_pairs.make(tmp_path, "ES256")
    provider.serve(tmp_path / "jwks.json")
    assert fetch_jwks(provider.url, 5.0).algorithm == "ES256"
    ended = threading.Event()

    def dribble(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not ended.wait(0.02):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return

    answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
        "too long": lambda handler: provider.send(handler, b" " * (MAX_JWKS_BYTES + 1)),
        "elsewhere": lambda handler: provider.send(
            handler, b"", 302, location=provider.url.replace("127.0.0.1", "localhost")
        ),
        "slow": dribble,
        "status": lambda handler: provider.send(handler, b"{}", 500),
        "not keys": lambda handler: provider.send(
            handler, json.dumps({"keys": [{"kty": "oct", "kid": "a", "k": "AA"}]}).encode()
        ),
    }
    provider.answer = answers[case]
    try:
        with pytest.raises(ConfigError):
            fetch_jwks(provider.url, 0.3 if case == "slow" else 5.0)
    finally:
        ended.set()


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example/keys",
        "file:///etc/passwd",
        "https://user:word@idp.example/",
        "keys.json",
        "http://[::ffff:10.0.0.1]/",
    ],
)
def test_keys_come_by_https_only(url: str) -> None:
    with pytest.raises(ConfigError):
        fetch_jwks(url, 1.0)
