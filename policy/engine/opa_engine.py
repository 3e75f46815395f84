"""An OPA server as the engine, through opa-python-client. The only user of opa_client, and of
`query_rule` and three calls of its policy API alone: the rest of that library can send its token to
any address (opa-python-client 3.0.0, `opa.py`).

One question is one request for the whole package, so that all answers come from one revision, and
the answer must name it: the rule ``eyrie.authz.revision``, which :func:`revision_module` defines
and nothing else. A server that serves anything else answers nothing.
"""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from opa_client import OpaClient  # type: ignore[import-untyped]
from opa_client.errors import DeletePolicyError, RegoParseError  # type: ignore[import-untyped]

from actors.core.errors import ConfigError, Unavailable
from actors.core.settings import OpaSettings
from policy.decision import bounds
from policy.decision.model import Decision, DecisionInput
from policy.identity.keys import read_secret

log = logging.getLogger(__name__)

OURS = "eyrie-"  # how the names of our modules begin on the server
REVISION_MODULE = "revision.rego"
MAX_ANSWER_BYTES = 65_536  # ours have a few hundred
PUSH_TIMEOUT_S = 5.0  # for each module
LOOPBACK = frozenset({"localhost", "127.0.0.1"})


class OpaEngine:
    """`policy.decision.model.Engine` over HTTP. `revision` is that of the sources the server is
    expected to hold."""

    def __init__(
        self, settings: OpaSettings, revision: str, now: Callable[[], float] = time.time
    ) -> None:
        """Makes no request. `now` tells seconds since 1970. Raises ConfigError for an address or
        token file that cannot be used."""
        host, port, tls = _address(settings.url)
        token = (
            read_secret(Path(settings.token_file)).decode("ascii", "strict")
            if settings.token_file
            else None
        )
        self.revision = revision
        self._now = now
        self._sources: dict[str, str] | None = None
        self._push = {
            "host": host,
            "port": port,
            "ssl": tls,
            "token": token,
            "retries": 0,
            "timeout": PUSH_TIMEOUT_S,
        }
        # retries=0: the caller's deadline is shorter than the library's three tries (measured up to
        # 5.4 s).
        self._client = OpaClient(
            host=host, port=port, ssl=tls, token=token, retries=0, timeout=settings.timeout_s
        )
        self._client._session.hooks["response"].append(_bounded(settings.timeout_s))

    def decide(self, questions: list[DecisionInput]) -> list[Decision]:
        """One decision each, in order; never raises for a question."""
        return [self._decide(question) for question in questions]

    def _decide(self, question: DecisionInput) -> Decision:
        if bounds.canonical(question) is None:
            return bounds.denied(bounds.BAD_QUESTION, self.revision)
        asked = msgspec.to_builtins(question) | {"now": int(self._now())}
        try:
            answer = self._client.query_rule(input_data=asked, package_path=bounds.PACKAGE)
        except (
            OSError,
            ValueError,
            TypeError,
            RecursionError,
        ) as error:  # the errors of `requests` are OSErrors
            log.error(
                "policy error: OPA at %s: %s; denied", self._client.host, type(error).__name__
            )
            return bounds.denied(bounds.POLICY_UNAVAILABLE, self.revision)
        made = read_answer(answer, self.revision)
        if made.reason == bounds.POLICY_ERROR:
            log.error(
                "policy error: the answer of OPA is undefined, of another type or of another "
                "revision; denied"
            )
        return made

    def push(self, sources: Mapping[str, str]) -> None:
        """Have the server serve `sources` and nothing else of ours. Raises ConfigError when it
        refuses a module, Unavailable.

        Until the last module is there the server names no revision, so nobody is answered out of a
        mixture. Another thread may decide meanwhile.
        """
        client = OpaClient(**self._push)
        try:
            for name in client.get_policies_list():
                if name.startswith(OURS):
                    client.delete_policy(name)
            for name in [*sorted(sources), REVISION_MODULE]:
                text = sources.get(name) or revision_module(self.revision)
                # rego_compat rewrites what the server refuses; a policy is what was reviewed or
                # nothing.
                client.update_policy_from_string(text, OURS + name, rego_compat=False)
        except (RegoParseError, DeletePolicyError) as error:
            raise ConfigError(f"OPA refuses the policy: {str(error)[:300]}") from error
        except (
            OSError,
            ValueError,
            TypeError,
            AttributeError,
        ) as error:  # the errors of `requests` are OSErrors
            raise Unavailable(f"OPA does not take the policy: {type(error).__name__}") from error
        finally:
            client.close_connection()
        self._sources = dict(sources)

    def keep(self) -> None:
        """Push again what was pushed if the server has lost it (it restarted). Raises what `push`
        raises."""
        if self._sources is None:
            return
        client = OpaClient(**self._push)
        try:
            found = client.query_rule(
                input_data={}, package_path=bounds.PACKAGE, rule_name="revision"
            )
        except (OSError, ValueError) as error:
            raise Unavailable(f"OPA does not answer: {type(error).__name__}") from error
        finally:
            client.close_connection()
        if not isinstance(found, Mapping) or found.get("result") != self.revision:
            log.warning(
                "OPA does not serve revision %s any more; it gets it again", self.revision[:12]
            )
            self.push(self._sources)

    def close(self) -> None:
        """Close the connections."""
        self._client.close_connection()


def _bounded(timeout_s: float) -> Callable[..., Any]:
    """A hook of `requests` that reads an answer within bounds of size and time; the library reads
    whatever comes, however slowly.

    What is beyond them raises, and so denies.
    """

    def read(response: Any, *_: Any, **__: Any) -> Any:
        deadline, held = time.monotonic() + timeout_s, bytearray()
        while chunk := response.raw.read1(MAX_ANSWER_BYTES, decode_content=True):
            held += chunk
            if len(held) > MAX_ANSWER_BYTES:
                response.close()
                raise ValueError(f"an answer has at most {MAX_ANSWER_BYTES} bytes")
            if time.monotonic() > deadline:
                response.close()
                raise TimeoutError("the answer was not whole in time")
        response._content = bytes(held)
        return response

    return read


def revision_module(revision: str) -> str:
    """The module that tells which revision a server serves."""
    return f'package eyrie.authz\n\nrevision := "{revision}"\n'


def read_answer(answer: Any, revision: str) -> Decision:
    """A decision out of OPA's answer. An undefined package is ``{}`` there: a policy error, and a
    deny; so is another revision."""
    result = answer.get("result") if isinstance(answer, Mapping) else None
    if not isinstance(result, Mapping) or result.get("revision") != revision:
        return bounds.denied(bounds.POLICY_ERROR, revision)
    return bounds.decision(
        result.get("allow"),
        result.get("reason"),
        result.get("redact"),
        result.get("max_hz"),
        revision,
        result.get(bounds.UNTIL),
    )


def _address(url: str) -> tuple[str, int, bool]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"opa.url {url!r} is not an address") from error
    if (
        parts.scheme not in ("http", "https")
        or not host
        or parts.path not in ("", "/")
        or parts.query
        or parts.username
        or parts.password
    ):
        raise ConfigError("opa.url must be https://host:port without path, query or password")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ConfigError("opa.url: plain http is for loopback only; use https")
    return host, port or 8181, parts.scheme == "https"
