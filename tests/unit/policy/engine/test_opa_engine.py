"""Answers of an OPA server, well formed or not, and addresses that may be used. The real server is
asked in the contract tests."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from actors.core.errors import ConfigError
from actors.core.settings import OpaSettings
from policy.decision import bounds
from policy.decision.model import Decision, DecisionInput
from policy.engine.opa_engine import OpaEngine, read_answer

never = threading.Event()
GOOD = {
    "allow": True,
    "reason": "allowed",
    "redact": ["plates"],
    "max_hz": 2,
    "granted": True,
    "revision": "r1",
}


class _Server(BaseHTTPRequestHandler):
    """Answers every POST with `status` and `body`; `wait` is waited for first."""

    status: ClassVar[int] = 200
    body: ClassVar[bytes] = b"{}"
    wait: ClassVar[threading.Event | None] = None
    drip_s: ClassVar[float] = 0.0  # between two bytes
    asked: ClassVar[list[tuple[str, Any]]] = []

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked.append((self.path, json.loads(data)))
        if self.wait is not None:
            self.wait.wait(10)
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            for at in range(0, len(self.body), 1 if self.drip_s else max(1, len(self.body))):
                self.wfile.write(self.body[at : at + 1] if self.drip_s else self.body)
                never.wait(self.drip_s)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[type[_Server], str]]:
    handler = type("Handler", (_Server,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield handler, f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()
        thread.join(10)


def decide(url: str, asked: DecisionInput | None = None) -> Decision:
    engine = OpaEngine(OpaSettings(url=url), "r1", now=lambda: 1000.9)
    try:
        (made,) = engine.decide([asked or DecisionInput("connect", {"roles": ["viewer"]}, {})])
        return made
    finally:
        engine.close()


def test_one_question_is_one_request_for_the_package(server: tuple[type[_Server], str]) -> None:
    handler, url = server
    handler.body = json.dumps({"result": GOOD}).encode()
    assert decide(url) == Decision(True, "allowed", "r1", ("plates",), 2.0)
    question = {
        "action": "connect",
        "subject": {"roles": ["viewer"]},
        "resource": {},
        "context": {},
        "now": 1000,
    }
    assert handler.asked == [("/v1/data/eyrie/authz", {"input": question})]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"result":null}',
        b'{"result":"true"}',
        b'{"result":true}',
        b'{"result":[]}',
        b"[]",
        b"null",
        b"true",
        b'"x"',
        b'{"result":{}}',
        b'{"result":{"revision":"r1","allow":"true","reason":"allowed","redact":[]}}',
        b'{"result":{"revision":"r1","allow":1,"reason":"a"}}',
        b'{"result":{"revision":"r1","allow":true}}',
        b'{"result":{"revision":"r1","allow":true,"reason":"allowed","redact":{"a":1}}}',
        b'{"result":{"revision":"r1","allow":true,"reason":"allowed","redact":["Plates!"]}}',
    ],
)
def test_121_undefined_and_other_types_are_policy_errors(
    server: tuple[type[_Server], str], body: bytes
) -> None:
    handler, url = server
    handler.body = body
    assert decide(url) == bounds.denied(bounds.POLICY_ERROR, "r1")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b""),
        (200, b"{"),
        (200, b"[" * 100_000),
        (500, b"{}"),
        (503, b"{}"),
        (404, b"{}"),
        (401, b"{}"),
        (302, b""),
    ],
)
def test_121_errors_are_no_decision(
    server: tuple[type[_Server], str], status: int, body: bytes
) -> None:
    handler, url = server
    handler.status, handler.body = status, body
    assert decide(url).allow is False
    assert len(handler.asked) == 1  # never asked twice


def test_121_an_answer_that_never_comes_is_waited_for_only_so_long(
    server: tuple[type[_Server], str],
) -> None:
    handler, url = server
    handler.wait = threading.Event()
    try:
        assert decide(url) == bounds.denied(bounds.POLICY_UNAVAILABLE, "r1")
    finally:
        handler.wait.set()


def test_121_a_good_answer_of_10_mb_is_no_decision(server: tuple[type[_Server], str]) -> None:
    handler, url = server
    handler.body = json.dumps({"result": GOOD, "pad": "x" * 10_000_000}).encode()
    assert decide(url) == bounds.denied(bounds.POLICY_UNAVAILABLE, "r1")
    handler.body = json.dumps({"result": GOOD, "pad": "x" * 10_000}).encode()
    assert decide(url).allow


def test_121_a_good_answer_that_drips_is_no_decision(server: tuple[type[_Server], str]) -> None:
    handler, url = server
    handler.body, handler.drip_s = json.dumps({"result": GOOD}).encode(), 0.02
    started = time.monotonic()
    assert decide(url) == bounds.denied(bounds.POLICY_UNAVAILABLE, "r1")
    assert time.monotonic() - started < len(handler.body) * handler.drip_s


@pytest.mark.parametrize(
    "body",
    [b'{"code":"internal_error"}', b'{"errors":[{"code":"x"}]}', b'{"result":{"error":"x"}}'],
)
def test_121_an_error_with_status_200_is_no_decision(
    server: tuple[type[_Server], str], body: bytes
) -> None:
    handler, url = server
    handler.body = body
    assert decide(url) == bounds.denied(bounds.POLICY_ERROR, "r1")


def test_nobody_there_is_a_deny() -> None:
    assert decide("http://127.0.0.1:1") == bounds.denied(bounds.POLICY_UNAVAILABLE, "r1")


def test_bad_questions_are_not_asked(server: tuple[type[_Server], str]) -> None:
    handler, url = server
    assert decide(url, DecisionInput("connect", {"who": "a\x00"}, {})).reason == bounds.BAD_QUESTION
    assert handler.asked == []


@pytest.mark.parametrize("served", [None, "", "r2", ["r1"], True])
def test_120_an_answer_of_another_revision_is_no_decision(
    server: tuple[type[_Server], str], served: object
) -> None:
    handler, url = server
    handler.body = json.dumps({"result": GOOD | {"revision": served}}).encode()
    assert decide(url) == bounds.denied(bounds.POLICY_ERROR, "r1")


def test_a_deny_carries_the_reason_and_no_obligation() -> None:
    assert read_answer(
        {"result": {"allow": False, "reason": "no_role", "revision": "r"}}, "r"
    ) == bounds.denied("no_role", "r")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "opa",
        "ftp://localhost",
        "http://opa.example",
        "https://",
        "https://a/path",
        "https://a?x=1",
        "https://u:p@a",
        "http://[",
        "https://a:99999999",
    ],
)
def test_addresses_that_leak_or_mean_nothing_are_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        OpaEngine(OpaSettings(url=url), "r")


def test_a_token_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("t" * 40)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        OpaEngine(OpaSettings(url="https://opa.example:8181", token_file=str(path)), "r")
