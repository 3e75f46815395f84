"""An OPA server as the engine, through opa-python-client. The only user of opa_client, and of its `query_rule` alone.

The rest of that library stays out of reach on purpose: it can rewrite and upload policies and send its token to any address
(opa-python-client 3.0.0, `opa.py`). One question is one request for the whole package, so that all answers come from one revision.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from opa_client import OpaClient  # type: ignore[import-untyped]

from actors.core.errors import ConfigError
from actors.core.settings import OpaSettings
from policy import guard
from policy.keys import read_secret
from policy.ports import Decision, Question

log = logging.getLogger(__name__)

LOOPBACK = frozenset({"localhost", "127.0.0.1"})


class OpaEngine:
    """`policy.ports.Engine` over HTTP. `revision` is that of the sources the server is expected to hold."""

    def __init__(self, settings: OpaSettings, revision: str) -> None:
        """Makes no request. Raises ConfigError for an address or token file that cannot be used."""
        host, port, tls = _address(settings.url)
        token = read_secret(Path(settings.token_file)).decode("ascii", "strict") if settings.token_file else None
        self.revision = revision
        # retries=0: the caller's deadline is shorter than the library's three tries (measured up to 5.4 s).
        self._client = OpaClient(host=host, port=port, ssl=tls, token=token, retries=0, timeout=settings.timeout_s)

    def decide(self, questions: list[Question]) -> list[Decision]:
        """One decision each, in order; never raises for a question."""
        return [self._decide(question) for question in questions]

    def _decide(self, question: Question) -> Decision:
        if guard.canonical(question) is None:
            return guard.denied(guard.BAD_QUESTION, self.revision)
        asked = {"action": question.action, "subject": question.subject, "resource": question.resource, "context": question.context}
        try:
            answer = self._client.query_rule(input_data=asked, package_path=guard.PACKAGE)
        except (OSError, ValueError, TypeError, RecursionError) as error:  # the errors of `requests` are OSErrors
            log.error("policy error: OPA at %s: %s; denied", self._client.host, type(error).__name__)
            return guard.denied(guard.POLICY_UNAVAILABLE, self.revision)
        made = read_answer(answer, self.revision)
        if made.reason == guard.POLICY_ERROR:
            log.error("policy error: the answer of OPA is undefined or of another type; denied")
        return made

    def close(self) -> None:
        """Close the connections."""
        self._client.close_connection()


def read_answer(answer: Any, revision: str) -> Decision:
    """A decision out of OPA's answer. An undefined package is ``{}`` there: a policy error, and a deny."""
    result = answer.get("result") if isinstance(answer, Mapping) else None
    if not isinstance(result, Mapping):
        return guard.denied(guard.POLICY_ERROR, revision)
    return guard.decision(result.get("allow"), result.get("reason"), result.get("redact"), result.get("max_hz"), revision)


def _address(url: str) -> tuple[str, int, bool]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"opa.url {url!r} is not an address") from error
    if parts.scheme not in ("http", "https") or not host or parts.path not in ("", "/") or parts.query or parts.username or parts.password:
        raise ConfigError("opa.url must be https://host:port without path, query or password")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ConfigError("opa.url: plain http is for loopback only; use https")
    return host, port or 8181, parts.scheme == "https"
