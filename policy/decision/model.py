"""Identity and decisions as values (design section 5, policy)."""

from typing import Any, Protocol

import msgspec

from policy.identity.keys import VerificationKeys
from policy.identity.principal import Principal, TokenType


class TokenVerifier(Protocol):
    """Says whose a token is: `policy.identity.tokens.JwtVerifier`, or another implementation in
    differential tests."""

    def verify(
        self, text: object, *, typ: TokenType | tuple[TokenType, ...], now_s: float
    ) -> Principal:
        """The principal of the token `text`, genuine, in time and of type `typ`. Raises
        Unauthorized or Expired, nothing else."""


class TokenSigner(Protocol):
    """Signs claims: `policy.identity.tokens.sign`, or another implementation in differential
    tests."""

    def __call__(self, keys: VerificationKeys, claims: dict[str, Any], *, kid: str) -> str:
        """A token signed by the key `kid` of `keys`."""


class DecisionInput(msgspec.Struct, frozen=True):
    """May `subject` do `action` to `resource`? The whole of it is the cache key, so actions that
    need no name carry none."""

    action: str
    subject: dict[str, Any]
    resource: dict[str, Any]
    context: dict[str, Any] = {}


class Decision(msgspec.Struct, frozen=True):
    """Allow, or deny with the reason; obligations bind whoever carries the action out."""

    allow: bool
    reason: str
    revision: str
    redact: tuple[str, ...] = ()
    max_hz: float | None = None
    valid_until: float | None = None


class Engine(Protocol):
    """A Rego engine. Blocking: it lives in the policy actor's process, and the caller keeps the
    deadline."""

    revision: str

    def decide(self, questions: list[DecisionInput]) -> list[Decision]:
        """One decision each, in order. Undefined, an error or a non-boolean is deny; never raises
        for a question."""

    def keep(self) -> None:
        """Make sure, once in a while and from another thread, that the engine still has its
        revision. Raises Unavailable, ConfigError."""


class Decider(Protocol):
    """The caller's side: `policy.decision.enforcer.Enforcer` with its cache, or a double."""

    async def decide(self, question: DecisionInput) -> Decision:
        """The decision; deny with reason ``policy_unavailable`` when none can be had in time."""
