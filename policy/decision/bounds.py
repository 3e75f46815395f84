"""What may come near a Rego engine, and what may come out of it. Pure; both engines and the gate
share it.

Traps R2, R6, R7, R9 of the embedded engine (NUL cuts strings, long or deep values crash it, big
integers wrap): only short identifiers, booleans, null, small integers and shallow containers pass.
Whatever does not is denied, never repaired.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from policy.decision.model import Decision, DecisionInput

MAX_DEPTH = 8
MAX_ITEMS = 1024  # of one list or mapping
MAX_BYTES = 65_536  # of one encoded question
MAX_INTEGER = 2**53
# Statements of one answer. The packaged policy needs about 500 for the largest question that passes
# here.
MAX_STEPS = 50_000
MAX_BATCH = 256  # questions in one call

PACKAGE = "eyrie/authz"
ENTRYPOINTS = ("allow", "reason", "redact", "max_hz")
UNTIL = "valid_until"  # an entrypoint that only policies with time windows need

_IDENTIFIER = re.compile(
    r"\A[A-Za-z0-9._:@/*~%-]{0,1536}\Z"
)  # 128 characters of any script, each up to 12 when encoded
_WORD = re.compile(r"\A[a-z_]{1,64}\Z")
_encoder = msgspec.json.Encoder(order="deterministic")

BAD_QUESTION = "bad_question"  # not asked: the question is out of bounds
POLICY_ERROR = "policy_error"  # asked: undefined, an error, or no boolean
# asked: given up after so many steps that others could not be answered; the same question will be
# again
POLICY_OVERRUN = "policy_overrun"
POLICY_UNAVAILABLE = "policy_unavailable"  # no answer in time
POLICY_STALE = "policy_stale"  # revision and revocations could not be read for too long
# they say nothing about the question: whoever is denied so may ask again
TRANSIENT = frozenset({POLICY_UNAVAILABLE, POLICY_STALE})
UNCACHED = TRANSIENT | {POLICY_ERROR}


def canonical(question: DecisionInput) -> bytes | None:
    """The question as sorted JSON (the engine's input and the cache's key), or None when it is out
    of bounds."""
    try:
        if not _fits(msgspec.to_builtins(question), MAX_DEPTH):
            return None
        text = _encoder.encode(question)
    except (TypeError, ValueError, RecursionError):
        return None
    return text if len(text) <= MAX_BYTES else None


def _fits(value: Any, depth: int) -> bool:
    if isinstance(value, str):
        return _IDENTIFIER.match(value) is not None
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int):
        return -MAX_INTEGER <= value <= MAX_INTEGER
    if depth == 0 or not isinstance(value, (dict, list)) or len(value) > MAX_ITEMS:
        return False
    if isinstance(value, dict):
        return all(
            isinstance(k, str) and _fits(k, 0) and _fits(v, depth - 1) for k, v in value.items()
        )
    return all(_fits(item, depth - 1) for item in value)


def denied(reason: str, revision: str) -> Decision:
    """A deny."""
    return Decision(False, reason, revision)


def decision(
    allow: Any, reason: Any, redact: Any, max_hz: Any, revision: str, valid_until: Any = None
) -> Decision:
    """A decision out of the answers of an engine. Anything of another type than the entrypoint's is
    a policy error, and a deny."""
    if not isinstance(allow, bool) or not isinstance(reason, str) or not _WORD.match(reason):
        return denied(POLICY_ERROR, revision)
    if valid_until is not None and (
        isinstance(valid_until, bool)
        or not isinstance(valid_until, (int, float))
        or not 0 < valid_until < MAX_INTEGER
    ):
        return denied(POLICY_ERROR, revision)
    until = None if valid_until is None else float(valid_until)
    if not allow:
        return Decision(False, reason, revision, valid_until=until)
    if not isinstance(redact, Sequence) or isinstance(redact, str) or len(redact) > MAX_ITEMS:
        return denied(POLICY_ERROR, revision)
    if not all(isinstance(word, str) and _WORD.match(word) for word in redact):
        return denied(POLICY_ERROR, revision)
    if max_hz is not None and (
        isinstance(max_hz, bool) or not isinstance(max_hz, (int, float)) or not 0 < max_hz <= 1000
    ):
        return denied(POLICY_ERROR, revision)
    return Decision(
        True,
        reason,
        revision,
        tuple(sorted(redact)),
        None if max_hz is None else float(max_hz),
        until,
    )
